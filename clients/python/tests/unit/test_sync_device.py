"""The device for programs without asyncio, whose functions may use it, against a server of the ``websockets`` library."""

from __future__ import annotations

import json
import threading

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from dpresence_client import Device


@pytest.fixture
def url():
    def handler(connection) -> None:
        with pytest.raises(ConnectionClosed):
            while True:
                connection.send(json.dumps({"result": "OK", "id": json.loads(connection.recv())["id"]}))
                connection.send(json.dumps({"cleared": ["n1"]}))

    with serve(handler, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
    thread.join()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("dpresence")]


@pytest.mark.parametrize("use", [lambda device: setattr(device, "status", "unavailable"), Device.close])
def test_a_function_for_cleared_notifications_may_use_the_device(url, use) -> None:
    given, used, done = [], threading.Event(), threading.Event()

    def on_cleared(ids) -> None:
        if not used.is_set():
            used.set()
            given.append(ids)
            use(device)
            done.set()

    device = Device(url, "ada@example.org", lambda: "assertion", on_cleared=on_cleared)
    device.start()
    assert done.wait(5) and given == [["n1"]]
    device.close()
    assert threads() == []


def test_a_function_for_cleared_notifications_that_fails_is_called_again(url, caplog) -> None:
    given, done = [], threading.Event()

    def on_cleared(ids) -> None:
        given.append(ids)
        if len(given) == 1:
            raise RuntimeError("the disk is full")
        done.set()

    with Device(url, "ada@example.org", lambda: "assertion", on_cleared=on_cleared) as device:
        device.status = "unavailable"
        assert done.wait(5)
    assert "cleared notifications could not be processed" in caplog.text and threads() == []
