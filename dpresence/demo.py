"""``make demo``: starts a service, plays every role over real sockets and prints a line for each step.

The developer and the user make REST calls, the devices and the app service hold websockets, and this process serves the
application's web site. Nothing is mocked, and no file or process is left behind.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import SystemRandom
from typing import Any

import requests
from websockets.sync.client import connect

INI = """
[app:main]
use = egg:dpresence
directory.url = sqlite:///%(here)s/demo.db
identity.audience = http://127.0.0.1:{port}
identity.development = true
outbound.allow_loopback = true

[server:main]
use = egg:dpresence
port = {port}
"""
PORTS = range(10240, 32768)
"""Ports below those that systems give to outgoing connections (``ip_local_port_range`` of Linux)."""
START_SECONDS = 30
ANSWER_SECONDS = 10
_RANDOM = SystemRandom()


def say(who: str, what: str) -> None:
    """Print one step."""
    print(f"{who:>12}  {what}", flush=True)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on, and that no outgoing connection gets before the service listens."""
    while True:
        port = _RANDOM.choice(PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def service(folder: Path) -> Iterator[str]:
    """Run ``pserve`` in a folder; yields its origin and stops it at the end."""
    port = free_port()
    ini = folder / "development.ini"
    ini.write_text(INI.format(port=port), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("pserve")), "-q", str(ini)]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:  # noqa: S603
        try:
            origin = f"http://127.0.0.1:{port}"
            if not _answers(origin, process):
                raise SystemExit(f"the service did not start:\n{(folder / 'log').read_text()}")
            yield origin
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(ANSWER_SECONDS)
            process.kill()


def _answers(origin: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the service answers; return False if it has ended or does not within ``START_SECONDS``."""
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with suppress(requests.ConnectionError):
            requests.get(f"{origin}/__lbheartbeat__", timeout=ANSWER_SECONDS)
            return True
        time.sleep(0.05)
    return False


@contextmanager
def web_site() -> Iterator[tuple[str, dict[str, str]]]:
    """Run the application's web site; yields its domain and the bodies that it serves, by path."""
    pages: dict[str, str] = {}

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}", pages
    finally:
        server.shutdown()
        server.server_close()


