"""Compares what the service answers and sends in any test with the OpenAPI and AsyncAPI documents.

The clients of the tests call these functions for everything that they receive. An answer may have no field that the schema does not
have, although clients accept one: otherwise a new field could be left out of the documents.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from jsonschema_rs import Draft202012Validator

from dpresence import __version__
from dpresence.contract import asyncapi, openapi
from dpresence.settings import Settings

BODYLESS = {400, 408, 414, 431}
"""Answers to malformed HTTP, which have no errno."""
MISSING = {"405": {115}, "404": {111}}
"""Errnos of a method and of a path that do not exist, and of every method of a page that only browsers get."""


@cache
def _document() -> dict[str, Any]:
    return openapi.document(Settings(), __version__)


@cache
def _components() -> dict[str, Any]:
    """Return the schemas, those of what the service sends without room for other fields."""
    schemas = _document()["components"]["schemas"]
    return {"schemas": {name: {"additionalProperties": False, **schema} for name, schema in schemas.items()}}


def _validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": _components()})


# -- HTTP


@cache
def _paths() -> list[tuple[re.Pattern[str], str]]:
    """Return the paths, those without parameters first."""
    paths = sorted(_document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), path) for path in paths]


def _path_of(url: str) -> str:
    """Return the path of a call as in the document, "" if it has none."""
    return next((path for pattern, path in _paths() if pattern.fullmatch(urlsplit(url).path)), "")


@cache
def _answer_validator(path: str, method: str, status: str) -> Draft202012Validator:
    response = _document()["paths"][path][method]["responses"][status]
    return _validator(response["content"]["application/json"]["schema"])


def check_answer(method: str, url: str, status: int, content_type: str, body: bytes) -> None:
    """Fail if the answer to a call is not one that the OpenAPI document has."""
    path = _path_of(url)
    if method == "HEAD" or (status in BODYLESS and not body):
        return
    operation = _document()["paths"].get(path, {}).get(method.lower())
    if operation is None:
        refused = json.loads(body)["errno"] if content_type == "application/json" else None
        assert status >= 400 and refused in (None, *MISSING.get(str(status), ()), 113, 117, 201), f"{method} {url}: {status} {body!r}"
        return
    response = operation["responses"].get(str(status))
    assert response is not None or status == 307, f"{method} {path}: {status} is not in the document: {body[:300]!r}"
    if content_type != "application/json" or response is None:
        return
    assert _answer_validator(path, method.lower(), str(status)).is_valid(json.loads(body)), f"{method} {path}: {status} {body[:600]!r}"


@cache
def _body_validator(path: str, method: str) -> Draft202012Validator:
    content = _document()["paths"][path][method]["requestBody"]["content"]
    return _validator(content["application/json"]["schema"])


def check_body(method: str, url: str, content_type: str, body: bytes | str | None) -> None:
    """Fail if the JSON of an accepted call is not one that the OpenAPI document has."""
    path = _path_of(url)
    if body and content_type == "application/json" and "requestBody" in _document()["paths"][path][method.lower()]:
        assert _body_validator(path, method.lower()).is_valid(json.loads(body)), f"{method} {path}: accepted {body!r}"


# -- frames


def _channel_at(path: str) -> asyncapi.Channel:
    return asyncapi.DEVICE if path.endswith("/presence") else asyncapi.APP_SERVICE


@cache
def _sent(channel: asyncapi.Channel) -> Draft202012Validator:
    return _validator({"anyOf": [asyncapi.payload(channel, kind) for kind in channel.frames_sent]})


@cache
def _received(channel: asyncapi.Channel) -> Draft202012Validator:
    return _validator({"anyOf": [asyncapi.payload(channel, kind) for kind in channel.frames_received]})


def check_frame(path: str, frame: Any) -> None:
    """Fail if a frame that the service sent is not one of its channel.

    :param path: the path of the channel.
    """
    assert _sent(_channel_at(path)).is_valid(frame), f"{path}: sent {frame}"


def check_client_frame(path: str, frame: str) -> None:
    """Fail if a frame is not one that a client may send."""
    assert _received(_channel_at(path)).is_valid(json.loads(frame)), f"{path}: a client sent {frame}"


def check_accepted(path: str, frame: str, answer: Any) -> None:
    """Fail if a frame was answered OK and is not one that a client may send. Tests send wrong frames on purpose."""
    if isinstance(answer, dict) and answer.get("result") == "OK":
        check_client_frame(path, frame)
