"""Outcomes of notifications while the sender of webhooks, Redis and PostgreSQL are killed at random moments."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest
import requests
from websockets.exceptions import WebSocketException

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.model.outcomes import ENDS

from ..live.clients import AppService, Device, Person
from ..waiting import eventually
from .cluster import Cluster, stores
from .webhook_receiver import Receiver

pytestmark = pytest.mark.faults

NOTIFICATIONS = int(os.environ.get("OUTCOME_ENTRIES", "10000"))
SEED = int(os.environ.get("OUTCOME_SEED", "0")) or random.randrange(1, 1 << 30)
PRESENT, ABSENT = 10, 10
FRAME = 20
PER_SECOND = 100
LEASE_SECONDS = 60
SHORT_SECONDS = 20
KILLS = 12
SETTINGS = {"presence.feed_entries": 1_000_000, "presence.notification_rate": 100_000, "presence.sockets_per_application": 100}
_FAILURES = (AssertionError, WebSocketException, OSError, TimeoutError)


class Life:
    """The load while servers are killed: threads that try again after each failure, until ``end``."""

    def __init__(self, cluster: Cluster, receiver: Receiver) -> None:
        self.cluster, self.receiver, self.ended = cluster, receiver, False
        self.app, self.refused = receiver.app, ""
        self.sent: dict[str, str] = {}  # what should become of each notification, by id
        self.channel: list[dict[str, Any]] = []
        self.last: dict[str, str] = {}  # the last one with the topic, by PUID: nothing replaces it
        self._cursor = ""
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[..., None], *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=self._repeat, args=(work, *arguments), daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _repeat(self, work: Callable[..., None], *arguments: Any) -> None:
        while not self.ended:
            with suppress(*_FAILURES):
                return work(*arguments)
            time.sleep(0.2)

    def end(self) -> None:
        self.ended = True
        for thread in self._threads:
            thread.join()

    def device(self, person: Person) -> None:
        """Acknowledge what arrives, and open every third."""
        while not self.ended:
            with suppress(*_FAILURES), Device(person) as device:
                device.sign_in("online", ack=True, device="phone")
                self._receive(device)
            time.sleep(0.2)

    def _receive(self, device: Device) -> None:
        """Acknowledge notifications until a refusal; the service sends the others again on the next connection."""
        while not self.ended:
            with suppress(TimeoutError):
                frame = device.receive(1)
                if frame.get("result") == "KO":
                    return
                ids = [item["id"] for item in frame.get("notifications", ())]
                for action, some in (("ack", ids), ("opened", ids[::3])):
                    if some:
                        device.send(action=action, notifications=some)

    def follow(self) -> None:
        """Follow outcomes on a channel, from the cursor of the last frame."""
        while not self.ended:
            with suppress(*_FAILURES), AppService(self.app) as channel:
                channel.send(action="auth", key=self.app.key, outcomes=self._cursor)
                while not self.ended:
                    with suppress(TimeoutError):
                        frame = channel.receive(1)
                        self.channel += frame.get("outcomes", ())
                        self._cursor = frame["cursor"] if "outcomes" in frame else self._cursor
            time.sleep(0.2)

    def send(self, puids: dict[str, str], count: int) -> None:
        """Send notifications, each frame again until it is answered; the answer of a repeated one is the same."""
        began, people = time.monotonic(), list(puids.items())
        for start in range(0, count, FRAME):
            items = [self._item(number, *people[number % len(people)]) for number in range(start, start + FRAME)]
            while not (answers := self._post([item for item, _ in items])):
                time.sleep(0.2)
            for answer, (item, expected) in zip(answers, items, strict=True):
                self.sent[answer["id"]] = expected
                if "topic" in item:
                    self.last[item["puid"]] = answer["id"]
            time.sleep(max(0.0, began + start / PER_SECOND - time.monotonic()))

    def cancel_last(self) -> None:
        """Cancel what nothing replaces."""
        for puid, id_ in self.last.items():
            url = f"{self.app.origin}/myapps/{self.app.appid}/notifications/{id_}?puid={puid}"
            eventually(lambda url=url: requests.delete(url, headers={"Authorization": f"Bearer {self.app.key}"}, timeout=30).ok)
            self.sent[id_] = "cancelled"

    def _item(self, number: int, email: str, puid: str) -> tuple[dict[str, Any], str]:
        item: dict[str, Any] = {"puid": puid, "message": str(number), "outcome": True, "idempotency": str(number)}
        if not email.startswith("absent"):
            return item, "delivered"
        if number // 20 % 2:
            return {**item, "topic": "score", "ttl": 3600}, "replaced"
        return {**item, "ttl": SHORT_SECONDS}, "expired"

    def _post(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the answers; none if it failed or if one was refused."""
        process = random.choice(self.cluster.processes)
        headers = {"Authorization": f"Bearer {self.app.key}"}
        with suppress(OSError, json.JSONDecodeError):
            url = f"{process.origin}/myapps/{self.app.appid}/notifications"
            answer = requests.post(url, json=items, headers=headers, timeout=30)
            self.refused = "" if answer.ok or answer.status_code >= 500 else answer.text
            if answer.ok and all("id" in each for each in answer.json()["notifications"]):
                return list(answer.json()["notifications"])
        return []


