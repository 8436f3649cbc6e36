"""The OpenAPI and AsyncAPI documents: valid, complete, and the same as docs/protocol.md and the code."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import validate

from dpresence import messages
from dpresence.contract import Contract, asyncapi
from dpresence.contract.examples import EXAMPLES
from dpresence.contract.operations import OPERATIONS
from dpresence.contract.schemas import ecma, schemas
from dpresence.errors import CloseCode, errno_table
from dpresence.messages import encode
from dpresence.settings import ChannelSettings, IdentitySettings, Settings

PROTOCOL = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
CONTRACT = Contract(Settings(), "1.2.3")
OPENAPI, ASYNCAPI = CONTRACT.openapi.content, CONTRACT.asyncapi.content


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": {"schemas": schemas()}})


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a document."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item)


def table(heading: str) -> list[list[str]]:
    """Return the cells of a table in docs/protocol.md."""
    rows = PROTOCOL.partition(f"| {heading} |\n")[2].partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


# -- validity


def test_the_openapi_document_is_valid() -> None:
    validate(OPENAPI)


@pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=["openapi", "asyncapi"])
def test_every_reference_leads_to_something(document: dict[str, Any]) -> None:
    references = [value["$ref"] for value in walk(document) if isinstance(value.get("$ref"), str)]
    assert len(references) > 50
    for reference in references:
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/")]


@pytest.mark.parametrize("name", schemas())
def test_every_schema_is_a_valid_json_schema_with_descriptions(name: str) -> None:
    schema = schemas()[name]
    jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    assert schema["description"]
    assert not re.search(r":param|``", json.dumps(schema))


def test_the_fields_of_requests_have_limits_and_those_of_answers_are_all_required_unless_they_may_be_left_out() -> None:
    assert schemas()["NewNotification"]["properties"]["message"]["maxLength"] == 512
    assert schemas()["NewNotification"]["required"] == ["puid"]
    assert schemas()["Version"]["required"] == ["name", "version", "source", "commit", "build"]
    assert schemas()["KoReply"]["required"] == ["result", "errno", "error"]
    assert "default" not in json.dumps(schemas()["KoReply"])


def test_no_struct_is_both_sent_and_received() -> None:
    sent, received = ({schema["$ref"] for kind in kinds for schema in walk(msgspec.json.schema(kind)) if "$ref" in schema}
                      for kinds in (messages.OUTGOING, messages.INCOMING))  # fmt: skip
    assert sent & received == set()


# -- regular expressions


def test_regular_expressions_are_in_the_dialect_of_json_schema() -> None:
    patterns = {value["pattern"] for value in walk([OPENAPI, ASYNCAPI]) if isinstance(value.get("pattern"), str)}
    assert patterns
    for pattern in patterns:
        assert not re.search(r"\\[AZzG]|\(\?[^:=!<]|\(\?<[^=!]|\(\?P|\[\[:|[*+?}]\+", pattern), "not ECMA 262"
        assert Draft202012Validator({"type": "string", "pattern": pattern})


def test_a_device_name_is_refused_by_the_schema_exactly_as_by_the_service() -> None:
    check, try_parse = validator({"$ref": "#/components/schemas/StatusUpdate"}), messages.try_parser(messages.StatusUpdate)
    for device in ("a", "A.b_c:d-9", "x" * 64, "", "x" * 65, "a\n", "\na", "a b", "ä", "a\nb"):
        frame = {"email": "a@example.org", "status": "online", "device": device}
        accepted = try_parse(json.dumps(frame)) is not None
        assert check.is_valid(frame) == accepted, device


def test_anchors_are_translated() -> None:
    assert ecma(r"\A[a-z]\Z") == "^[a-z]$"


# -- examples


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_a_message_and_fits_its_schema(name: str) -> None:
    kind = getattr(messages, name, None) or messages.appservice.NewNotification
    for example in EXAMPLES[name]:
        parsed = msgspec.json.decode(json.dumps(example), type=kind)
        assert validator({"$ref": f"#/components/schemas/{name}"}).is_valid(example)
        assert set(example) <= set(json.loads(encode(parsed))), "a field that the struct does not have"


def test_every_message_with_a_name_has_an_example() -> None:
    named = {kind.__name__ for kind in (*messages.INCOMING, *messages.OUTGOING) if isinstance(kind, type)}
    assert named - set(EXAMPLES) == {"Empty"}


def test_the_frames_in_the_protocol_are_frames_of_the_channels() -> None:
    checks = [
        validator(asyncapi.payload(channel, kind))
        for channel in asyncapi.CHANNELS
        for kind in (*channel.frames_received, *channel.frames_sent)
    ]
    sections = PROTOCOL.partition("## 3. ")[2].partition("## 6. ")[0]
    frames = [line for block in re.findall(r"```json\n(.*?)```", sections, re.DOTALL) for line in block.splitlines()]
    assert len(frames) > 10
    for frame in frames:
        assert any(check.is_valid(json.loads(frame)) for check in checks), frame


# -- errnos, close codes


def test_the_errnos_are_those_of_the_service_and_of_the_protocol() -> None:
    shown = [[str(row["errno"]), str(row["status"]), row["meaning"]] for row in OPENAPI["x-errnos"]]
    assert shown == table("errno | HTTP | meaning")
    assert ASYNCAPI["x-errnos"] == OPENAPI["x-errnos"]
    assert [row["errno"] for row in OPENAPI["x-errnos"]] == sorted(errno_table()) == schemas()["Refusal"]["properties"]["errno"]["enum"]


def test_the_close_codes_are_those_of_the_service_and_of_the_protocol() -> None:
    rows = {int(code): cells[1:] for cells in table("code | meaning | what to do") for code in cells[0].split(",")}
    assert {row["code"]: [row["meaning"], row["client"]] for row in ASYNCAPI["x-close-codes"]} == rows
    assert set(rows) == set(CloseCode)


def test_every_errno_is_an_answer_to_a_call_or_a_frame() -> None:
    calls = {errno for operations in OPERATIONS.values() for operation in operations for errno in operation.all_errnos}
    frames = {errno for channel in asyncapi.CHANNELS for errno in channel.errnos}
    assert calls | frames == set(errno_table())


def test_every_call_of_the_protocol_is_an_operation() -> None:
    named = re.findall(r"^\| `(GET|POST|PUT|PATCH|DELETE) (/[^`?]*?)(?:\?[^`]*)?`(?:, `GET (/\w+)`)? \|", PROTOCOL, re.MULTILINE)
    calls = {f"{method} {path}".translate(str.maketrans("<>", "{}")) for method, path, _ in named}
    operations = {operation.call for group in OPERATIONS.values() for operation in group}
    assert len(calls) > 35
    assert calls - operations == set()
    elsewhere = {"GET /sidebar", "GET /login/{provider}/callback", "GET /presence", "GET /static/{file}", "POST /__dev__/assertion"}
    assert operations - calls == elsewhere


# -- a service's own


def test_the_documents_name_the_address_the_cookie_and_the_limits_of_the_service() -> None:
    identity = IdentitySettings(audience="https://presence.example.net", path="/_presence")
    contract = Contract(Settings(identity=identity, channels=ChannelSettings(device_frame_bytes=2048)), "1.2.3")
    openapi, frames = contract.openapi.content, contract.asyncapi.content
    assert openapi["servers"] == [{"url": "https://presence.example.net/_presence"}]
    assert openapi["components"]["securitySchemes"]["session"]["name"] == "__Host-dpresence"
    assert frames["servers"]["service"] == {"host": "presence.example.net", "pathname": "/_presence", "protocol": "wss"}
    assert frames["channels"]["device"]["x-limits"]["channels.device_frame_bytes"]["value"] == 2048


def test_the_documents_are_generated_once_and_only_when_they_are_requested() -> None:
    used = time.process_time()
    contract = Contract(Settings(), "1.2.3")
    assert time.process_time() - used < 0.01
    assert contract.openapi is contract.openapi
    assert contract.openapi.body is contract.openapi.body
    assert json.loads(contract.openapi.body) == contract.openapi.content
    assert contract.openapi.etag == Contract(Settings(), "1.2.3").openapi.etag != contract.asyncapi.etag
