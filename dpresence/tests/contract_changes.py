"""Finds incompatible changes between two versions of the OpenAPI and AsyncAPI documents (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]
Schema = dict[str, Any]
_UPPER, _LOWER = ("maxLength", "maximum", "maxItems"), ("minLength", "minimum", "minItems")


def changes(old: Document, new: Document) -> list[str]:
    """Return the incompatible changes between two documents of the same kind."""
    return [*_tables(old, new), *(_frames(old, new) if "asyncapi" in old else [*_calls(old, new), *_webhooks(old, new)])]


def _tables(old: Document, new: Document) -> Iterator[str]:
    for name, key, meaning in (("x-errnos", "errno", "status"), ("x-close-codes", "code", "client")):
        kept = {row[key]: row[meaning] for row in new.get(name, [])}
        for row in old.get(name, []):
            if row[key] not in kept:
                yield f"{key} {row[key]} was removed"
            elif kept[row[key]] != row[meaning]:
                yield f"{key} {row[key]}: another {meaning}"


# -- calls


def _calls(old: Document, new: Document) -> Iterator[str]:
    for path, item in old["paths"].items():
        for method in item.keys() - {"parameters"}:
            call, now = f"{method.upper()} {path}", new["paths"].get(path, {}).get(method)
            yield from (_call(call, item[method], now, old, new) if now else [f"{call} was removed"])


def _webhooks(old: Document, new: Document) -> Iterator[str]:
    for name, item in old.get("webhooks", {}).items():
        now = new.get("webhooks", {}).get(name)
        if now is None:
            yield f"webhook {name} was removed"
        else:
            bodies = (each["post"]["requestBody"] for each in (item, now))
            yield from _contents(f"webhook {name}", *bodies, Comparison(old, new, sent=True))


def _call(call: str, was: Any, now: Any, old: Document, new: Document) -> Iterator[str]:
    yield from _parameters(call, was, now, old, new)
    body, given = was.get("requestBody", {"content": {}}), now.get("requestBody", {"content": {}})
    if given.get("required") and not body.get("required"):
        yield f"{call}: needs a body"
    yield from _contents(f"{call} body", body, given, Comparison(old, new, sent=False))
    for status, answer in was["responses"].items():
        if status not in now["responses"] and status < "400":
            yield f"{call}: answer {status} was removed"
        elif status in now["responses"]:
            yield from _contents(f"{call} {status}", answer, now["responses"][status], Comparison(old, new, sent=True))
    if now["security"] and not all(any(set(way) <= set(each) for way in now["security"]) for each in was["security"] or [{}]):
        yield f"{call}: another proof is needed"


def _parameters(call: str, was: Any, now: Any, old: Document, new: Document) -> Iterator[str]:
    given = {item["name"]: item for item in now.get("parameters", [])}
    before = {item["name"]: item for item in was.get("parameters", [])}
    for name, item in before.items():
        if name not in given:
            yield f"{call}: parameter {name} was removed"
        else:
            yield from Comparison(old, new, sent=False).schema(f"{call} {name}", item["schema"], given[name]["schema"])
    for name, item in given.items():
        if item["required"] and not before.get(name, {}).get("required"):
            yield f"{call}: needs parameter {name}"


def _contents(where: str, was: Any, now: Any, comparison: Comparison) -> Iterator[str]:
    for kind, content in was.get("content", {}).items():
        if kind not in now.get("content", {}):
            yield f"{where}: {kind} was removed"
        else:
            yield from comparison.schema(where, content.get("schema", {}), now["content"][kind].get("schema", {}))


# -- frames


def _frames(old: Document, new: Document) -> Iterator[str]:
    for name, channel in old["channels"].items():
        now = new["channels"].get(name)
        if now is None or now["address"] != channel["address"]:
            yield f"channel {name} was removed"
            continue
        for message in channel["messages"]:
            if message not in now["messages"]:
                yield f"{name} {message} was removed"
                continue
            sent = f"{name}.{message}" not in _received(old)
            was, then = (document["components"]["messages"][name + message]["payload"] for document in (old, new))
            yield from Comparison(old, new, sent).schema(f"{name} {message}", was, then)


def _received(document: Document) -> set[str]:
    """Return the frames that clients send, as channel and name."""
    operations = [operation for operation in document["operations"].values() if operation["action"] == "receive"]
    parts = [message["$ref"].split("/") for operation in operations for message in operation["messages"]]
    return {f"{part[2]}.{part[4]}" for part in parts}


# -- schemas


class Comparison:
    """Compares schemas of two documents.

    :param sent: of what the service sends, which may become narrower; what it receives may become wider.
    """

    def __init__(self, old: Document, new: Document, sent: bool) -> None:
        self._old, self._new, self._sent = old, new, sent

    def schema(self, where: str, was: Schema, now: Schema) -> Iterator[str]:
        """Yield the incompatible changes of a schema."""
        was, now = _resolved(self._old, was), _resolved(self._new, now)
        before, after = _types(was), _types(now)
        if (after - before if self._sent else before - after) and before:
            yield f"{where}: another type"
            return
        alternatives, others = self._alternatives(self._old, was), self._alternatives(self._new, now)
        for name in alternatives.keys() - others.keys():
            if name.startswith("#") and not self._sent:  # another one that is sent is a new frame of the feed
                yield f"{where}: {name.rpartition('/')[2]} was removed"
        for name in alternatives.keys() & others.keys():
            yield from self._alternative(where, alternatives[name], others[name])

    @staticmethod
    def _alternatives(document: Document, schema: Schema) -> dict[str, Schema]:
        """Return the alternatives of a schema, itself where it has none; objects by their names where there are several."""
        found = [*schema.get("anyOf", []), *schema.get("oneOf", [])] or [schema]
        several = sum("$ref" in each for each in found) > 1
        names = [each["$ref"] if several and "$ref" in each else " ".join(sorted(_types(each))) for each in found]
        return {name: _resolved(document, each) for name, each in zip(names, found, strict=True)}

    def _alternative(self, where: str, was: Schema, now: Schema) -> Iterator[str]:
        yield from self._values(where, was, now)
        yield from self._fields(where, was, now)
        if not self._sent:
            yield from _limits(where, was, now)
        for key, part in (("items", "[]"), ("additionalProperties", ".*")):
            if isinstance(was.get(key), dict) and isinstance(now.get(key), dict):
                yield from self.schema(f"{where}{part}", was[key], now[key])

    def _values(self, where: str, was: Schema, now: Schema) -> Iterator[str]:
        before, after = set(was.get("enum", [])), set(now.get("enum", []))
        if self._sent and where.endswith(".errno"):
            return  # ``x-errnos`` has them all
        if self._sent and before != after:
            yield f"{where}: other values"
        elif not self._sent and (before - after if after else set()) | (after if after and not before else set()):
            yield f"{where}: fewer values"

    def _fields(self, where: str, was: Schema, now: Schema) -> Iterator[str]:
        before, after = was.get("properties", {}), now.get("properties", {})
        required, needed = set(was.get("required", [])), set(now.get("required", []))
        for name in before:
            if name not in after:
                yield f"{where}.{name} was removed"
            else:
                yield from self.schema(f"{where}.{name}", before[name], after[name])
        for name in sorted(required - needed if self._sent else needed - required):
            yield f"{where}.{name}: may be omitted" if self._sent else f"{where}.{name} is needed"


def _limits(where: str, was: Schema, now: Schema) -> Iterator[str]:
    for name in (*_UPPER, *_LOWER):
        before, after = was.get(name), now.get(name)
        if after is not None and (before is None or (after < before if name in _UPPER else after > before)):
            yield f"{where}: {name} is narrower"
    if now.get("pattern", was.get("pattern")) != was.get("pattern"):
        yield f"{where}: another pattern"


def _resolved(document: Document, schema: Schema) -> Schema:
    """Return a schema without its reference or ``allOf``; what narrows the fields of the referenced schema is left out."""
    for part in schema.get("allOf", []):
        return _resolved(document, part)
    if "$ref" not in schema:
        return schema
    found: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def _types(schema: Schema) -> set[str]:
    if "anyOf" in schema or "oneOf" in schema:
        return {kind for each in [*schema.get("anyOf", []), *schema.get("oneOf", [])] for kind in _types(each)}
    if "$ref" in schema:
        return {"object"}
    kind = schema.get("type", "string" if "enum" in schema else ())
    return {kind} if isinstance(kind, str) else set(kind)
