"""JSON Schemas of all bodies and frames, generated from the structs of ``messages``.

msgspec derives types, limits and defaults from the annotations. This module adds what it leaves out: the descriptions of fields, which
are in the docstrings; the fields that an answer always has; regular expressions in the dialect of JSON Schema; and examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
from msgspec import UnsetType

from .. import messages
from .examples import EXAMPLES

Schema = dict[str, Any]
REFERENCE = "#/components/schemas/"
_PARAM = re.compile(r":param (\w+): (.*?)(?=:param |\Z)", re.DOTALL)


@cache
def schemas() -> dict[str, Schema]:
    """Return the schema of each struct, and of each struct in it, by the struct's name. Callers do not change it."""
    found: dict[str, Schema] = {}
    for kinds, sent in ((messages.INCOMING, False), (messages.OUTGOING, True)):
        _, components = msgspec.json.schema_components(kinds, ref_template=REFERENCE + "{name}")
        structs = {struct.__name__: struct for kind in kinds for struct in _structs(kind)}
        found.update({name: _complete(schema, structs[name], sent) for name, schema in components.items()})
    return found


def schema_of(kind: Any) -> Schema:
    """Return the schema of one incoming or outgoing kind, which refers to ``schemas``."""
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=REFERENCE + "{name}")
    return _object(schema)


def reference(kind: type) -> Schema:
    """Return a reference to the schema of a struct."""
    return {"$ref": REFERENCE + kind.__name__}


def summary_of(kind: type) -> str:
    """Return the first paragraph of a struct's docstring."""
    return _markdown((kind.__doc__ or "").split("\n\n")[0])


def _structs(kind: Any) -> Iterator[type]:
    """Yield a struct and all structs that it contains."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
        for field in msgspec.structs.fields(kind):
            yield from _structs(field.type)
    for part in getattr(kind, "__args__", ()):
        yield from _structs(part)


def _complete(schema: Schema, kind: type, sent: bool) -> Schema:
    """Return the schema of a struct with what msgspec leaves out.

    :param sent: the service sends this struct. Then every field is required that is not ``UNSET``, and there are no defaults.
    """
    described = _descriptions(kind)
    made = _object(schema)
    made["description"] = summary_of(kind)
    for name, field in made["properties"].items():
        if sent:
            field.pop("default", None)
        if name in described:
            field["description"] = described[name]
    if sent:
        made["required"] = [field.encode_name for field in msgspec.structs.fields(kind) if not _may_be_unset(field.type)]
    if kind.__name__ in EXAMPLES:
        made["examples"] = EXAMPLES[kind.__name__]
    return made


def _may_be_unset(kind: Any) -> bool:
    return UnsetType in getattr(kind, "__args__", ())


def _descriptions(kind: type) -> dict[str, str]:
    """Return the descriptions of fields in the docstrings of a struct and its bases."""
    found: dict[str, str] = {}
    for cls in reversed(kind.__mro__):
        if issubclass(cls, msgspec.Struct):
            found.update({name: _markdown(text) for name, text in _PARAM.findall(cls.__doc__ or "")})
    return found


def _markdown(text: str) -> str:
    """Return text of a docstring, on one line, as Markdown."""
    return " ".join(text.replace("``", "`").split())


def _object(schema: Schema) -> Schema:
    """Return a copy of a schema whose regular expressions are in the dialect of JSON Schema, ECMA 262."""
    return {key: ecma(item) if key == "pattern" and isinstance(item, str) else _value(item) for key, item in schema.items()}


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return [_value(item) for item in value]
    return _object(value) if isinstance(value, dict) else value


def ecma(pattern: str) -> str:
    r"""Return a regular expression of Python in the dialect of ECMA 262: ``\A`` and ``\Z`` are ``^`` and ``$`` there."""
    return re.sub(r"\\A", "^", re.sub(r"\\Z", "$", pattern))
