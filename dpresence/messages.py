"""Schemas, validation and encoding of all frames and bodies (docs/protocol.md, sections 3 to 6).

Frames and REST bodies are parsed by the same structs, so that channels and REST calls return the same errors. The error text of a
field contains its ``description``, which therefore describes the allowed values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from . import texts
from .errors import BadTtl, FieldTooLong, NotAnObject, Refused, WrongField, WrongValue
from .lookalikes import site
from .model import Device, Grant, Notification, Status, Update

MOST_ITEMS = 100
"""Maximum number of notifications in one frame, in either direction."""
MOST_ENTRIES = 500
"""Maximum number of updates or snapshot entries in one frame, and of items in one page of a list."""

FrameId = Annotated[str, Meta(max_length=64)] | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Id = Annotated[FrameId | None, Meta(description="a string of up to 64 characters, or an integer")]
Email = Annotated[str, Meta(max_length=254, description="an e-mail address of up to 254 characters")]
Assertion = Annotated[str, Meta(description="an assertion, as text")]
Flag = Annotated[bool, Meta(description="true or false")]
Cursor = Annotated[str, Meta(max_length=128, description="a cursor, as text")]
DeviceName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._:-]{1,64}\Z", description="1 to 64 of A-Z a-z 0-9 . _ : -")]


class Frame(Struct, forbid_unknown_fields=True):
    """Base of all frames.

    :param id: optional identifier, which the reply repeats.
    """

    id: Id = None


F = TypeVar("F", bound=Frame)
T = TypeVar("T")


class StatusUpdate(Frame, kw_only=True):
    """A status update from a device (section 3)."""

    email: Email
    status: Annotated[Status, Meta(description="one of online, unavailable, offline")]
    assertion: Assertion | None = None
    device: DeviceName | None = None
    ack: Flag = False
    ticket: Flag = False


class Acknowledge(Frame, kw_only=True):
    """An acknowledgement of notifications from a device (section 3)."""

    action: str
    notifications: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=10_000, description="a list of notification ids")]


class Authenticate(Frame, kw_only=True):
    """A sign-in of an app service (section 5)."""

    action: str
    key: Annotated[str, Meta(max_length=256, description="an API key, as text")]
    since: Cursor | None = None


def _check(struct: Struct, field: str, check: Callable[[str], T]) -> T:
    """Return the result of a check of ``texts`` for the value of a field.

    :raises ValueError: the check failed. The text contains the field, its description and the message of the check.
    """
    try:
        return check(getattr(struct, field))
    except ValueError as error:
        raise ValueError(f"{field}: {_described(type(struct))[field]}, {error}") from None


Source = Annotated[str, Meta(max_length=254, description="text of up to 254 characters")]


class OutgoingNotification(Struct, forbid_unknown_fields=True):
    """One notification in a request of an app service (section 5)."""

    puid: Annotated[str, Meta(max_length=254, description="a PUID, as text")]
    message: Annotated[str, Meta(max_length=512, description="text of up to 512 characters")] = ""
    action: Annotated[str, Meta(max_length=512, description="text of up to 512 characters")] = ""
    source: Source | None = None
    ttl: Annotated[int, Meta(ge=0, le=2_592_000, description="whole seconds from 0 to 2592000")] = 86_400

    def __post_init__(self) -> None:
        if "\0" in self.puid:
            raise ValueError("puid: text without NUL characters")
        _check(self, "message", texts.check_prose)
        if self.source:
            self.source = _check(self, "source", texts.name)


OutgoingNotifications = Annotated[
    list[OutgoingNotification],
    Meta(title="notifications", min_length=1, max_length=MOST_ITEMS, description="a list of 1 to 100 notifications"),
]


class Notify(Frame, kw_only=True):
    """A frame with notifications from an app service (section 5)."""

    action: str
    notifications: OutgoingNotifications


class Empty(Struct, forbid_unknown_fields=True):
    """The body of a call without documented fields."""


class Login(Struct, forbid_unknown_fields=True):
    """``POST /login``."""

    assertion: Assertion


class Logout(Struct, forbid_unknown_fields=True):
    """``POST /logout``."""

    everywhere: Flag = False


Name = Annotated[str, Meta(min_length=1, max_length=64, description="1 to 64 printable characters")]
Domain = Annotated[str, Meta(max_length=253, description="a host name of up to 253 characters")]
Description = Annotated[str, Meta(max_length=500, description="up to 500 printable characters")]


class ApplicationChange(Struct, forbid_unknown_fields=True):
    """``PATCH /myapps/<appid>``."""

    name: Name | UnsetType = UNSET
    domain: Domain | UnsetType = UNSET
    description: Description | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.name is not UNSET:
            self.name = _check(self, "name", texts.name)
        if self.description is not UNSET:
            self.description = _check(self, "description", texts.description)


class NewApplication(ApplicationChange, kw_only=True):
    """``POST /myapps``."""

    name: Name
    domain: Domain
    description: Description = ""


class GrantChange(Struct, forbid_unknown_fields=True):
    """``PATCH /grant/<appid>``."""

    paused: Flag


class DevelopmentAssertion(Struct, forbid_unknown_fields=True):
    """``POST /__dev__/assertion`` (section 8)."""

    email: Email


class _Envelope(Struct):
    action: Any = None


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def parse(kind: type[T], data: str | bytes) -> T:
    """Parse and validate a frame or body.

    :param kind: a struct of this module, or a list of one.
    :returns: a value of that kind.
    :raises NotAnObject: the data is not JSON, or not an object (or list) where one is expected.
    :raises WrongField: a field is missing or unknown.
    :raises WrongValue: a field has a wrong value; ``FieldTooLong`` and ``BadTtl`` for those of a notification.
    """
    try:
        return cast("T", _decoder(kind).decode(data))  # type: ignore[arg-type]  # mypy: a class is hashable
    except msgspec.ValidationError as error:
        message = str(error)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise _not_json(kind) from None
    raise _refusal(kind, data, message)


def try_parse(kind: type[F], data: str | bytes) -> F | None:
    """Parse a frame; return None if it is not a valid frame of that kind. Call ``parse`` for the error."""
    try:
        return _decoder(kind).decode(data)  # type: ignore[no-any-return]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def action_of(text: str) -> str | None:
    """Return the ``action`` of a frame, None without one.

    :raises NotAnObject: the frame is not a JSON object.
    :raises WrongValue: the action is not a string.
    """
    action = parse(_Envelope, text).action
    if action is not None and not isinstance(action, str):
        raise WrongValue("action: one of the actions of this channel, as text")
    return action


def id_of(text: str) -> str | int | None:
    """Return the ``id`` of an invalid frame, which the error reply repeats; None if it has no valid one."""
    frame = try_parse(_AnyFrame, text)
    return frame.id if frame else None


class _AnyFrame(Frame, forbid_unknown_fields=False):
    """Any frame with a valid ``id`` or without one."""


@cache
def _described(kind: Any) -> dict[str, str]:
    """Return the descriptions of the fields of a struct and of its nested structs, by field name; ``""`` is the kind itself."""
    found: dict[str, str] = {}
    for part in get_args(kind):
        found.update(_described(part) if not isinstance(part, Meta) else {})
    if isinstance(kind, type) and issubclass(kind, Struct):
        for name, hint in get_type_hints(kind, include_extras=True).items():
            found.update(_described(hint))
            metas = [meta for part in (hint, *get_args(hint)) for meta in getattr(part, "__metadata__", ())]
            found[name] = next((meta.description for meta in metas if meta.description), "another value")
    found[""] = next((meta.description for meta in getattr(kind, "__metadata__", ()) if meta.description), "another value")
    return found


def _refusal(kind: Any, data: str | bytes, message: str) -> Refused:
    """Convert an error of msgspec to a refusal. A missing or unknown field takes precedence over a wrong value (section 7)."""
    try:
        msgspec.json.decode(data)  # the typed decoder stops at the first wrong field and does not parse the rest
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _not_json(kind)
    text, _, path = message.partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    if path.startswith("["):  # a body that is a list; the title is the name of the same list in a frame
        path = _title(kind) + path
    unknown = re.fullmatch(r"Object (missing required|contains unknown) field `(.*)`", text, re.DOTALL)
    if unknown:
        verb = "is missing" if unknown[1] == "missing required" else "is not known here"
        return WrongField(f"{_join(path, unknown[2][:64])}: {verb}")
    if not path and (re.match(r"Expected `(object|array)`, got", text)):
        return NotAnObject(f"expected {_whole(kind)}")
    return _misplaced(kind, data) or _wrong_value(kind, path, text)


def _title(kind: Any) -> str:
    return next((meta.title for meta in getattr(kind, "__metadata__", ()) if meta.title), "")


def _whole(kind: Any) -> str:
    """Return the expected JSON type of a body or frame, for an error text."""
    return "one JSON list" if get_origin(kind) is list or get_origin(getattr(kind, "__origin__", None)) is list else "one JSON object"


def _not_json(kind: Any) -> NotAnObject:
    return NotAnObject(f"not JSON: expected {_whole(kind)}")


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def _misplaced(kind: Any, data: str | bytes) -> WrongField | None:
    """Return the refusal for the first missing or unknown top-level field of a body that also has wrong values, None without one."""
    if not (isinstance(kind, type) and issubclass(kind, Struct)):
        return None
    given = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    fields = msgspec.structs.fields(kind)
    missing = [field.name for field in fields if field.required and field.name not in given]
    unknown = sorted(given.keys() - {field.name for field in fields})
    if missing:
        return WrongField(f"{missing[0]}: is missing")
    return WrongField(f"{unknown[0][:64]}: is not known here") if unknown else None


def _wrong_value(kind: Any, path: str, text: str) -> Refused:
    if not text.startswith(("Expected", "Invalid")):  # raised by ``__post_init__``, with a complete text
        return WrongValue(_join(path, text))
    field = (re.findall(r"[a-z_]+", path) or [""])[-1]
    allowed = "an object" if text.startswith("Expected `object`") else _described(kind).get(field, "another value")
    if not path:
        return WrongValue(f"expected {allowed}")
    if field == "ttl":
        return BadTtl(f"{path}: {allowed}")
    too_long = field in ("message", "action", "source") and "of length <=" in text
    return (FieldTooLong if too_long else WrongValue)(f"{path}: {allowed}")


# -- encoding


def encode(value: Any) -> bytes:
    """Encode a reply or body as JSON."""
    return msgspec.json.encode(value)


def ok(frame_id: str | int | None = None, **fields: Any) -> bytes:
    """Return an OK reply with the given fields and the id of the frame, if it has one."""
    return encode({"result": "OK", **fields, **_echo(frame_id)})


def ko(refused: Refused, frame_id: str | int | None = None, **fields: Any) -> bytes:
    """Return a KO reply: the error object, the given fields, and the id of the frame, if it has one."""
    return encode({**refused.body(), **fields, **_echo(frame_id)})


def _echo(frame_id: str | int | None) -> dict[str, str | int]:
    return {} if frame_id is None else {"id": frame_id}


def updates(entries: Iterable[Update], cursor: str) -> bytes:
    """Return an updates frame. No value needs escaping, because all are generated by this service."""
    items = ",".join(f'{{"puid":"{entry.puid}","status":"{entry.status}","at":{entry.at},"reason":"{entry.reason}"}}' for entry in entries)
    return f'{{"updates":[{items}],"cursor":"{cursor}"}}'.encode()


def snapshot(entries: Sequence[dict[str, Any]], cursor: str | None) -> bytes:
    """Return a snapshot frame.

    :param cursor: the cursor of the last frame of a snapshot, None for the others.
    """
    frame: dict[str, Any] = {"snapshot": entries, "last": cursor is not None}
    if cursor is not None:
        frame["cursor"] = cursor
    return encode(frame)


def notifications(items: Iterable[Notification], acknowledged: bool, domains: Mapping[str, str]) -> bytes:
    """Return a notifications frame.

    :param acknowledged: the device acknowledges notifications; the entries also contain ``id``, ``appid``, ``domain``, ``site`` and
        ``sent``.
    :param domains: domains of the applications, by PUID.
    """
    shown = [{"source": item.source, "message": item.message, "action": item.action} for item in items]
    if acknowledged:
        for entry, item in zip(shown, items, strict=True):
            domain = domains.get(item.puid, "")
            names = {"appid": item.appid, "domain": domain, "site": site(domain)}
            entry.update({"id": item.id, **names, "sent": item.sent_at})  # type: ignore[dict-item]
    return encode({"notifications": shown})


def device(item: Device) -> dict[str, Any]:
    """Return a device as in ``GET /devices``."""
    return {"device": item.name, "status": item.status, "connected": item.connected, "since": item.since}


def grant(item: Grant) -> dict[str, Any]:
    """Return a grant as in ``GET /grants``."""
    return {"appid": item.appid, "puid": item.puid, "granted_at": item.granted_at, "paused": item.paused}
