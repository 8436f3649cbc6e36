"""Clients of the service, for the live tests: a person, their devices, an application and its app service.

The websockets are the ``websockets`` library's, a client we did not write.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from dpresence.tests.contract_check import check_accepted, check_answer, check_frame
from dpresence.tests.support import WITH_TOKEN
from dpresence.tests.waiting import PATIENCE_SECONDS

from .service import Site

ANSWER_SECONDS = PATIENCE_SECONDS
QUIET_SECONDS = 0.3
SOCKET: Any = {"ping_interval": None, "open_timeout": PATIENCE_SECONDS, "close_timeout": 2, "proxy": None, "compression": None}
"""Options of every websocket."""


def trusting(certificate: Path) -> ssl.SSLContext:
    """Return a context for websockets that trusts a certificate.

    It stops at TLS 1.2: this client reads in one thread while it writes in another, OpenSSL permits no such use of one connection, and
    a session ticket that arrives just after the handshake of TLS 1.3 makes it lose the request, once in about 150 times.
    """
    context = ssl.create_default_context(cafile=certificate)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class Person:
    """A person with an e-mail address, who signs each call with a fresh assertion of the development issuer."""

    def __init__(self, origin: str, email: str) -> None:
        self.origin = origin
        self.email = email

    def assertion(self) -> str:
        """Return a proof of the e-mail."""
        url = f"{self.origin}/__dev__/assertion"
        answer = requests.post(url, json={"email": self.email}, headers=WITH_TOKEN, timeout=ANSWER_SECONDS)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["assertion"])

    def call(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        """Make a REST call; return the body of its answer, None without one.

        :param status: the one expected; any of 2xx without it.
        """
        headers = {"Authorization": f"BrowserID {self.assertion()}"}
        answer = requests.request(method, self.origin + path, json=body, headers=headers, timeout=ANSWER_SECONDS)
        check_answer(method, path, answer.status_code, answer.headers.get("Content-Type", ""), answer.content)
        assert answer.status_code == status if status else answer.ok, f"{answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    def grant(self, application: Application) -> str:
        """Let an application see the person; return the PUID."""
        return str(self.call("POST", f"/grant/{application.appid}")["puid"])

    def device(self, status: str = "online", **fields: Any) -> Device:
        """Return a signed-in device of the person."""
        device = Device(self)
        device.sign_in(status, **fields)
        return device


@dataclass(frozen=True)
class Application:
    """An active application."""

    origin: str
    appid: str
    key: str
    owner: Person
    domain: str

    def service(self, since: str | None = None) -> AppService:
        """Return its app service, signed in, the snapshot received if there is one."""
        service = AppService(self)
        service.authenticate(since)
        return service

    def slow_reader(self) -> AppService:
        """Return an app service that has signed in, reads its snapshot and no more, and has hardly room to receive."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", int(self.origin.rpartition(":")[2])))
        service = AppService(self, sock=sock, max_queue=1)
        service.authenticate()
        return service


def activate(origin: str, site: Site, email: str = "dev@example.org", name: str = "Chess club") -> Application:
    """Register, validate and activate an application on a site."""
    owner = Person(origin, email)
    made = owner.call("POST", "/myapps", {"name": name, "domain": site.domain, "description": ""}, 201)
    path = f"/myapps/{made['appid']}"
    site.pages["/__presence"] = made["domain_key"]
    assert owner.call("POST", f"{path}/validate")["valid_domain"]
    return Application(origin, made["appid"], owner.call("POST", f"{path}/activate")["api_key"], owner, site.domain)


class Channel:
    """A websocket that speaks JSON; a context that closes it."""

    def __init__(self, origin: str, path: str, **options: Any) -> None:
        url = origin.replace("http", "ws", 1) + path
        self.path = path
        self._open = ExitStack()
        self.socket = self._open.enter_context(connect(url, **SOCKET, **options))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def send(self, **frame: Any) -> None:
        """Send a frame."""
        self.socket.send(json.dumps(frame))

    def receive(self, seconds: float = ANSWER_SECONDS) -> Any:
        """Return the next frame."""
        frame = json.loads(self.socket.recv(timeout=seconds))
        check_frame(self.path, frame)
        return frame

    def ask(self, **frame: Any) -> Any:
        """Send a frame and return what comes next."""
        self.send(**frame)
        answer = self.receive()
        check_accepted(self.path, json.dumps(frame), answer)
        return answer

    def assert_silent(self, seconds: float = QUIET_SECONDS) -> None:
        """Fail when anything arrives within some time."""
        try:
            frame = self.receive(seconds)
        except TimeoutError:
            return
        raise AssertionError(f"did not expect {frame}")

    def wait_closed(self, seconds: float = ANSWER_SECONDS) -> tuple[int, str]:
        """Wait for the end; return the close code and reason of the server."""
        end = time.monotonic() + seconds
        try:
            while True:
                self.receive(max(0.0, end - time.monotonic()))
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")

    def close(self) -> None:
        """Close by the book."""
        self._open.close()

    def cut(self) -> None:
        """End without a close frame."""
        self.socket.socket.shutdown(socket.SHUT_RDWR)
        self.close()


