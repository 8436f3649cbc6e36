"""The yardstick: gevent-websocket as it comes, doing by hand what a status update needs and nothing else.

``python -m bench.stock PORT`` parses each device's frame, answers it OK and forwards it to the one watcher. No identity,
no merging, no limits, nothing kept.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterable  # noqa: E402
from typing import Any  # noqa: E402

from gevent.lock import RLock  # noqa: E402
from geventwebsocket.handler import WebSocketHandler  # noqa: E402
from geventwebsocket.server import WebSocketServer  # noqa: E402

OK = '{"result":"OK"}'


class Relay:
    """The WSGI application; ``watcher`` is the channel of the last application that came."""

    def __init__(self) -> None:
        self.watcher: Any = None
        self.lock = RLock()  # two greenlets must not send on one socket
        self.offset = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        channel = environ.get("wsgi.websocket")
        if channel is None:
            start_response("404 Not Found", [])
            return []
        if environ["PATH_INFO"] == "/presence":
            self.device(channel)
        else:
            self.application(channel)
        return []

    def device(self, channel: Any) -> None:
        first = True
        while (text := channel.receive()) is not None:
            frame = json.loads(text)
            channel.send(OK)
            if self.watcher and not first:
                self.forward(frame)
            first = False

    def forward(self, frame: dict[str, Any]) -> None:
        self.offset += 1
        entry = {"puid": frame["email"], "status": frame["status"], "at": 1795364497000, "reason": "explicit"}
        with self.lock:
            self.watcher.send(json.dumps({"updates": [entry], "cursor": f"0123456789abcdef:{self.offset}"}))

    def application(self, channel: Any) -> None:
        channel.receive()
        channel.send(json.dumps({"result": "OK", "action": "auth", "recovery": "snapshot"}))
        channel.send(json.dumps({"snapshot": [], "last": True, "cursor": "0123456789abcdef:0"}))
        self.watcher = channel
        while channel.receive() is not None:
            """The watcher says nothing more."""


def main() -> None:
    """Serve until killed."""
    WebSocketServer(("127.0.0.1", int(sys.argv[1])), Relay(), handler_class=WebSocketHandler, backlog=1024, log=None).serve_forever()


if __name__ == "__main__":
    main()