def first_of_each(entries: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the outcomes of each notification in the order in which each of them came first."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for entry in entries:
        if entry["outcome"] not in found[entry["id"]]:
            found[entry["id"]].append(entry["outcome"])
    return dict(found)


def logged(url: str, appid: str) -> dict[str, list[str]]:
    """Return the outcomes of each notification that the database has."""
    database, found, after = Database(url), defaultdict(list), 0
    try:
        while page := SqlDirectory(database).outcomes(appid, after, 1000, restart=False):
            for told in page:
                found[told.id].append(told.outcome)
            after = page[-1].position
    finally:
        database.close()
    return dict(found)


def test_every_notification_gets_its_outcomes_in_order_although_everything_is_killed(figures) -> None:
    print(f"OUTCOME_SEED={SEED}")
    chance, receiver = random.Random(SEED), Receiver()
    with stores(fsync="always") as servers, Cluster(servers, SETTINGS) as cluster:
        first, second = cluster.start(), cluster.start()
        receiver.hook(first, "presence", "outcome")
        eventually(lambda: receiver.ledger)
        present = {f"present{n}@example.org": Person(second.origin, f"present{n}@example.org") for n in range(PRESENT)}
        absent = {f"absent{n}@example.org": Person(first.origin, f"absent{n}@example.org") for n in range(ABSENT)}
        puids = {email: person.grant(receiver.app) for email, person in (present | absent).items()}
        life = Life(cluster, receiver)
        try:
            for person in present.values():
                life.start(life.device, person)
            life.start(life.follow)
            sending = threading.Thread(target=life.send, args=(puids, NOTIFICATIONS), daemon=True)
            sending.start()
            victims = [first.crash, second.crash, lambda: (servers.redis.kill(), servers.redis.start())]
            victims.append(lambda: (servers.postgresql.crash(), servers.postgresql.start()))
            moments = sorted(chance.uniform(0.02, 0.95) * NOTIFICATIONS for _ in range(KILLS))
            for number, moment in enumerate(moments):
                eventually(lambda moment=moment: len(life.sent) >= moment or life.refused, seconds=5 * LEASE_SECONDS)
                assert not life.refused
                time.sleep(chance.uniform(0, 0.3))
                victims[number % len(victims)]()
            sending.join(5 * LEASE_SECONDS)
            assert not sending.is_alive()
            life.cancel_last()
            seconds = 3 * LEASE_SECONDS + SHORT_SECONDS
            for entries in (receiver.outcomes, lambda: life.channel):
                eventually(lambda entries=entries: all_ended(life.sent, entries()), seconds, also=(AssertionError,))
            time.sleep(3)  # what was opened last
            told = logged(cluster.url, receiver.app.appid)
            eventually(lambda: first_of_each(receiver.outcomes()) == told, seconds=LEASE_SECONDS)
            eventually(lambda: first_of_each(life.channel) == told, seconds=2 * LEASE_SECONDS)
        finally:
            life.end()
            receiver.close()
        check(life.sent, told)
        again = sum(Counter((each["id"], each["outcome"]) for each in receiver.outcomes()).values()) - sum(map(len, told.values()))
        figures.count("outcomes", f"of {len(life.sent)} notifications over {KILLS} kills that have no outcome, or not one end", 0, 0)
        figures.count("outcomes", "outcomes that came twice by webhook", again, NOTIFICATIONS // 10)


def all_ended(sent: dict[str, str], entries: Iterable[dict[str, Any]]) -> bool:
    """Return True, or name notifications without an end."""
    left = sent.keys() - {entry["id"] for entry in entries if entry["outcome"] in ENDS}
    assert not left, f"{len(left)} of {len(sent)} have no end: {[(id_, sent[id_]) for id_ in sorted(left)[:5]]}"
    return True


def check(sent: dict[str, str], told: dict[str, list[str]]) -> None:
    """Compare what was told with what should have become of each notification."""
    for id_, expected in sent.items():
        [end] = [outcome for outcome in told[id_] if outcome in ENDS]
        assert end in (expected, "dropped"), f"{id_}: {end}, though a queue may only have been full"
        assert told[id_] in ([end], ["delivered", "opened"]), told[id_]
    ends = Counter(outcomes[0] for id_, outcomes in told.items() if id_ in sent)
    assert ends["delivered"] > NOTIFICATIONS // 4 and ends["replaced"] and ends["expired"], ends