class Device(Channel):
    """A device of a person."""

    def __init__(self, person: Person, **options: Any) -> None:
        super().__init__(options.pop("origin", person.origin), "/presence", **options)
        self.person = person
        self.ticket: str | None = None

    def sign_in(self, status: str, **fields: Any) -> Any:
        """Send the first frame and return its answer, which is OK."""
        fields.setdefault("assertion", self.person.assertion())
        answer = self.ask(email=self.person.email, status=status, **fields)
        assert answer["result"] == "OK", answer
        self.ticket = answer.get("ticket")
        return answer

    def say(self, status: str) -> None:
        """Send an update and have it answered OK."""
        answer = self.ask(email=self.person.email, status=status)
        assert answer == {"result": "OK"}, answer

    def notifications(self, count: int, seconds: float = ANSWER_SECONDS) -> list[dict[str, Any]]:
        """Return the next so many notifications."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            found += self.receive(seconds)["notifications"]
        assert len(found) == count, found
        return found


class AppService(Channel):
    """An application's service: ``statuses`` is its view by PUID, ``cursor`` its position."""

    def __init__(self, application: Application, **options: Any) -> None:
        origin = options.pop("origin", application.origin)
        super().__init__(origin, f"/myapps/{application.appid}", max_size=None, **options)
        self.application = application
        self.cursor: str | None = None
        self.recovery = ""
        self.statuses: dict[str, str] = {}
        self.updates: list[dict[str, Any]] = []

    def authenticate(self, since: str | None = None, seconds: float = ANSWER_SECONDS) -> str:
        """Sign in; return how it recovered: ``snapshot``, which is received whole then, or ``replayed``."""
        answer = self.ask(action="auth", key=self.application.key, **({"since": since} if since else {}))
        assert answer["result"] == "OK", answer
        self.recovery = answer["recovery"]
        self.cursor = since
        if self.recovery == "snapshot":
            self.statuses = {}
            self._take_until(lambda frame: frame.get("last") is True, seconds)
        return self.recovery

    def _take_until(self, done: Any, seconds: float) -> Any:
        end = time.monotonic() + seconds
        while True:
            frame = self.receive(max(0.0, end - time.monotonic()))
            for entry in frame.get("snapshot", []) + frame.get("updates", []):
                self.statuses[entry["puid"]] = entry["status"]
            self.updates += frame.get("updates", [])
            self.cursor = frame.get("cursor", self.cursor)
            if done(frame):
                return frame

    def next_updates(self, count: int = 1, seconds: float = ANSWER_SECONDS) -> list[tuple[str, str, str]]:
        """Return the next so many updates as (puid, status, reason)."""
        while len(self.updates) < count:
            self._take_until(lambda frame: "updates" in frame, seconds)
        taken, self.updates = self.updates[:count], self.updates[count:]
        return [(entry["puid"], entry["status"], entry["reason"]) for entry in taken]

    def follow(self, cursor: str | None) -> dict[str, str]:
        """Read on up to a cursor; return what it believes then."""
        if self.cursor != cursor:
            self._take_until(lambda frame: frame.get("cursor") == cursor, ANSWER_SECONDS)
        return self.statuses

    def catch_up(self) -> dict[str, str]:
        """Read until a ping is answered, which is after everything missed; return what it believes then."""
        self.send(action="ping", id="ping")
        self._take_until(lambda frame: frame.get("id") == "ping", ANSWER_SECONDS)
        return self.statuses

    def assert_no_updates(self, seconds: float = QUIET_SECONDS) -> None:
        """Fail when an update arrives within some time."""
        assert not self.updates
        self.assert_silent(seconds)

    def notify(self, *notifications: dict[str, Any], frame_id: int = 1) -> list[dict[str, Any]]:
        """Send notifications; return the answer to each."""
        self.send(action="notify", id=frame_id, notifications=notifications)
        answer = self._take_until(lambda frame: frame.get("id") == frame_id, ANSWER_SECONDS)
        assert answer["result"] == "OK", answer
        return list(answer["notifications"])
