"""Pairs a device and signs it in, for the tests of pairing and of device credentials."""

from __future__ import annotations

from typing import Any

from dpresence.tests.support import FakeConnection
from dpresence.tests.web.support import World

ANN, BOB = "ann@example.org", "bob@example.org"
LAMP = {"device": "lamp", "client": "Example lamp"}


def begin(world: World, **fields: str) -> dict[str, Any]:
    answer = world.browser("192.0.2.7")("POST", "/pair", {**LAMP, **fields})
    assert answer.status_int == 201
    body: dict[str, Any] = answer.json
    return body


def poll(world: World, device_code: str) -> tuple[int, dict[str, Any]]:
    answer = world.browser("192.0.2.7")("POST", "/pair/token", {"device_code": device_code})
    return answer.status_int, answer.json


def paired(world: World, email: str = ANN, **fields: str) -> str:
    """Pair a device and return its credential."""
    codes = begin(world, **fields)
    assert world.person(email)("POST", "/pair/answer", {"code": codes["user_code"], "allow": True}).json == {"result": "OK"}
    status, body = poll(world, codes["device_code"])
    assert (status, body["email"], body["device"]) == (200, email, fields.get("device", "lamp"))
    return str(body["credential"])


def enter(world: World, credential: str, email: str = ANN, **fields: object) -> tuple[FakeConnection, dict[str, Any]]:
    channel = world.channel()
    return channel, channel.receive({"email": email, "assertion": credential, "status": "online", **fields})
