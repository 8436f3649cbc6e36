"""Runs the vectors of ``clients/vectors`` against the cores; the README there describes their form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List

from dpresence_client.app_core import AppServiceCore
from dpresence_client.core import Core
from dpresence_client.device_core import DeviceCore
from dpresence_client.errors import ClientClosed, Closed, OutcomeUnknown, PresenceError, Refused
from dpresence_client.outputs import (
    Answered,
    AskCredentials,
    Cleared,
    Connect,
    Connected,
    Deliver,
    DeliverOutcomes,
    Disconnect,
    Notified,
    Output,
    SaveTicket,
    Send,
    Stopped,
    Unread,
)
from dpresence_client.table import Table
from dpresence_client.values import Entry

FOLDER = Path(__file__).parents[2] / "vectors"


def vectors() -> Iterator[Any]:
    """Return every vector with its file and name."""
    for path in sorted(FOLDER.glob("*.json")):
        for vector in json.loads(path.read_text(encoding="utf-8"))["vectors"]:
            yield f"{path.stem}: {vector['name']}", vector


class Run:
    """One vector, with a clock of its own."""

    def __init__(self, vector: Dict[str, Any]) -> None:
        given = vector["given"]
        self.table = Table({puid: Entry(*entry) for puid, entry in given.get("table", {}).items()}, given.get("cursor"))
        self.core = self._core(vector["client"], given, vector["random"])
        self._vector = vector

    def _core(self, client: str, given: Dict[str, Any], random: float) -> Core:
        if client == "appservice":
            return AppServiceCore(given["key"], self.table.cursor, lambda: random, given.get("outcomes"))
        first = {name: given[name] for name in ("device", "inbox", "clears", "label", "kind") if name in given}
        return DeviceCore(given["email"], given.get("status", "online"), given.get("ticket"), lambda: random, first)

    def play(self) -> None:
        """Run all steps.

        :raises AssertionError: the outputs are others than those of the vector.
        """
        for step in self._vector["steps"]:
            self._advance(step["at"])
            [(name, value)] = step["in"].items()
            getattr(self, f"_{name}")(value, step["at"])
            got = [self._shown(output) for output in self.core.take()]
            assert got == step["out"], f"at {step['at']}, {step['in']}"

    def _advance(self, until: float) -> None:
        """Tick at every deadline before a time; none of them may have an output."""
        for _ in range(100):
            deadline = self.core.deadline
            if deadline is None or deadline >= until:
                return
            self.core.tick(deadline)
            assert self.core.take() == [], f"an output at {deadline}, before {until}"
        raise AssertionError("the deadline does not advance")

    # -- inputs

    def _start(self, _: Any, now: float) -> None:
        self.core.start(now)

    def _stop(self, _: Any, now: float) -> None:
        self.core.stop()

    def _time(self, _: Any, now: float) -> None:
        self.core.tick(now)

    def _opened(self, _: Any, now: float) -> None:
        self.core.opened(now)

    def _refused(self, answer: Dict[str, Any], now: float) -> None:
        body = json.dumps(answer) if "errno" in answer else "<html>"
        self.core.refused(answer["status"], body, answer.get("retry_after", 0), now)

    def _receive(self, frame: Any, now: float) -> None:
        self.core.received(json.dumps(frame), now)

    def _receive_text(self, text: str, now: float) -> None:
        self.core.received(text, now)

    def _receive_binary(self, data: str, now: float) -> None:
        self.core.received(bytes.fromhex(data), now)

    def _closed(self, close: Dict[str, Any], now: float) -> None:
        self.core.closed(close["code"], close["reason"], now)

    def _credentials(self, assertion: Any, now: float) -> None:
        self.device.credentials(assertion, now)

    def _credentials_failed(self, failure: Dict[str, Any], now: float) -> None:
        self.device.credentials_failed(failure["text"], failure["retry_after"], now)

    def _set_status(self, status: str, now: float) -> None:
        self.device.set_status(status, now)

    def _set_override(self, change: Dict[str, Any], now: float) -> None:
        self.device.set_override(change["status"], change.get("until"), now)

    def _processed(self, ids: List[str], now: float) -> None:
        self.device.acknowledge(ids, now)

    def _mark_read(self, ids: List[str], now: float) -> None:
        self.device.mark_read(ids, now)

    def _report(self, report: Dict[str, Any], now: float) -> None:
        self.device.report(report["action"], report["notifications"], now)

    def _failed(self, ids: List[str], now: float) -> None:
        self.device.failed(ids)

    def _notify(self, notifications: Any, now: float) -> None:
        self.app.notify(notifications)

    def _abandon(self, number: int, now: float) -> None:
        self.app.abandon(number)

    @property
    def device(self) -> DeviceCore:
        assert isinstance(self.core, DeviceCore)
        return self.core

    @property
    def app(self) -> AppServiceCore:
        assert isinstance(self.core, AppServiceCore)
        return self.core

    # -- outputs

    def _shown(self, output: Output) -> Dict[str, Any]:
        if isinstance(output, Deliver):
            current = {"current": True} if output.batch.completes else {}
            return {"changes": [list(change) for change in self.table.apply(output.batch)], **current}
        if isinstance(output, Answered):
            return {"answer": output.number, **_results(output.results)}
        return _PLAIN[type(output)](output)


def _results(results: Any) -> Dict[str, Any]:
    if isinstance(results, PresenceError):
        return _error(results)
    return {"results": [one.errno if isinstance(one, Refused) else "OK" for one in results]}


def _error(error: Any) -> Dict[str, Any]:
    if isinstance(error, Refused):
        return {"errno": error.errno} if error.errno else {"status": error.status}
    if isinstance(error, OutcomeUnknown):
        return {"unknown": True}
    if isinstance(error, ClientClosed):
        return {"closed": True}
    return {"code": error.code} if isinstance(error, Closed) else {}


_PLAIN: Any = {
    Connect: lambda output: {"connect": True},
    Connected: lambda output: {"connected": True},
    AskCredentials: lambda output: {"ask_credentials": True},
    Disconnect: lambda output: {"disconnect": output.code},
    Send: lambda output: {"send": output.frame},
    SaveTicket: lambda output: {"save_ticket": output.ticket},
    Unread: lambda output: {"unread": output.number},
    Cleared: lambda output: {"cleared": output.ids},
    Notified: lambda output: {"notifications": [one.id for one in output.notifications]},
    DeliverOutcomes: lambda output: {"outcomes": [list(one) for one in output.batch.outcomes]},
    Stopped: lambda output: {"stopped": _error(output.error)},
}
