"""Whatever processes can ask of a tracker has the same answer after a split, and feeds go on as feeds do."""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace
from zlib import crc32

import pytest

from dpresence.backends import load
from dpresence.errors import TooMany
from dpresence.measures import Histogram
from dpresence.model import GrantSet
from dpresence.observation import Observation
from dpresence.tests.support import FakeClock, view_and_head
from dpresence.tests.waiting import eventually

from ..partitioned import Reader
from ..tracker_values import RATED, SignalListener, grant, seen
from .steps import APPLICATIONS, PARTITIONS, bring, followed, set_status

USERS = [f"person-{number}" for number in range(40)]
STATUSES = ("online", "unavailable", "offline")


class Life:
    """Random changes of people at two processes."""

    def __init__(self, seed: int, processes) -> None:
        self._random = random.Random(seed)
        self._processes = processes
        self._revisions = dict.fromkeys(USERS, 0)
        self._overrides = dict.fromkeys(USERS)
        self._connections: list[tuple[int, str, str, str]] = []

    def _grants(self, user):
        grants = [grant(user, appid, paused=crc32(f"{user} {appid}".encode()) % 5 == 0) for appid in APPLICATIONS]
        return GrantSet(self._revisions[user], tuple(grants), self._overrides[user])

    def connect(self, number, user):
        device, connection = self._random.choice(("phone", "tv", None)), f"c{self._random.random()}"
        try:
            made = self._processes[number].connect(user, device, connection, self._random.choice(STATUSES), self._grants(user), 3, 0)
        except TooMany:
            return
        self._connections.append((number, user, made.device, connection))

    def update(self, number, user):
        for at, owner, device, connection in self._connections:
            if owner == user:
                self._processes[at].update(user, device, connection, self._random.choice(STATUSES), self._grants(user))

    def leave(self, number, user):
        if self._connections:
            at, user, device, connection = self._connections.pop(self._random.randrange(len(self._connections)))
            self._processes[at].leave(user, device, connection)

    def sign_out(self, number, user):
        self._processes[number].remove(user, "phone", self._grants(user))

    def override(self, number, user):
        self._revisions[user] += 1
        self._overrides[user] = self._random.choice((None, *STATUSES))
        self._processes[number].apply_override(user, self._grants(user))

    def live(self, steps):
        for _ in range(steps):
            change = self._random.choice((self.connect, self.connect, self.update, self.update, self.leave, self.sign_out, self.override))
            change(self._random.randrange(2), self._random.choice(USERS))

    def observed(self):
        """Return what processes can ask."""
        one, two = self._processes
        return {
            "devices": {user: one.devices(user) for user in USERS},
            "status": {user: (one.status(user), two.sent_status(user)) for user in USERS},
            "views": {
                appid: sorted((each.puid, each.status, each.at, each.reason) for each in view_and_head(two, appid)[0].values())
                for appid in APPLICATIONS
            },
            "signed out": [one.signed_out(user, device, connection, 0) for _, user, device, connection in self._connections],
            "owned": [sorted((number, owner) for owner in tracker.due()) for number, tracker in enumerate(self._processes)],
        }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_everything_that_can_be_asked_is_the_same_after_a_split(settings, processes, splitter_of, seed):
    clocks = [FakeClock(), FakeClock()]
    opened = [load(replace(settings, presence=RATED), clock) for clock in clocks]
    life = Life(seed, [backends.tracker for backends in opened])
    life.live(400)
    for clock in clocks:
        clock.advance(RATED.grace_seconds / 2)
    before = life.observed()
    splitter_of().split(PARTITIONS)
    followed(*(backends.tracker for backends in opened))
    assert life.observed() == before
    for clock in clocks:
        clock.advance(RATED.grace_seconds)
    due = [set(backends.tracker.due()) for backends in opened]
    assert due[0] | due[1] == {user for user, devices in before["devices"].items() if not all(each.connected for each in devices)}
    life.live(100)
    for backends in opened:
        backends.close()


@pytest.mark.slow
def test_a_feed_is_trimmed_and_read_after_a_split_as_before(processes, users, splitter_of):
    one, two = processes
    bring(one, users)
    for number in range(150):  # more than feed_entries
        set_status(one, users[number % len(users)], STATUSES[number % 2])
    splitter_of().split(PARTITIONS)
    followed(*processes)
    reader, listener = Reader(two), SignalListener(two)
    beginning = reader.offset
    for number in range(2400):
        set_status(one, users[number % len(users)], STATUSES[number // len(users) % 2])
        if number % 100 == 0:
            one.trim("chess")
    eventually(lambda: reader.read() == 0)
    assert reader.statuses == seen(one)
    while one.trim("chess"):
        pass
    assert two.read("chess", reader.offset, 10) == []
    assert one.offset("chess", one.cursor(reader.offset)) == reader.offset
    assert 2390 < two.length(reader.offset) - two.length(beginning) <= 2400, "the first ones may have changed nothing"
    assert not any(topic == "damaged" for topic, _ in listener.received())


def test_no_count_of_the_metrics_decreases_and_servers_have_names_afterwards(settings, processes, name, splitter_of):
    backends = load(settings, FakeClock())
    services = SimpleNamespace(webhook_sender=SimpleNamespace(seconds=Histogram()))
    observation = Observation(services, None, backends, None)
    before = observation.counts()
    assert {measures.server for measures in backends.tracker.measures} == {""}
    splitter_of().split(PARTITIONS)
    followed(backends.tracker)
    after = observation.counts()
    assert {key: count for key, count in before.items() if after[key] < count} == {}
    assert {measures.server for measures in backends.tracker.measures} == {name}
    assert backends.redis_state() == "ok"
    assert backends.ping() == {"directory": True, "tracker": True, "mailbox": True}
    backends.close()
