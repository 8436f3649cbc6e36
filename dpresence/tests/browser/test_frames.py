"""The comparison of a browser's frames with the contract fails when it should."""

from __future__ import annotations

import json
import threading

import pytest
from websockets.sync.server import ServerConnection, serve

from .conftest import Scene
from .support import Browser

OPEN = """
    const socket = new WebSocket("ws://127.0.0.1:%s/presence");
    socket.onopen = () => socket.send(JSON.stringify(%s));
    socket.onmessage = () => { window.received = true; };
"""


@pytest.mark.browser
@pytest.mark.parametrize(
    ("sent", "answer", "error"),
    [
        ({"action": "ack", "notifications": ["a"]}, {"result": "OK", "surprise": 1}, "/presence: sent .*surprise"),
        ({"action": "ask"}, {"result": "OK"}, "/presence: a client sent .*ask"),
    ],
    ids=["received", "sent"],
)
def test_a_frame_that_is_not_in_the_contract_is_found(browser: Browser, scene: Scene, sent: object, answer: object, error: str) -> None:
    def talk(channel: ServerConnection) -> None:
        channel.recv()
        channel.send(json.dumps(answer))
        channel.recv()

    scene.site.pages["/"] = "<!doctype html><title>page</title>"
    browser.open(f"{scene.site.origin}/")
    with serve(talk, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.run(OPEN % (server.socket.getsockname()[1], json.dumps(sent)))
        browser.wait(lambda it: it.run("return window.received"))
        with pytest.raises(AssertionError, match=error):
            browser.frames.compare()
        browser.open("about:blank")
    scene.site.pages.pop("/")
