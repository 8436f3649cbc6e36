"""The vectors for clients agree with the service: it accepts every frame that a client sends in them, and may send every other one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dpresence import messages
from dpresence.errors import CloseCode, errno_table

FOLDER = Path(__file__).parents[3] / "clients" / "vectors"
SENT_TO_DEVICES = (messages.Notifications, messages.Unread, messages.Cleared, messages.OkReply, messages.KoReply)
SENT_TO_SERVICES = (
    *(messages.Updates, messages.Snapshot, messages.OutcomeFrame),
    *(messages.AuthReply, messages.NotifyReply, messages.OkReply, messages.KoReply),
)
BY_CLIENT = (1000, 1005, 1006)
"""Codes that no close frame of the service has: the client's own, or the lack of one."""


def vectors() -> dict[str, Any]:
    files = {path.stem: json.loads(path.read_text(encoding="utf-8"))["vectors"] for path in sorted(FOLDER.glob("*.json"))}
    return {f"{stem}: {vector['name']}": vector for stem, entries in files.items() for vector in entries}


VECTORS = vectors()
OWN = [name for name, vector in VECTORS.items() if not vector.get("foreign")]


def sent(vector: Any) -> list[Any]:
    """Return the frames that the client sends."""
    return [output["send"] for step in vector["steps"] for output in step["out"] if "send" in output]


def inputs(vector: Any, name: str) -> list[Any]:
    return [step["in"][name] for step in vector["steps"] if name in step["in"]]


def is_one_of(frame: dict[str, Any], kinds: tuple[Any, ...]) -> bool:
    """Return True if a frame is exactly what the service writes for one of some messages."""
    for kind in kinds:
        try:
            if json.loads(messages.encode(msgspec.convert(frame, kind))) == frame:
                return True
        except msgspec.ValidationError:
            continue
    return False


@pytest.mark.parametrize("name", VECTORS)
def test_the_service_accepts_what_the_client_sends(name):
    for frame in sent(VECTORS[name]):
        device = VECTORS[name]["client"] == "device"
        kind = {
            "auth": messages.Authenticate,
            "notify": messages.Notify,
            "ping": messages.Ping,
            "ack": messages.Acknowledge,
            "read": messages.MarkRead,
            "shown": messages.ReportOutcome,
            "opened": messages.ReportOutcome,
        }.get(frame.get("action"))
        update = messages.OverrideUpdate if "override" in frame else messages.StatusUpdate
        messages.parse(kind or update, json.dumps(frame))
        assert device == (kind in (None, messages.Acknowledge, messages.MarkRead, messages.ReportOutcome))


@pytest.mark.parametrize("name", OWN)
def test_the_service_may_send_what_the_client_receives(name):
    vector = VECTORS[name]
    kinds = SENT_TO_DEVICES if vector["client"] == "device" else SENT_TO_SERVICES
    for frame in inputs(vector, "receive"):
        assert is_one_of(frame, kinds), frame
    assert not inputs(vector, "receive_text") + inputs(vector, "receive_binary")


@pytest.mark.parametrize("name", OWN)
def test_codes_and_errnos_are_those_of_the_service(name):
    vector, table = VECTORS[name], errno_table()
    for close in inputs(vector, "closed"):
        assert close["code"] in BY_CLIENT or CloseCode(close["code"])
    for answer in inputs(vector, "refused"):
        assert "errno" not in answer or table[answer["errno"]].status == answer["status"]
    for frame in inputs(vector, "receive"):
        assert "errno" not in frame or frame["errno"] in table


def test_every_close_code_of_the_service_has_a_vector():
    covered = {close["code"] for vector in VECTORS.values() for close in inputs(vector, "closed")}
    assert covered >= {code.value for code in CloseCode}
