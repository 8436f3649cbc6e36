"""The tracker on a real Redis keeps the contract and leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace

import gevent
import pytest

from dpresence.backends.redis.connections import ConnectionFactory
from dpresence.errors import SettingError
from dpresence.model import GrantSet
from dpresence.settings import RedisSettings
from dpresence.tests.support import FakeClock, view_and_head

from .redis_fixtures import let_buckets_fill
from .tracker import TrackerContract
from .tracker_rates import RateContract
from .tracker_values import GO, JANE, RATED, SETTINGS, changes, connect, grant, sweep


@pytest.fixture
def clock():
    return FakeClock()


class TestOnRedis(TrackerContract):
    @pytest.fixture
    def backend(self, redis_server, trackers, clock):
        return trackers(redis_server.server(), clock=clock)


class TestRatesOnRedis(RateContract):
    @pytest.fixture
    def backend(self, redis_server, trackers, clock):
        return trackers(redis_server.server(), RATED, clock)

    @pytest.fixture
    def pass_time(self, redis_server, clock):
        def advance(seconds):
            clock.advance(seconds)
            let_buckets_fill(redis_server.client, seconds)

        return advance


def test_an_invalid_redis_url_stops_the_start_and_shows_no_password():
    with pytest.raises(SettingError, match=r"^redis\.url: must be a redis://"):
        ConnectionFactory(RedisSettings("redis://me:secret@h:x/0"))


@pytest.mark.slow
def test_a_feed_of_very_many_lets_others_have_a_turn(redis_server, trackers):
    tracker = trackers(redis_server.server(), replace(SETTINGS, feed_entries=10))
    for first in range(0, 5000, 500):
        gevent.joinall([gevent.spawn(tracker.append_grant, grant(f"user-{n}"), 0) for n in range(first, first + 500)], raise_error=True)
    turns = []
    ticker = gevent.spawn(lambda: [turns.append(gevent.sleep(0)) for _ in iter(int, 1)])
    view, offset = view_and_head(tracker, "chess")
    ticker.kill()
    assert (len(view), offset) == (5000, 5000)
    assert len(turns) >= 2


def test_a_script_deals_with_one_user_who_has_many_grants(redis_server, trackers, monkeypatch):
    tracker, sizes = trackers(redis_server.server()), []
    grants = {user: [grant(user, f"app-{n}") for n in range(100)] for user in map(str, range(16))}
    batches, request = tracker._server._batches, tracker._server._batches.request
    monkeypatch.setattr(batches, "request", lambda sections: sizes.extend(len(calls) for *_, calls in sections) or request(sections))
    gevent.joinall([gevent.spawn(connect, tracker, grants=those, user=user) for user, those in grants.items()], raise_error=True)
    assert sum(sizes) == 16 and max(sizes) == 1


def test_a_user_who_is_gone_leaves_nothing(redis_server, trackers, clock):
    tracker = trackers(redis_server.server(), clock=clock)
    connect(tracker, grants=(JANE, GO))
    connect(tracker, None, "c2", "unavailable")
    tracker.leave("jane", "phone", "c1")
    clock.advance(15)
    sweep(tracker, JANE, GO)
    tracker.remove_all("jane", GrantSet(0, (JANE, GO)))
    tracker.append_revocation(JANE)
    tracker.drop("chess")
    tracker.drop("go")
    tracker.ping()
    assert lasting(redis_server) == {"meta", "processes"}


def lasting(redis_server):
    """The keys of a tracker that no time ends."""
    client = redis_server.client
    return {key.decode().removeprefix("dpresence:t:") for key in client.scan_iter() if client.ttl(key) < 0}


def test_an_idle_feed_keeps_nothing_that_is_too_old_and_forgets_it_in_bounded_steps(redis_server, trackers, clock):
    tracker = trackers(redis_server.server(seconds=20), replace(SETTINGS, feed_entries=2000), clock)
    gevent.joinall([gevent.spawn(tracker.append_grant, grant(f"user-{n}"), 0) for n in range(1500)], raise_error=True)
    tracker.append_revocation(grant("user-0"))
    clock.advance(62)
    assert [tracker.trim("chess") for _ in range(4)] == [True, True, True, False]
    client = redis_server.client
    assert (client.xlen("dpresence:t:log:chess"), client.exists("dpresence:t:gone:chess")) == (0, 0)
    assert client.hlen("dpresence:t:view:chess") == 1499
    assert tracker.offset("chess", tracker.cursor(1500)) is None
    assert tracker.offset("chess", tracker.cursor(1501)) == 1501


def test_a_device_in_grace_whose_record_is_lost_is_offline_after_it_and_leaves_nothing(redis_server, trackers, clock):
    tracker = trackers(redis_server.server(), clock=clock)
    connect(tracker)
    tracker.leave("jane", "phone", "c1")
    redis_server.client.delete("dpresence:t:user:jane")
    clock.advance(15)
    sweep(tracker)
    assert changes(tracker) == [("online", "explicit"), ("offline", "lost")]
    assert list(tracker.due()) == []
    tracker.drop("chess")
    assert lasting(redis_server) == {"meta", "processes"}


def test_a_person_signed_out_everywhere_is_offline_although_the_record_is_lost(redis_server, trackers, clock):
    tracker = trackers(redis_server.server(), clock=clock)
    connect(tracker)
    redis_server.client.delete("dpresence:t:user:jane")
    tracker.remove_all("jane", GrantSet(0, (JANE,)))
    assert changes(tracker) == [("online", "explicit"), ("offline", "explicit")]
