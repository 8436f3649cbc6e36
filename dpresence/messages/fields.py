"""Types of fields that messages share, their limits, and the descriptions that error texts quote."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

T = TypeVar("T")

MAX_NOTIFICATIONS = 100
"""Maximum number of notifications in one frame, in either direction."""
MAX_WAIT_SECONDS = 50
"""Maximum time for which a long poll waits, because proxies end a silent answer after 60 s."""
MAX_CURSOR = 4096
"""Maximum number of characters of a cursor."""
MAX_ENTRIES = 500
"""Maximum number of updates or snapshot entries in one frame, and of items in one page of a list."""

FrameId = Annotated[str, Meta(max_length=64)] | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Id = Annotated[FrameId | None, Meta(description="a string of up to 64 characters, or an integer of 64 bits")]
Email = Annotated[str, Meta(max_length=254, description="an e-mail address of up to 254 characters")]
Assertion = Annotated[str, Meta(description="an assertion, as text")]
Flag = Annotated[bool, Meta(description="true or false")]
Cursor = Annotated[str, Meta(max_length=MAX_CURSOR, description="a cursor, as text")]
DeviceName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._:-]{1,64}\Z", description="1 to 64 of A-Z a-z 0-9 . _ : -")]
Until = Annotated[int, Meta(ge=0, le=253_402_300_799_999, description="a time in the future, in milliseconds since the epoch")]
Name = Annotated[str, Meta(min_length=1, max_length=64, description="1 to 64 printable characters")]
Domain = Annotated[str, Meta(max_length=253, description="a host name of up to 253 characters")]
Description = Annotated[str, Meta(max_length=500, description="up to 500 printable characters")]
NotificationId = Annotated[str, Meta(max_length=64, description="the id of a notification")]
NotificationIds = Annotated[list[NotificationId], Meta(max_length=10_000, description="a list of notification ids")]
Source = Annotated[str, Meta(max_length=254, description="text of up to 254 characters")]

Topic = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,32}\Z", description="1 to 32 of A-Z a-z 0-9 _ -")]
IdempotencyKey = Annotated[str, Meta(pattern=r"\A[!-~]{1,64}\Z", description="1 to 64 printable ASCII characters, without spaces")]
Urgency = Literal["very-low", "low", "normal", "high"]


@cache
def descriptions(kind: Any) -> dict[str, str]:
    """Return the descriptions of the fields of a struct and of its nested structs, by field name; ``""`` is the struct itself."""
    found: dict[str, str] = {}
    for part in get_args(kind):
        found.update(descriptions(part) if not isinstance(part, Meta) else {})
    if isinstance(kind, type) and issubclass(kind, Struct):
        hints = get_type_hints(kind, include_extras=True)
        for name, hint in ((field.encode_name, hints[field.name]) for field in msgspec.structs.fields(kind)):
            found.update(descriptions(hint))
            metas = [meta for part in (hint, *get_args(hint)) for meta in getattr(part, "__metadata__", ())]
            found[name] = next((meta.description for meta in metas if meta.description), "another value")
    found[""] = next((meta.description for meta in getattr(kind, "__metadata__", ()) if meta.description), "another value")
    return found


def checked(struct: Struct, field: str, check: Callable[[str], T]) -> T:
    """Return the result of a check of ``texts`` for the value of a field.

    :raises ValueError: the check failed. The text contains the field, its description and the message of the check.
    """
    try:
        return check(getattr(struct, field))
    except ValueError as error:
        raise ValueError(f"{field}: {descriptions(type(struct))[field]}, {error}") from None


def or_unset(value: T | None) -> T | UnsetType:
    """Return a value for a field that is omitted if there is none."""
    return UNSET if value is None else value
