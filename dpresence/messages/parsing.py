"""Parsing and validation of incoming messages.

Frames and REST bodies are parsed in the same way, so that channels and REST calls return the same errors. The error text of a
field contains its ``description``, which therefore describes the allowed values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast, get_origin

import msgspec
from msgspec import Struct

from ..errors import BadTtl, FieldTooLong, NotAnObject, Refused, WrongField, WrongValue
from .base import Frame
from .fields import descriptions

F = TypeVar("F", bound=Frame)
T = TypeVar("T")


class _Envelope(Struct):
    action: Any = None


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def parse(kind: type[T], data: str | bytes) -> T:
    """Parse and validate a frame or body.

    :param kind: a struct of this package, or a list of one.
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


def try_parser(kind: type[F]) -> Callable[[str | bytes], F | None]:
    """Return a function that parses a frame and returns None if it is not a valid one of that kind. Call ``parse`` for the error."""
    decode = _decoder(kind).decode  # looked up once, not for each frame

    def try_parse(data: str | bytes) -> F | None:
        try:
            return decode(data)  # type: ignore[no-any-return]
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None

    return try_parse


def action_of(text: str) -> str | None:
    """Return the ``action`` of a frame, None without one.

    :raises NotAnObject: the frame is not a JSON object.
    :raises WrongValue: the action is not a string.
    """
    action = parse(_Envelope, text).action
    if action is not None and not isinstance(action, str):
        raise WrongValue("action: one of the actions of this channel, as text")
    return action


def has_field(text: str, name: str) -> bool:
    """Return whether a frame, a JSON object, has a field, whatever its value."""
    return name in msgspec.json.decode(text, type=dict[str, msgspec.Raw])


def id_of(text: str) -> str | int | None:
    """Return the ``id`` of an invalid frame, which the error reply repeats; None if it has no valid one."""
    frame = _try_any(text)
    return frame.id if frame else None


class _AnyFrame(Frame, forbid_unknown_fields=False):
    """Any frame with a valid ``id`` or without one."""


_try_any = try_parser(_AnyFrame)


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
        return NotAnObject(f"expected {_json_type(kind)}")
    return _wrong_field(kind, data) or _wrong_value(kind, path, text)


def _title(kind: Any) -> str:
    return next((meta.title for meta in getattr(kind, "__metadata__", ()) if meta.title), "")


def _json_type(kind: Any) -> str:
    """Return the expected JSON type of a body or frame, for an error text."""
    return "one JSON list" if get_origin(kind) is list or get_origin(getattr(kind, "__origin__", None)) is list else "one JSON object"


def _not_json(kind: Any) -> NotAnObject:
    return NotAnObject(f"not JSON: expected {_json_type(kind)}")


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def _wrong_field(kind: Any, data: str | bytes) -> WrongField | None:
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
    allowed = "an object" if text.startswith("Expected `object`") else descriptions(kind).get(field, "another value")
    if not path:
        return WrongValue(f"expected {allowed}")
    if field == "ttl":
        return BadTtl(f"{path}: {allowed}")
    too_long = field in ("message", "action", "source") and "of length <=" in text
    return (FieldTooLong if too_long else WrongValue)(f"{path}: {allowed}")
