"""The web site of an application with the endpoint of its webhook."""

from __future__ import annotations

import time
from typing import Any

from standardwebhooks import Webhook

from ..live.clients import activate
from ..live.http_server import HttpServer, QuietHandler
from ..live.service import Service


class Receiver(HttpServer):
    """The web site of an application with the endpoint of its webhook, which keeps every message in a ledger."""

    def __init__(self) -> None:
        receiver, self.pages, self.ledger, self.secret = self, dict[str, str](), [], ""

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                body = receiver.pages.get(self.path, "").encode()
                self.send_response(200 if body else 404)
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.ledger.append((Webhook(receiver.secret).verify(body, dict(self.headers)), time.monotonic()))
                self.send_response(204)
                self.end_headers()

        super().__init__(Handler)
        self.domain = f"127.0.0.1:{self.port}"
        self.start()

    def hook(self, service: Service, *events: str) -> str:
        """Make an application with a webhook here; return its id."""
        app = activate(service.origin, self)
        made = app.owner.call(
            "PUT", f"/myapps/{app.appid}/webhook", {"url": f"http://{self.domain}/hook", "events": [*events] or ["presence"]}, 201
        )
        self.secret, self.app = made["secret"], app
        return app.appid

    def updates(self) -> list[tuple[int, list[tuple[str, str]]]]:
        """Return the offset and the entries of each message with updates."""
        data = [message["data"] for message, _ in list(self.ledger) if message["type"] == "presence.updates"]
        return [(int(each["cursor"].partition(":")[2]), [(one["puid"], one["status"]) for one in each["updates"]]) for each in data]

    def outcomes(self) -> list[dict[str, Any]]:
        """Return the entries of all messages with outcomes."""
        messages = [message for message, _ in list(self.ledger) if message["type"] == "notification.outcomes"]
        return [entry for message in messages for entry in message["data"]["outcomes"]]
