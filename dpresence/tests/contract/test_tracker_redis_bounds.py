"""No call of the tracker holds Redis for long, whatever people granted and whatever the feeds of applications hold."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import Any

import gevent
import pytest

from dpresence.model import GrantSet
from dpresence.tests.support import FakeClock, view_and_head

from .redis_cost import check_longest_script, script_costs
from .tracker_values import JANE, SETTINGS, connect, grant

pytestmark = pytest.mark.slow  # measures the CPU time of Redis, with thousands of records

LARGE = replace(SETTINGS, feed_seconds=3600, feed_entries=10_000)
APPLICATIONS, PEOPLE, CHANGES = 100, 10, 30


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def tracker(redis_server, trackers, clock):
    return trackers(redis_server.server(seconds=20), LARGE, clock)


def run_concurrently(calls: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Make calls at once; return their results."""
    greenlets = [gevent.spawn(*call) for call in calls]
    gevent.joinall(greenlets, timeout=60, raise_error=True)
    return [greenlet.value for greenlet in greenlets]


def grants_of(user: str, turn: int = 0) -> GrantSet:
    return GrantSet(0, tuple(grant(user, f"app-{turn}-{n}") for n in range(APPLICATIONS)))


def connect_all(tracker: Any, users: dict[str, GrantSet]) -> None:
    run_concurrently((connect, tracker, "phone", "c1", "online", grants.grants, user) for user, grants in users.items())


def update_all(tracker: Any, users: dict[str, GrantSet], turn: int) -> None:
    status = ("unavailable", "online")[turn % 2]
    assert all(run_concurrently((tracker.update, user, "phone", "c1", status, grants) for user, grants in users.items()))


def full_feeds(tracker: Any, turn: int) -> dict[str, GrantSet]:
    """Have ten people with the same hundred applications change their status thirty times."""
    users = {f"{turn}-{n}": grants_of(f"{turn}-{n}", turn) for n in range(PEOPLE)}
    connect_all(tracker, users)
    for change in range(CHANGES - 1):
        update_all(tracker, users, change)
    return users


def test_people_with_a_hundred_grants_each_who_change_at_once(tracker, redis_server):
    users, turns = {f"user-{n}": grants_of(f"user-{n}") for n in range(50)}, count()
    connect_all(tracker, users)
    check_longest_script(redis_server, lambda: None, lambda: update_all(tracker, users, next(turns)))


def test_a_change_and_a_sweep_when_all_that_a_hundred_feeds_hold_is_too_old(tracker, redis_server, clock):
    turns, users = count(), {}

    def prepare():
        users.clear()
        users.update(full_feeds(tracker, next(turns)))
        clock.advance(LARGE.feed_seconds + 1)

    def act():
        user, grants = next(iter(users.items()))
        cursor = tracker.cursor(PEOPLE * CHANGES - 1)
        assert run_concurrently((tracker.offset, one.appid, cursor) for one in grants.grants) == [None] * APPLICATIONS
        tracker.update(user, "phone", "c1", "offline", grants)
        assert run_concurrently((tracker.trim, one.appid) for one in grants.grants) == [False] * APPLICATIONS
        assert run_concurrently((tracker.read, one.appid, 0, 500) for one in grants.grants) == [None] * APPLICATIONS

    check_longest_script(redis_server, prepare, act)


def test_reading_a_hundred_feeds_at_once(tracker, redis_server):
    grants = next(iter(full_feeds(tracker, 0).values())).grants

    def act():
        found = run_concurrently((tracker.read, one.appid, 0, 500) for one in grants)
        assert [[update.offset for update in each] for each in found] == [list(range(1, PEOPLE * CHANGES + 1))] * APPLICATIONS

    check_longest_script(redis_server, lambda: None, act)


def test_reading_past_thousands_of_changes_of_somebody_who_revoked(tracker, redis_server):
    connect(tracker)
    run_concurrently((tracker.update, "jane", "phone", "c1", ("unavailable", "online")[n % 2], GrantSet(0, (JANE,))) for n in range(5000))
    tracker.append_revocation(JANE)
    tracker.append_grant(grant("joe"), 0)

    def act():
        assert [update.puid for update in tracker.read("chess", 0, 500)] == [JANE.puid, "joe-in-chess"]

    check_longest_script(redis_server, lambda: None, act)


def test_people_with_as_many_devices_as_they_may_have(tracker, redis_server):
    people = [f"user-{n}" for n in range(200)]
    for n in range(20):
        run_concurrently((connect, tracker, f"device-{n}", f"c{n}", "online", (), user) for user in people)

    def act():
        run_concurrently((tracker.update, user, "device-1", "c1", "unavailable", GrantSet(0, ())) for user in people)
        run_concurrently((tracker.devices, user) for user in people)
        tracker.renew()
        run_concurrently((tracker.leave, user, "device-1", "c1") for user in people)
        run_concurrently((connect, tracker, "device-1", "c1", "online", (), user) for user in people)

    check_longest_script(redis_server, lambda: None, act)


@pytest.mark.parametrize("dead", [False, True])
def test_thousands_whose_grace_or_process_is_over(redis_server, trackers, clock, dead):
    tracker = trackers(redis_server.server(seconds=20), LARGE, clock)
    other = trackers(redis_server.server(seconds=20), LARGE, clock) if dead else tracker
    people = [f"user-{n}" for n in range(5000)]
    run_concurrently((connect, other, "phone", "c1", "online", (), user) for user in people)
    if dead:
        other.close()
        redis_server.client.hset("dpresence:t:processes", other._registration.process, "1 0")  # its lease is over
    else:
        run_concurrently((tracker.leave, user, "phone", "c1") for user in people)
        clock.advance(LARGE.grace_seconds)

    with script_costs(redis_server) as costs:
        assert sorted(tracker.due()) == sorted(people)
    assert len(costs) > len(people) / 500, "no script answers many more than 500"


def test_a_snapshot_of_very_many(tracker, redis_server):
    run_concurrently((tracker.append_grant, grant(f"user-{n}"), 0) for n in range(9000))
    check_longest_script(redis_server, lambda: None, lambda: view_and_head(tracker, "chess"))
    view, offset = view_and_head(tracker, "chess")
    assert (len(view), offset) == (9000, 9000)


def test_pages_and_the_entries_since_they_were_begun_are_one_moment_although_the_feed_goes_on(tracker):
    grants, chance = [grant(f"user-{n}") for n in range(4000)], random.Random(1)
    run_concurrently((tracker.append_grant, one, 0) for one in grants)
    run_concurrently((connect, tracker, "phone", "c1", "online", (one,), one.user) for one in grants[:500])

    def change():
        for _ in range(60):
            one = chance.choice(grants)
            tracker.update(one.user, "phone", "c1", chance.choice(["online", "unavailable"]), GrantSet(0, (one,)))
            tracker.append_revocation(chance.choice(grants))
            tracker.append_grant(grant(f"late-{chance.random()}"), 0)

    changing = [gevent.spawn(change) for _ in range(10)]
    offset = tracker.head("chess")
    view, _ = view_and_head(tracker, "chess")
    assert any(changing) and max(update.offset for update in view.values()) > offset, "it changed while it was read"
    gevent.joinall(changing, timeout=60, raise_error=True)
    for update in tracker.read("chess", offset, 100_000):
        view[update.puid] = update
        if update.reason == "revoked":
            del view[update.puid]
    assert view == view_and_head(tracker, "chess")[0]
