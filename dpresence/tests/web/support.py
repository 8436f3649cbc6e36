"""The real application as its clients see it: people with browsers and devices, developers, app services, and a web server."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import gevent
from webtest import TestApp, TestResponse

from dpresence.app import make_app
from dpresence.tests.contract_check import check_answer, check_body
from dpresence.tests.shared_start import shared_start
from dpresence.tests.support import DEVELOPMENT_TOKEN, WITH_TOKEN, FakeClock, FakeConnection
from dpresence.views.consent_form import form_token

HOST = "127.0.0.1:8282"
AUDIENCE = f"http://{HOST}"
INI = {
    "directory.url": "sqlite://",
    "identity.development": "true",
    "identity.development_token": DEVELOPMENT_TOKEN,
    "outbound.allow_loopback": "true",
    "redis.timeout_seconds": "30",
}
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class ProofServer:
    """The web server of an application's developer, on 127.0.0.1."""

    def __init__(self) -> None:
        self.forget()
        proof = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                proof.paths.append(self.path)
                status, body = proof.answer
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()
                self.wfile.write(body.encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                proof.posted.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(proof.answer[0])
                self.send_header("Location", "http://127.0.0.1:1/")
                if proof.retry_after:
                    self.send_header("Retry-After", proof.retry_after)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.domain = f"127.0.0.1:{self._server.server_port}"
        self.other_domain = f"localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def forget(self) -> None:
        """Forget all requests, and what to answer."""
        self.answer: tuple[int, str] = (200, "")
        self.retry_after = ""
        self.paths: list[str] = []
        self.posted: list[tuple[dict[str, str], bytes]] = []

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Browser:
    """A program or a browser that talks HTTP; signed in once ``csrf`` is set."""

    def __init__(self, app: Any, address: str = "127.0.0.1") -> None:
        self.web = TestApp(app, extra_environ={"REMOTE_ADDR": address, "HTTP_HOST": HOST})
        self.csrf: str | None = None

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """Make a call; headers are named with underscores, and the CSRF token is sent when there is one."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.csrf:
            given.setdefault("X-CSRF-Token", self.csrf)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            given.setdefault("Content-Type", JSON)
        data = {} if body is None else {"body": body}
        answer = self.web.request(path, method=method, headers=given, environ=self.web.extra_environ, expect_errors=True, **data)
        check_answer(method, path, answer.status_int, answer.content_type, answer.body)
        if answer.status_int < 300:
            check_body(method, path, given.get("Content-Type", ""), body)
        return answer

    def form(self, path: str, fields: dict[str, str], **headers: str) -> TestResponse:
        """Send the form of a page that was opened long ago; the CSRF token is one of its fields."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        made = form_token(self.web.cookies.get("dpresence", ""), made_at=0).partition(".")[2]
        return self.web.post(path, {"csrf": f"{self.csrf or ''}.{made}", **fields}, headers=given, expect_errors=True)


@dataclass
class App:
    """An application and its key."""

    id: str
    key: str
    owner: Browser


class World:
    """One service with a clock of its own."""

    def __init__(self, proof: ProofServer, here: str, clock: FakeClock | None = None, **overrides: str) -> None:
        self.clock = clock or FakeClock()
        self.proof = proof
        ini = {**INI, **{key.replace("__", "."): value for key, value in overrides.items()}}
        with shared_start():
            self.app = make_app(ini, here, self.clock)
        self.registry = self.app.registry["dpresence"]
        self.services = self.registry.services
        self.connections: list[FakeConnection] = []
        self._on_redis = "redis" in (ini.get("tracker"), ini.get("mailbox"))
        self._open = True

    def close(self) -> None:
        """Stop, as a process does; harmless when done before."""
        if self._open:
            self._open = False
            self.settle()
            hub = self.registry.services.hub
            for user, device, channel in hub.devices():  # or what is still to be delivered to them is tried again for ever
                hub.leave_device(user, device, channel)
            self.registry.close()

    # -- people

    def assertion(self, email: str) -> str:
        return str(Browser(self.app)("POST", "/__dev__/assertion", {"email": email}, **WITH_TOKEN).json["assertion"])

    def browser(self, address: str = "127.0.0.1") -> Browser:
        return Browser(self.app, address)

    def person(self, email: str) -> Browser:
        """Return a browser in which somebody has signed in."""
        browser = self.browser()
        browser.csrf = browser("POST", "/login", {"assertion": self.assertion(email)}).json["csrf"]
        return browser

    def authorization(self, email: str) -> dict[str, str]:
        """Return the header that signs a call without a cookie."""
        return {"Authorization": f"BrowserID {self.assertion(email)}"}

    # -- applications

    def registered(self, owner: Browser, domain: str | None = None, name: str = "Chess") -> dict[str, Any]:
        body = {"name": name, "domain": domain or self.proof.domain, "description": "Play"}
        return dict(owner("POST", "/myapps", body).json)

    def validated(self, owner: Browser, domain: str | None = None, name: str = "Chess") -> str:
        made = self.registered(owner, domain, name)
        self.proof.answer = (200, made["domain_key"])
        answer = owner("POST", f"/myapps/{made['appid']}/validate").json
        assert answer.get("valid_domain"), answer
        return str(made["appid"])

    def application(self, owner: Browser | None = None, domain: str | None = None, name: str = "Chess") -> App:
        """Return an application that is active."""
        owner = owner or self.person("dev@example.org")
        appid = self.validated(owner, domain, name)
        return App(appid, owner("POST", f"/myapps/{appid}/activate").json["api_key"], owner)

    def grant(self, email: str, app: App) -> str:
        """Let an application see somebody; returns the PUID."""
        return str(self.browser()("POST", f"/grant/{app.id}", **self.authorization(email)).json["puid"])

    # -- channels

    def _connect(self, path: str, address: str) -> FakeConnection:
        connection = FakeConnection(address)
        Browser(self.app, address).web.get(path, extra_environ={"wsgi.websocket": connection})
        self.connections.append(connection)
        return connection.start()

    def channel(self, address: str = "127.0.0.1") -> FakeConnection:
        """Return a device's channel on which nobody has signed in."""
        return self._connect("/presence", address)

    def device(self, email: str, status: str = "online", **fields: Any) -> FakeConnection:
        """Return a device's channel after its first update, with nothing of it in ``sent``."""
        channel = self.channel()
        first = {"email": email, "assertion": self.assertion(email), "status": status, **fields}
        assert channel.receive(first)["result"] == "OK" or channel.sent[0]["result"] == "OK", channel.sent
        channel.take()
        return channel

    def service_channel(self, app: App, address: str = "127.0.0.1") -> FakeConnection:
        """Return an app service's channel without a key."""
        return self._connect(f"/myapps/{app.id}", address)

    def service(self, app: App, since: str | None = None) -> FakeConnection:
        """Return an app service's channel after ``auth``; what it was sent is in ``sent``."""
        channel = self.service_channel(app)
        frame = {"action": "auth", "key": app.key, **({} if since is None else {"since": since})}
        channel.receive(frame)
        assert channel.sent[0]["result"] == "OK", channel.sent
        self.settle()
        return channel

    def followed(self, app: App) -> FakeConnection:
        """Return an app service's channel that has had its snapshot, with nothing of it in ``sent``."""
        channel = self.service(app)
        channel.take()
        return channel

    def notify(self, app: App, *items: dict[str, Any]) -> list[dict[str, Any]]:
        """Send notifications by REST; returns the answers."""
        answer = self.browser()("POST", f"/myapps/{app.id}/notifications", list(items), Authorization=f"Bearer {app.key}")
        assert answer.status_int == 200, answer.json
        return list(answer.json["notifications"])

    # -- time

    def settle(self) -> None:
        """Let what runs beside the calls run; the ping waits for the SQL that was under way, or gives Redis the time to answer."""
        directory = self.registry.backends.directory
        for _ in range(5):
            gevent.sleep(0)
            if self._on_redis or directory.measures.gauges()["backend_calls database"]:
                directory.ping()

    def carry_out(self) -> None:
        """Sweep until all effects of stored changes are applied; a sweep may leave work to the next."""
        self.services.retries.flush()
        for _ in range(2):
            self.services.outbox.sweep()
        self.services.reconciliation.sweep()

    def advance(self, seconds: float) -> None:
        """Let time pass, as the ticker and the sweeps see it."""
        self.clock.advance(seconds)
        for connection in self.connections:
            connection.tick()
        self.services.devices.sweep()
        self.services.devices.publish_postponed()
        self.settle()


def updates(channel: FakeConnection) -> list[tuple[str, str, str]]:
    """Return (puid, status, reason) of the updates an app service's channel was sent, and forget them."""
    frames = channel.take()
    assert all(set(frame) == {"updates", "cursor"} for frame in frames), frames
    return [(entry["puid"], entry["status"], entry["reason"]) for frame in frames for entry in frame["updates"]]


def say(channel: FakeConnection, status: str = "online", **fields: Any) -> Any:
    """Send an update of ann@example.org; returns the last frame it was answered with."""
    return channel.receive({"email": "ann@example.org", "status": status, **fields})


def seen(world: World, app: App) -> str:
    """Return the status an application sees of the only one who granted it."""
    answer = world.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {app.key}")
    return str(answer.json["presence"][0]["status"])


def ko(errno: int, error: str, **more: Any) -> dict[str, Any]:
    """Return the error object of section 7."""
    return {"result": "KO", "errno": errno, "error": error, **more}


def refusal(response: TestResponse) -> tuple[int, dict[str, Any]]:
    """Return HTTP status and body of a refusal."""
    assert response.content_type == JSON
    return response.status_int, response.json


NOT_FOUND = (404, ko(110, "not found"))


def snapshot(world: World, app: App) -> list[dict[str, object]]:
    """Return the statuses that an application sees."""
    return list(world.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {app.key}").json["presence"])
