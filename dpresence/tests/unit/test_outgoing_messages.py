"""Outgoing messages: their encoding, and the list from which schemas are generated."""

from __future__ import annotations

import importlib
import json
import pkgutil
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from cornice.service import get_services
from pyramid.response import Response

from dpresence import messages, views
from dpresence.errors import SlowDown
from dpresence.messages import KoReply, OkReply, Snapshot, Updates, encode, notifications_frame
from dpresence.model import FeedEntry, Notification


@pytest.mark.parametrize("kind", [*messages.INCOMING, *messages.OUTGOING], ids=lambda kind: getattr(kind, "__name__", "list"))
def test_every_message_has_a_json_schema_with_a_description(kind: Any) -> None:
    schema = msgspec.json.schema(kind)
    shown = schema["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    assert shown["description"]


def test_the_list_of_messages_is_complete() -> None:
    structs = {kind for kind in vars(messages).values() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)}
    listed = json.dumps([msgspec.json.schema(kind) for kind in (*messages.INCOMING, *messages.OUTGOING)])
    assert {kind.__name__ for kind in structs if f'"title": "{kind.__name__}"' not in listed} == {"Frame"}


def test_every_view_answers_with_a_listed_message() -> None:
    for module in pkgutil.iter_modules(views.__path__):
        importlib.import_module(f"{views.__name__}.{module.name}")
    answers = {}
    for service in get_services():
        for method, view, _ in service.definitions:
            if view.__module__.startswith(views.__name__):
                answer = get_type_hints(view)["return"]
                answers[f"{method} {service.path}"] = set(get_args(answer) or (answer,))
    assert len(answers) > 30
    assert {name: kinds for name, kinds in answers.items() if kinds - {Response, *messages.OUTGOING}} == {}


def test_an_ok_reply_carries_the_id_when_there_was_one() -> None:
    assert json.loads(encode(OkReply())) == {"result": "OK"}
    assert json.loads(encode(OkReply(id=0, ticket="t"))) == {"result": "OK", "ticket": "t", "id": 0}


def test_a_ko_reply_is_the_error_object_and_the_id() -> None:
    reply = KoReply.to("a", SlowDown("wait", retry_after=3))
    assert json.loads(encode(reply)) == {"result": "KO", "errno": 117, "error": "wait", "retry_after": 3, "id": "a"}


def test_updates_are_encoded_as_json_would() -> None:
    entries = [FeedEntry(7, "p-_1", "online", 1_795_364_497_000, "explicit"), FeedEntry(8, "q", "offline", 0, "revoked")]
    expected = [
        {"puid": "p-_1", "status": "online", "at": 1_795_364_497_000, "reason": "explicit"},
        {"puid": "q", "status": "offline", "at": 0, "reason": "revoked"},
    ]
    assert json.loads(encode(Updates.of(entries, "e:8"))) == {"updates": expected, "cursor": "e:8"}


def test_only_the_last_frame_of_a_snapshot_has_the_cursor() -> None:
    assert json.loads(encode(Snapshot([], last=False))) == {"snapshot": [], "last": False}
    assert json.loads(encode(Snapshot([], last=True, cursor="e:1"))) == {"snapshot": [], "last": True, "cursor": "e:1"}


def test_a_plain_device_gets_exactly_three_keys() -> None:
    item = Notification("n", "app", "puid", "Bob", "hi \u2028<b>", "open", 5)
    domains = {"puid": "www.app.example.co.uk"}
    plain, acknowledged = (json.loads(encode(notifications_frame([item], flag, domains)))["notifications"][0] for flag in (False, True))
    assert plain == {"source": "Bob", "message": "hi \u2028<b>", "action": "open"}
    assert acknowledged == {
        **plain,
        "id": "n",
        "appid": "app",
        "domain": "www.app.example.co.uk",
        "site": "example.co.uk",
        "sent": 5,
    }
