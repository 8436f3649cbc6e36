"""Webhooks while the sender, Redis and PostgreSQL are killed, and beside a thousand endpoints that never answer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.model import Application, Identity
from dpresence.model.webhooks import Webhook as StoredWebhook

from ..live.clients import Person
from ..live.service import Service
from ..waiting import eventually
from .cluster import Cluster, stores
from .webhook_receiver import Receiver

pytestmark = pytest.mark.faults

ENTRIES = int(os.environ.get("WEBHOOK_ENTRIES", "10000"))
PER_SECOND = 100
USERS = 20
DEAF = 1000
LEASE_SECONDS = 60
DEAF_SECONDS = 20.0
"""A round of 1000 first attempts, 100 at a time, each of which may be ended after a second, takes 10 s."""


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
            eventually(lambda: changes_in(receiver) >= ENTRIES, seconds=3 * LEASE_SECONDS)
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


def changes_in(receiver: Receiver) -> int:
    """Return how many different updates have come that were written; the loss of a connection is none."""
    updates = {offset - back: status for offset, entries in receiver.updates() for back, (_, status) in enumerate(reversed(entries))}
    return sum(status != "offline" for status in updates.values())


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
