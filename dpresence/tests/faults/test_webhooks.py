"""Webhooks while the sender, Redis and PostgreSQL are killed, and beside a thousand endpoints that never answer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks import Webhook

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.model import Application, Identity
from dpresence.model.webhooks import Webhook as StoredWebhook

from ..live.clients import Person, activate
from ..live.service import Service
from ..waiting import eventually
from .cluster import Cluster, stores

pytestmark = pytest.mark.faults

ENTRIES = int(os.environ.get("WEBHOOK_ENTRIES", "10000"))
PER_SECOND = 100
USERS = 20
DEAF = 1000
LEASE_SECONDS = 60
DEAF_SECONDS = 20.0
"""A round of 1000 first attempts, 100 at a time, each of which may be ended after a second, takes 10 s."""


class Receiver:
    """The web site of an application with the endpoint of its webhook, which keeps every message in a ledger."""

    def __init__(self) -> None:
        receiver, self.pages, self.ledger, self.secret = self, dict[str, str](), [], ""

        class Handler(BaseHTTPRequestHandler):
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

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.domain = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def hook(self, service: Service) -> str:
        """Make an application with a webhook here; return its id."""
        app = activate(service.origin, self)
        made = app.owner.call("PUT", f"/myapps/{app.appid}/webhook", {"url": f"http://{self.domain}/hook"}, 201)
        self.secret, self.app = made["secret"], app
        return app.appid

    def updates(self) -> list[tuple[int, list[tuple[str, str]]]]:
        """Return the offset and the entries of each message with updates."""
        data = [message["data"] for message, _ in list(self.ledger) if message["type"] == "presence.updates"]
        return [(int(each["cursor"].partition(":")[2]), [(one["puid"], one["status"]) for one in each["updates"]]) for each in data]


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


def test_every_update_arrives_in_order_although_everything_is_killed(receiver, figures) -> None:
    with stores(fsync="always") as servers, Cluster(servers, {"presence.feed_entries": 100000}) as cluster:
        first, second = cluster.start(), cluster.start()
        appid = receiver.hook(first)
        eventually(lambda: receiver.ledger)
        cluster.seed(appid, USERS)
        writer = subprocess.Popen(
            [sys.executable, "-m", "dpresence.tests.faults.feed_writer", str(first.ini), appid, str(ENTRIES), str(PER_SECOND)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        kills = {10: first.crash, 30: second.crash, 50: lambda: (servers.redis.kill(), servers.redis.start()), 70: servers.postgresql.crash}
        try:
            for line in writer.stdout or ():
                if kill := kills.get(int(line)):
                    kill()
                    if int(line) == 70:
                        servers.postgresql.start()
                if int(line) == 100:
                    break
            eventually(lambda: sum(len(entries) for _, entries in receiver.updates()) >= ENTRIES, seconds=3 * LEASE_SECONDS)
        finally:
            writer.communicate()
        reached, found, again = 0, [], 0
        for offset, entries in receiver.updates():
            start = offset - len(entries)
            assert start <= reached, f"the updates from {reached} to {start} are missing"
            assert found[start:offset] == entries[: len(found) - start], "what comes again is the same"
            again += min(len(found), offset) - start
            found += entries[max(0, reached - start) :]
            reached = max(reached, offset)
        by_puid: dict[str, list[str]] = {}
        for puid, status in found:
            by_puid.setdefault(puid, []).append(status)
        assert len(by_puid) == USERS
        for statuses in by_puid.values():
            written = [status for status in statuses if status != "offline"]
            assert written == ["online", "unavailable"] * (ENTRIES // USERS // 2)
        figures.count("webhooks", "updates that came twice", again, 400)


def test_a_thousand_endpoints_that_never_answer_cost_another_one_seconds(tmp_path, receiver, figures) -> None:
    deaf = socket.create_server(("127.0.0.1", 0), backlog=4096)
    service = Service(tmp_path, {"channels.registrations_per_hour": 100000})
    service.start()
    try:
        appid = receiver.hook(service)
        eventually(lambda: receiver.ledger)
        service.stop()
        add_deaf_webhooks(f"sqlite:///{tmp_path}/live.db", deaf.getsockname()[1])
        service.start()
        person = Person(service.origin, "ann@example.org")
        waited = []
        for _ in range(3):
            before, began = len(receiver.ledger), time.monotonic()
            person.call("POST", f"/grant/{appid}")
            person.call("DELETE", f"/grant/{appid}")
            eventually(lambda before=before: len(receiver.ledger) > before)
            waited.append(receiver.ledger[-1][1] - began)
        figures.time("webhooks", "a message beside 1000 endpoints that never answer", max(waited), DEAF_SECONDS)
        metrics = service.alive_within(1.0)
        figures.time("webhooks", "a health check beside them", metrics, 1.0)
    finally:
        service.stop()
        deaf.close()
    service.assert_clean()


def add_deaf_webhooks(url: str, port: int) -> None:
    """Store applications with webhooks at a port that takes connections and answers nothing."""
    database = Database(url)
    directory = SqlDirectory(database)
    now = time.time_ns() // 1_000_000
    account = directory.sign_in(Identity("many@example.org", "dev.invalid", "many@example.org", now + 3_600_000), now)
    domain = f"127.0.0.1:{port}"
    for number in range(DEAF):
        made = Application(f"deaf-{number}", account.id, "Deaf", domain, "", "key", now, "http", True, now + 86_400_000)
        directory.add_application(made, DEAF + 1)
        directory.put_webhook(StoredWebhook(made.id, f"http://{domain}/hook", "presence", "whsec_eA==", now), domain)
    database.close()
