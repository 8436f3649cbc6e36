"""The tracker in memory keeps the contract, forgets users who are gone and blocks nobody for long."""

from __future__ import annotations

import pytest

from dpresence.backends.tracker import DROPPED_SECONDS
from dpresence.backends.tracker.memory import MemoryTracker
from dpresence.model import GrantSet
from dpresence.tests.support import EPOCH, FakeClock, view_and_head

from .tracker import TrackerContract
from .tracker_rates import RateContract
from .tracker_values import JANE, RATED, SETTINGS, connect, flap, grant, read, sweep, update


class TestRatesInMemory(RateContract):
    @pytest.fixture
    def clock(self):
        return FakeClock()

    @pytest.fixture
    def backend(self, clock):
        return MemoryTracker(RATED, clock)

    @pytest.fixture
    def pass_time(self, clock):
        return clock.advance


class TestInMemory(TrackerContract):
    @pytest.fixture
    def clock(self):
        return FakeClock()

    @pytest.fixture
    def backend(self, clock):
        return MemoryTracker(SETTINGS, clock)

    def test_memory_begins_with_the_tracker(self, backend):
        assert backend.remembers_since == EPOCH

    def test_a_cursor_of_another_tracker_is_not_covered(self, backend, clock):
        other = MemoryTracker(SETTINGS, clock)
        connect(other)
        connect(backend)
        assert backend.offset("chess", other.cursor(1)) is None

    def test_users_who_are_gone_are_forgotten(self, backend, clock):
        for n in range(10):
            connect(backend, user=f"lost-{n}", grants=())
            backend.leave(f"lost-{n}", "phone", "c1")
            connect(backend, user=f"off-{n}", grants=(), status="offline")
            backend.leave(f"off-{n}", "phone", "c1")
            connect(backend, user=f"out-{n}", grants=())
            backend.remove(f"out-{n}", "phone", GrantSet(0, ()))
            connect(backend, user=f"all-{n}", grants=())
            backend.remove_all(f"all-{n}", GrantSet(0, ()))
        assert len(backend._users) == len(backend._grace) == 10
        clock.advance(15)
        sweep(backend)
        assert not backend._users
        assert not backend._grace

    def test_asking_about_a_feed_makes_none(self, backend):
        view_and_head(backend, "chess")
        backend.latest("chess", ["p"])
        backend.read("chess", 0, 10)
        backend.offset("chess", backend.cursor(0))
        update(backend, "online")
        assert not backend._feeds

    def test_a_closed_tracker_holds_nothing(self, backend):
        connect(backend)
        connect(backend, "laptop", "c2")
        backend.leave("jane", "phone", "c1")
        backend.close()
        assert not (backend._users or backend._grace or backend._feeds or backend._listeners)

    def test_a_feed_is_bounded_by_number_and_by_age(self, backend, clock):
        users = [grant(f"user-{n}") for n in range(150)]
        for one in users:
            backend.append_grant(one, 0)
        connect(backend)
        flap(backend, 500)
        feed = backend._feeds["chess"]
        assert (len(feed._log), len(feed._older), len(feed.view)) == (100, 150, 151)
        clock.advance(61)
        assert read(backend, offset=feed.head) == []
        assert (len(feed._log), len(feed._older), len(feed.view)) == (0, 0, 151)

    def test_dead_puids_are_forgotten_with_their_last_entry(self, backend, clock):
        for n in range(1000):
            backend.append_revocation(grant(f"user-{n}"))
        feed = backend._feeds["chess"]
        assert len(feed._revoked) <= 2 * SETTINGS.feed_entries + 1
        clock.advance(61)
        backend.append_grant(JANE, 0)
        assert not feed._revoked

    def test_an_idle_feed_keeps_nothing_that_is_too_old(self, backend, clock):
        for n in range(150):
            backend.append_grant(grant(f"user-{n}"), 0)
        backend.append_revocation(grant("user-0"))
        clock.advance(61)
        backend.trim("chess")
        feed = backend._feeds["chess"]
        assert (len(feed._log), len(feed._older), len(feed._revoked), len(feed.view)) == (0, 0, 0, 149)

    def test_dropped_feeds_are_not_remembered_for_ever(self, backend, clock):
        for n in range(10):
            backend.drop(f"app-{n}")
        clock.advance(DROPPED_SECONDS)
        backend.drop("another")
        assert list(backend._dropped) == ["another"]
        backend.append_grant(grant(appid="app-1"), 0)
        assert list(backend.applications("", 10)) == ["app-1"]

    def test_a_claim_ends_with_its_time(self, backend, clock):
        backend.claim("task", 60)
        clock.advance(59)
        assert not backend.claim("task", 60)
        clock.advance(1)
        assert backend.claim("task", 60)
