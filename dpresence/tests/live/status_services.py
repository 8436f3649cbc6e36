"""The services that ``examples/status`` writes to: a real Synapse as a process, and a server that follows Slack's documentation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import quote

import requests

from dpresence.demo import free_port
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .http_server import HttpServer, QuietHandler

_SYNAPSE: dict[str, Any] = {
    **{"server_name": "localhost", "report_stats": False, "trusted_key_servers": [], "presence": {"enabled": True}},
    **{"enable_registration": True, "enable_registration_without_verification": True, "macaroon_secret_key": "secret"},
    "rc_presence": {"per_user": {"per_second": 0.5, "burst_count": 1}},  # five times its default
}
_LOG = {"version": 1, "disable_existing_loggers": False, "root": {"level": "WARNING"}}


class Synapse:
    """The Matrix server; a context that ends it. Synapse is in the environment of the tests."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        listener = {"port": port, "type": "http", "bind_addresses": ["127.0.0.1"], "resources": [{"names": ["client"]}]}
        files = {name: str(folder / name) for name in ("pid_file", "media_store_path", "signing_key_path", "log_config")}
        database = {"name": "sqlite3", "args": {"database": str(folder / "database")}}
        self._file = folder / "homeserver.yaml"  # JSON is YAML
        self._file.write_text(json.dumps({**_SYNAPSE, **files, "listeners": [listener], "database": database}))
        (folder / "log_config").write_text(json.dumps(_LOG))

    def __enter__(self) -> Synapse:
        command = [sys.executable, "-m", "synapse.app.homeserver", "-c", str(self._file)]
        quiet: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([*command, "--generate-keys"], check=True, **quiet)
        self._process = subprocess.Popen(command, **quiet)
        eventually(lambda: requests.get(f"{self.url}/_matrix/client/versions", timeout=5).ok)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)

    def register(self, name: str) -> str:
        """Add a user; return an access token of theirs."""
        body = {"username": name, "password": "correct horse", "auth": {"type": "m.login.dummy"}}
        answer = requests.post(f"{self.url}/_matrix/client/v3/register", json=body, timeout=PATIENCE_SECONDS)
        return str(answer.json()["access_token"])

    def presence(self, user: str, token: str) -> str:
        """Return what a user shows."""
        url = f"{self.url}/_matrix/client/v3/presence/{quote(user, safe='')}/status"
        return str(requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_SECONDS).json()["presence"])


class Slack(HttpServer):
    """A server that answers ``users.profile.set``; a context that ends it.

    :ivar written: each profile that it accepted.
    :ivar refusals: answers to the next calls, as a status with headers.
    """

    def __init__(self, token: str) -> None:
        self.written: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self.refusals: list[tuple[int, dict[str, str]]] = []
        slack = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if slack.refusals:
                    self._answer(*slack.refusals.pop(0), {"ok": False, "error": "ratelimited"})
                elif self.path != "/api/users.profile.set":
                    self._answer(200, {}, {"ok": False, "error": "unknown_method"})
                elif self.headers["Authorization"] != f"Bearer {token}":
                    self._answer(200, {}, {"ok": False, "error": "invalid_auth"})
                else:
                    slack.written.put(body["profile"])
                    self._answer(200, {}, {"ok": True, "profile": body["profile"]})

            def _answer(self, status: int, headers: dict[str, str], body: Any) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

        super().__init__(Handler)
        self.url = f"http://127.0.0.1:{self.port}/api"

    def next(self) -> dict[str, Any]:
        """Return the next profile that is written."""
        return self.written.get(timeout=PATIENCE_SECONDS)

    def until(self, text: str) -> list[str]:
        """Wait for a text; return those that were written before."""
        before = []
        while (found := self.next()["status_text"]) != text:
            before.append(found)
        return before
