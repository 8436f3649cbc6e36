"""The driver of an application's service that is connected without a websocket, with a clock that does not wait."""

from __future__ import annotations

import asyncio
import json
import selectors

import pytest

from dpresence_client import driver
from dpresence_client.app_core import AppServiceCore
from dpresence_client.driver import Driver
from dpresence_client.outputs import Answered, Stopped
from dpresence_client.upgrades import FIRST_SECONDS


class FakeClock(selectors.DefaultSelector):
    """Lets the time of an event loop pass at once when there is nothing to do."""

    now = 0.0

    def select(self, timeout=None):
        ready = super().select(0)
        self.now += 0 if ready else timeout or 0
        return ready


class FakeConnection:
    """Answers a sign-in, and no notification."""

    def __init__(self, _url, _context, events, _may_read) -> None:
        self._events = events
        self.task = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(events, "opened")

    def send(self, text: str) -> None:
        if json.loads(text)["action"] == "auth":
            answer = json.dumps({"result": "OK", "id": "auth", "recovery": "snapshot"})
            asyncio.get_running_loop().call_soon(self._events, "received", answer)

    def disconnect(self, _code: int) -> None:
        self.task.set_result(None)


async def connected() -> Driver:
    """Return the driver of a service that is connected without a websocket, and awaits an answer."""
    core = AppServiceCore("key", None, lambda: 0.5)
    core.blocked = True
    handlers = {Answered: lambda _: None, Stopped: lambda _: None}
    found = Driver(core, "ws://127.0.0.1/x", None, handlers, lambda: asyncio.sleep(0), FakeConnection)
    await found.start(5)
    core.notify([{"puid": "p"}])
    found.pump()
    assert not core.settled
    return found


def run(work) -> None:
    """Run a coroutine function with its event loop, whose time passes at once."""
    clock = FakeClock()
    loop = asyncio.SelectorEventLoop(clock)
    loop.time = lambda: clock.now
    try:
        loop.run_until_complete(work(loop))
    finally:
        loop.close()


def test_a_service_that_always_awaits_an_answer_tries_a_websocket_again_half_a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    websockets = []
    monkeypatch.setattr(driver, "Websocket", lambda *values: websockets.append(FakeConnection(*values)) or websockets[-1])

    async def work(_loop: asyncio.AbstractEventLoop) -> None:
        found = await connected()
        await asyncio.sleep(FIRST_SECONDS + 25)
        assert websockets == []
        await asyncio.sleep(30)
        assert len(websockets) == 1
        await found.close()

    run(work)


def test_a_client_that_is_closed_leaves_no_timer_for_a_websocket() -> None:
    async def work(loop: asyncio.AbstractEventLoop) -> None:
        found = await connected()
        await asyncio.sleep(FIRST_SECONDS + 5.5)
        found.core.stop()
        found.pump()
        await asyncio.sleep(0)
        await found.close()
        assert [handle for handle in loop._scheduled if not handle.cancelled()] == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(work)
