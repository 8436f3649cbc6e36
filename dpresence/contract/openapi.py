"""The OpenAPI 3.1 document of REST and the pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..errors import errno_table
from ..messages import Refusal
from ..pictures import ICON_BYTES
from ..settings import Settings
from . import limits, webhook_operations
from .descriptions import FORMS, HEADERS, NOTES, OPTIONAL_FIELDS, PARAMETERS, TEXT
from .examples import EXAMPLES
from .operation import Caller, Operation
from .operations import OPERATIONS
from .schemas import Schema, reference, schema_of, schemas
from .tables import ERRNOS

JSON, HTML, FORM = "application/json", "text/html", "application/x-www-form-urlencoded"
EVENTS = "text/event-stream"
PICTURES = ("image/png", "image/jpeg", "image/webp")
EVENT: Schema = {
    "type": "object",
    "properties": {"event": {"enum": ["message", "auth", "current", "close"]}, "id": TEXT, "data": TEXT},
    "required": ["data"],
    "description": "One event. Its data is JSON; without a name it is a frame of the channel, and its id is the cursor.",
}
TITLE = "dpresence"
LICENSE = "MPL-2.0"
_ABOUT = (
    "REST of a presence service. Sections are those of docs/protocol.md, which is the contract. "
    "Browsers, which name `text/html` in `Accept`, "
    "get pages where a page exists, and errors as pages. Malformed HTTP is answered with 400, 408, 414 or 431 without a body. "
    "An answer may get new fields: a client accepts fields that it does not know."
)
_REQUIRED: dict[Caller, list[dict[str, list[str]]]] = {
    "anybody": [],
    "session": [{"session": []}],
    "operator": [{"session": []}],
    "user": [{"browserid": []}, {"idToken": []}, {"session": []}],
    "service": [{"apiKey": []}],
    "development": [{"developmentToken": []}],
    "monitor": [{"metricsToken": []}, {}],
}


def document(settings: Settings, version: str) -> dict[str, Any]:
    """Return the document for a service with these settings and of this version."""
    paths: dict[str, Any] = {}
    for tag, operations in OPERATIONS.items():
        for operation in operations:
            path = paths.setdefault(operation.path, _parameters_of_path(operation.path))
            path[operation.method.lower()] = _operation(operation, tag)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": version, "license": {"name": LICENSE, "identifier": LICENSE}, "description": _ABOUT},
        "servers": [{"url": settings.identity.home}],
        "tags": [{"name": tag} for tag in OPERATIONS],
        "paths": paths,
        "webhooks": _webhooks(),
        "components": {"schemas": schemas(), "securitySchemes": security_schemes(settings), "headers": _headers()},
        "x-errnos": errnos(),
        "x-limits": limits.limits(settings, limits.REST),
    }


def _webhooks() -> dict[str, Any]:
    """Return the requests that the service sends to webhooks, by type of message."""
    headers = [
        {"name": name, "in": "header", "required": True, "description": about, "schema": TEXT}
        for name, about in webhook_operations.HEADERS.items()
    ]
    responses = {"2XX": {"description": "The message is confirmed"}, "410": {"description": "The webhook is turned off"}}
    found = {}
    for kind, name, summary in webhook_operations.MESSAGES:
        body = {"required": True, "content": {JSON: {"schema": reference(kind)}}}
        made = {"operationId": name, "summary": summary, "parameters": headers, "requestBody": body, "responses": responses}
        found[str(EXAMPLES[kind.__name__][0]["type"])] = {"post": made}
    return found


def errnos() -> list[dict[str, Any]]:
    """Return the table of errnos."""
    return [{"errno": errno, "status": cls.status, "meaning": ERRNOS[errno]} for errno, cls in sorted(errno_table().items())]


def security_schemes(settings: Settings) -> dict[str, Any]:
    """Return the ways to authenticate an HTTP call."""
    secure = settings.identity.audience.startswith("https://")
    return {
        "session": {
            **{"type": "apiKey", "in": "cookie", "name": "__Host-dpresence" if secure else "dpresence"},
            "description": "The session of a browser, which `POST /login` opens.",
        },
        "csrf": {
            **{"type": "apiKey", "in": "header", "name": "X-CSRF-Token"},
            "description": "The `csrf` of the answer to `POST /login`, for calls with the cookie that change something.",
        },
        "browserid": {"type": "http", "scheme": "BrowserID", "description": "A BrowserID bundle: `Authorization: BrowserID <assertion>`."},
        "idToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An ID token of a configured provider."},
        "apiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "dpk_<id>_<secret>", "description": "An application's API key."},
        "metricsToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "`metrics.token`, or no proxy and an address in `metrics.networks`.",
        },
        "developmentToken": {
            **{"type": "apiKey", "in": "header", "name": "X-Development-Token"},
            "description": "The token that a development service writes to a file when it starts.",
        },
    }


def _headers() -> dict[str, Any]:
    return {name: {"description": about, "schema": schema} for name, (about, schema) in HEADERS.items()}


def _parameters_of_path(path: str) -> dict[str, Any]:
    found = [_parameter(name, "path") for name in re.findall(r"{(\w+)}", path)]
    return {"parameters": found} if found else {}


def _parameter(name: str, place: str) -> dict[str, Any]:
    about, schema = PARAMETERS[name]
    return {"name": name.partition(":")[0], "in": place, "required": place == "path", "description": about, "schema": schema}


def _operation(operation: Operation, tag: str) -> dict[str, Any]:
    made: dict[str, Any] = {"operationId": operation.id, "tags": [tag], "summary": operation.summary}
    if operation.id in NOTES:
        made["description"] = NOTES[operation.id]
    if operation.query:
        made["parameters"] = [_parameter(name, "query") for name in operation.query]
    if operation.body is not None or operation.form or operation.picture:
        made["requestBody"] = _body(operation)
    made["responses"] = _responses(operation)
    made["security"] = _security(operation)
    return made


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    """Return the ways to authenticate; with the cookie, a call that changes something needs the CSRF token too."""
    ways = _REQUIRED[operation.caller]
    return [{**way, "csrf": []} if "session" in way and operation.method != "GET" else way for way in ways]


def _body(operation: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {JSON: {"schema": _schema(operation.body)}} if operation.body is not None else {}
    if operation.id in FORMS:
        optional = ("allow", "deny", *OPTIONAL_FIELDS.get(operation.id, ()))
        content[FORM] = _form((*optional, *FORMS[operation.id]), FORMS[operation.id])
    elif operation.form:
        content[FORM] = _form(operation.form, operation.form)
    if operation.picture:
        content |= {kind: {"schema": {"type": "string", "format": "binary", "maxLength": ICON_BYTES}} for kind in PICTURES}
    return {"required": not operation.optional, "content": content}


def _form(fields: Sequence[str], required: Sequence[str]) -> dict[str, Any]:
    return {"schema": {"type": "object", "properties": dict.fromkeys(fields, TEXT), "required": list(required)}}


def _schema(kind: Any) -> Schema:
    if isinstance(kind, tuple):
        return {"oneOf": [reference(each) for each in kind]}
    return reference(kind) if isinstance(kind, type) else schema_of(kind)


def _responses(operation: Operation) -> dict[str, Any]:
    found = {str(status): _answer(operation, status, kind) for status, kind in operation.answers.items()}
    if operation.method == "GET" and operation.caller in ("user", "session", "operator"):
        found["303"] = _with_headers({"description": "A browser has to sign in first"}, ["Location"])
    by_status: dict[int, list[int]] = {}
    for errno in operation.all_errnos:
        by_status.setdefault(errno_table()[errno].status, []).append(errno)
    for status, numbers in sorted(by_status.items()):
        refusal = _refusal(status, numbers)
        if str(status) in found:  # the heartbeat's 503
            schema = found[str(status)]["content"][JSON]["schema"]
            refusal["content"][JSON]["schema"] = {"anyOf": [schema, refusal["content"][JSON]["schema"]]}
        found[str(status)] = refusal
    return dict(sorted(found.items()))


def _answer(operation: Operation, status: int, kind: Any) -> dict[str, Any]:
    about = {101: "The channel is open", 201: "Created", 204: "Done", 303: "See `Location`", 304: "Not modified"}
    made: dict[str, Any] = {"description": about.get(status, "OK")}
    content: dict[str, Any] = {}
    if kind is bytes:
        content["*/*"] = {}
    elif kind is dict:
        content[JSON] = {"schema": {"type": "object"}}
    elif kind not in (None, str):
        content[JSON] = {"schema": _schema(kind), "examples": _examples(kind)}
    if operation.page and kind is not None:
        content[HTML] = {"schema": TEXT}
    if operation.stream:
        content[EVENTS] = {"schema": EVENT}
    if content:
        made["content"] = content
    headers = {303: ["Location"], 304: ["ETag"]}.get(
        status, ["ETag"] if kind is dict else ["Set-Cookie"] if operation.id == "postLogin" else []
    )
    return _with_headers(made, headers)


def _examples(kind: Any) -> dict[str, Any]:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    values = [value for part in kinds for value in EXAMPLES.get(part.__name__, [])]
    return {f"example{number}": {"value": value} for number, value in enumerate(values, 1)}


def _refusal(status: int, numbers: list[int]) -> dict[str, Any]:
    schema = {**reference(Refusal), "properties": {"errno": {"enum": numbers}}}
    made = {"description": "; ".join(f"{errno}: {ERRNOS[errno]}" for errno in numbers), "content": {JSON: {"schema": schema}}}
    return _with_headers(made, {401: ["WWW-Authenticate"], 405: ["Allow"], 429: ["Retry-After"], 503: ["Retry-After"]}.get(status, []))


def _with_headers(response: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {**response, "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}} if names else response