class Person:
    """A user or developer who signs each call with a new assertion.

    :param token: the development token, which each request for an assertion must carry.
    """

    def __init__(self, origin: str, email: str, token: str) -> None:
        self.origin = origin
        self.email = email
        self._token = {"X-Development-Token": token}

    def assertion(self) -> str:
        """Return an assertion of the e-mail, from the development issuer."""
        url = f"{self.origin}/__dev__/assertion"
        answer = requests.post(url, json={"email": self.email}, headers=self._token, timeout=ANSWER_SECONDS)
        return str(answer.json()["assertion"])

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Make a REST call; returns the decoded JSON body, None when there is none."""
        headers = {"Authorization": f"BrowserID {self.assertion()}"}
        answer = requests.request(method, self.origin + path, json=body, headers=headers, timeout=ANSWER_SECONDS)
        answer.raise_for_status()
        return answer.json() if answer.content else None


class Channel:
    """A websocket that speaks JSON."""

    def __init__(self, origin: str, path: str) -> None:
        self._open = ExitStack()
        self.socket = self._open.enter_context(connect(origin.replace("http", "ws", 1) + path))

    def send(self, **frame: Any) -> None:
        """Send a frame."""
        self.socket.send(json.dumps(frame))

    def receive(self) -> Any:
        """Return the next frame."""
        return json.loads(self.socket.recv(timeout=ANSWER_SECONDS))

    def ask(self, **frame: Any) -> Any:
        """Send a frame and return the next one received."""
        self.send(**frame)
        return self.receive()

    def close(self) -> None:
        """Close the socket."""
        self._open.close()


def play(origin: str, token: str, domain: str, pages: dict[str, str]) -> None:
    """Play every role; an unexpected answer raises."""
    developer, user = Person(origin, "dev@example.org", token), Person(origin, "ada@example.org", token)
    appid, key = _activate(developer, domain, pages)
    puid = user.call("POST", f"/grant/{appid}")["puid"]
    say("user", f"{user.email} grants access; the application gets the pseudonym {puid}, never the e-mail address")

    app_service = Channel(origin, f"/myapps/{appid}")
    answer = app_service.ask(action="auth", key=key)
    snapshot = app_service.receive()
    say("app service", f"signs in on its websocket and receives a {answer['recovery']}: {_shown(snapshot['snapshot'])}")

    _meet(app_service, user, puid, f"http://{domain}/game/7")
    _meet_later(app_service, user, puid)

    user.call("DELETE", f"/grant/{appid}")
    say("user", "revokes the grant")
    say("app service", f"receives the last update: {_shown(app_service.receive()['updates'])}")
    app_service.close()


def _activate(developer: Person, domain: str, pages: dict[str, str]) -> tuple[str, str]:
    """Register an application, and return its id and its key."""
    app = developer.call("POST", "/myapps", {"name": "Chess club", "domain": domain, "description": "Who is up for a game?"})
    path = f"/myapps/{app['appid']}"
    say("developer", f"registers the application “{app['name']}” with the domain {domain}")
    pages["/__presence"] = app["domain_key"]
    developer.call("POST", f"{path}/validate")
    say("developer", f"serves the domain key at http://{domain}/__presence, and the service validates the domain")
    key = developer.call("POST", f"{path}/activate")["api_key"]
    say("developer", f"activates the application and gets an API key: {key[:10]}…, shown only once")
    return app["appid"], key


def _meet(app_service: Channel, user: Person, puid: str, action: str) -> None:
    """Notify a user who is online and then sets their status to offline."""
    device = Channel(user.origin, "/presence")
    _expect(device.ask(email=user.email, assertion=user.assertion(), status="online"), result="OK")
    say("device", "signs in on its websocket and sets its status to online")
    say("app service", f"receives an update: {_shown(app_service.receive()['updates'])}")

    note = {"puid": puid, "message": "Your move", "action": action}
    sent = app_service.ask(action="notify", id=1, notifications=[note])["notifications"][0]
    say("app service", f"sends a notification: {sent['result']}, delivered: {sent['delivered']}")
    got = device.receive()["notifications"][0]
    say("device", f"receives it: {got['source']}: {got['message']} → {got['action']}")

    _expect(device.ask(email=user.email, status="offline"), result="OK")
    say("device", "sets its status to offline")
    say("app service", f"receives an update: {_shown(app_service.receive()['updates'])}")
    device.close()


def _meet_later(app_service: Channel, user: Person, puid: str) -> None:
    """Notify a user who is offline, and signs in with another device."""
    note = {"puid": puid, "message": "Still there?"}
    sent = app_service.ask(action="notify", notifications=[note])["notifications"][0]
    say("app service", f"sends a notification while the user is offline: {sent['result']}, {sent['queue_size']} waiting")
    phone = Channel(user.origin, "/presence")
    _expect(phone.ask(email=user.email, assertion=user.assertion(), status="unavailable", device="phone"), result="OK")
    say("phone", f"signs in with the status unavailable and receives it: {phone.receive()['notifications'][0]['message']}")
    say("app service", f"receives an update: {_shown(app_service.receive()['updates'])}")
    phone.close()


def _shown(entries: list[dict[str, Any]]) -> str:
    return ", ".join(f"{entry['puid']} is {entry['status']}" + _because(entry) for entry in entries)


def _because(entry: dict[str, Any]) -> str:
    return f" ({entry['reason']})" if "reason" in entry else ""


def _expect(answer: dict[str, Any], **wanted: Any) -> None:
    if any(answer.get(name) != value for name, value in wanted.items()):
        raise SystemExit(f"unexpected answer: {answer}")


def main() -> None:
    """Play the demo; exits 0 when every answer was as expected."""
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as origin, web_site() as (domain, pages):
        say("service", f"runs on {origin}")
        play(origin, Path(folder, "development.token").read_text(encoding="ascii"), domain, pages)
        say("service", "stops; every step has succeeded")


if __name__ == "__main__":
    main()
