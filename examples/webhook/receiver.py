"""The endpoint of a webhook: prints who is reachable now, and what became of notifications, without a websocket.

    python3 examples/register.py localhost:5000 examples/webhook --webhook /presence
    python3 examples/webhook/receiver.py

It also serves the domain key, which proves to the service that the domain is ours.
"""

from __future__ import annotations

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from dpresence_client import WebhookRefused, verify_webhook

REGISTERED = Path(__file__).with_name("presence.json")
SIZE = re.compile("[0-9]{1,6}")


class Tables:
    """The status of each user by PUID, and the last outcome of each notification by id.

    A real program keeps them in its database, and answers once they are stored.
    """

    def __init__(self) -> None:
        self.present: dict[str, str] = {}
        self.outcomes: dict[str, str] = {}
        self._snapshot: dict[str, str] = {}

    def apply(self, message: dict[str, Any]) -> dict[str, str]:
        """Apply a message; return the table that it is about.

        One that comes twice changes nothing in the end, as entries come in order, and say what is and not what has changed.
        """
        data = message["data"]
        if message["type"] == "notification.outcomes":
            self.outcomes |= {entry["id"]: entry["outcome"] for entry in data["outcomes"]}
            return self.outcomes
        if message["type"] == "presence.updates":
            for entry in data["updates"]:
                self.present[entry["puid"]] = entry["status"]
                if entry["reason"] == "revoked":
                    del self.present[entry["puid"]]
        elif message["type"] == "presence.snapshot":
            if data.get("first"):  # the one before it, if any, was not completed
                self._snapshot = {}
            self._snapshot |= {entry["puid"]: entry["status"] for entry in data["snapshot"]}
            if data["last"]:  # who is in no page has revoked
                self.present, self._snapshot = self._snapshot, {}
        return self.present


class Endpoint(BaseHTTPRequestHandler):
    """Answers the service's requests."""

    registered: dict[str, str]
    tables: Tables

    def do_GET(self) -> None:
        """Answer the domain key."""
        proves = self.path == "/__presence"
        self._answer(200 if proves else 404, self.registered["domain_key"] if proves else "")

    def do_POST(self) -> None:
        """Take a message, and answer 204 once it is applied; 400 or 413 if it is not the service's."""
        length = self.headers.get("Content-Length", "")
        if not SIZE.fullmatch(length):
            self._answer(413)  # the service says the length, and sends less
            return
        body = self.rfile.read(int(length))
        try:
            message = verify_webhook(self.registered["webhook_secret"], dict(self.headers), body)
        except WebhookRefused as refused:
            self._answer(400, str(refused))
            return
        table = self.tables.apply(message)
        self._answer(204)
        print(message["type"], json.dumps(table), flush=True)

    def _answer(self, status: int, text: str = "") -> None:
        self.send_response(status)
        if text:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def main(file: Path) -> None:
    """Serve the domain of the application that ``register.py`` has registered."""
    Endpoint.registered, Endpoint.tables = json.loads(file.read_text()), Tables()
    port = int(Endpoint.registered["domain"].rpartition(":")[2])
    ThreadingHTTPServer(("127.0.0.1", port), Endpoint).serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REGISTERED)
