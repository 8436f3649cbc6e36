"""Descriptions of devices that users see: a label, a kind and the day of the last sign-in (docs/protocol.md, sections 3 and 6)."""

from __future__ import annotations

from typing import Any

import pytest

from dpresence.tests.web.calls import count_calls
from dpresence.tests.web.races import Away
from dpresence.tests.web.support import Browser, World

ANN, BOB = "ann@example.org", "bob@example.org"
LAPTOP = {"device": "laptop", "label": "Chrome on Windows", "kind": "browser", "last_seen": "2026-11-22"}


def known(browser: Browser) -> list[dict[str, Any]]:
    return list(browser("GET", "/devices").json["known"])


def connected(world: World, **fields: Any) -> Any:
    channel = world.device(ANN, **fields)
    world.settle()
    return channel


def test_a_device_says_what_it_is_and_others_say_nothing(world: World) -> None:
    ann = world.person(ANN)
    connected(world, device="laptop", label="Chrome  on Windows", kind="browser")
    connected(world, device="silent")
    connected(world, label="Nameless")
    assert known(ann) == [LAPTOP] == ann("GET", "/account").json["known_devices"]
    assert known(world.person(BOB)) == []


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"label": "bank.com"}, "label: 'bank.com' reads as the web address bank.com; if it is none, write a space after the dot"),
        ({"label": "a\u202eb"}, "label: 1 to 64 printable characters, without U+202E, which cannot be seen or is not text"),
        ({"label": "x" * 65}, "label: 1 to 64 printable characters, or null"),
        ({"kind": "toaster"}, "kind: one of browser, phone, program, terminal, other"),
    ],
)
def test_a_label_is_a_name_and_a_kind_one_of_those_listed(world: World, fields: dict[str, Any], error: str) -> None:
    channel: Any = world.channel()
    first = {"email": ANN, "assertion": world.assertion(ANN), "status": "online", "device": "d"}
    answer = channel.receive({**first, **fields})
    assert (answer["errno"], answer["error"]) == (107, error)
    assert channel.receive(first)["result"] == "OK"


def test_a_user_renames_a_device_and_takes_it_back(world: World) -> None:
    ann = world.person(ANN)
    connected(world, device="laptop", label="Chrome on Windows", kind="browser")
    assert ann("PATCH", "/devices/laptop", {"label": "Work"}).json == {**LAPTOP, "label": "Work"}
    connected(world, device="laptop", label="Chrome on Windows", kind="browser")
    assert known(ann) == [{**LAPTOP, "label": "Work"}]
    assert ann("PATCH", "/devices/laptop", {"label": None}).json == LAPTOP
    assert ann("PATCH", "/devices/laptop", {"label": "bank.com"}).json["errno"] == 107
    assert ann("PATCH", "/devices/unknown", {"label": "x"}).json["errno"] == 110
    connected(world, device="silent")
    assert ann("PATCH", "/devices/silent", {"label": "Lamp"}).json == {"device": "silent", "label": "Lamp", "kind": None, "last_seen": None}
    assert world.person(BOB)("PATCH", "/devices/laptop", {"label": "Mine"}).json["errno"] == 110


def test_it_is_written_once_a_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count_calls(world, monkeypatch, "directory")
    for _ in range(3):
        connected(world, device="laptop", label="Chrome on Windows", kind="browser")
    assert calls["record_device"] == 1
    world.advance(86_400)
    connected(world, device="laptop", label="Chrome on Windows", kind="browser")
    assert calls["record_device"] == 2 and known(world.person(ANN)) == [{**LAPTOP, "last_seen": "2026-11-23"}]


def test_a_sign_out_forgets_the_device_also_when_it_is_away(world: World) -> None:
    ann = world.person(ANN)
    connected(world, device="laptop", label="Chrome on Windows", kind="browser").leave()
    world.advance(60)
    assert ann("DELETE", "/devices/laptop").status_int == 204
    assert known(ann) == [] and ann("DELETE", "/devices/laptop").json["errno"] == 110


def test_a_sign_out_is_answered_with_what_was_stored_while_the_tracker_is_unavailable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, _ = world.person(ANN), connected(world, device="silent")
    away = Away(monkeypatch, world.registry.backends.tracker, "devices")
    assert ann("DELETE", "/devices/silent").status_int == 204
    away.back = True
    assert ann("DELETE", "/devices/silent").status_int == 404
