"""Trackers of several processes on one real Redis: one presence, and no ghost of a process that died."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import gevent
import pytest

from dpresence.backends.redis.connections import ConnectionFactory
from dpresence.backends.tracker import Connected, Tracker
from dpresence.clock import Clock
from dpresence.model import GrantSet
from dpresence.settings import RedisSettings
from dpresence.tests.support import FakeClock, view_and_head
from dpresence.tests.waiting import eventually

from .leases import QUICK, SLOW, leased, lose
from .tracker_values import JANE, SignalListener, changes, connect, flap, grant, read, sweep, update


@pytest.fixture
def clock():
    return FakeClock()


class TestTwoProcesses:
    @pytest.fixture
    def one(self, redis_server, trackers, clock):
        return trackers(redis_server.server(), QUICK, clock)

    @pytest.fixture
    def two(self, redis_server, trackers):
        clock = FakeClock()
        clock.advance(123_456)  # nobody may compare the clocks of two processes
        clock.start -= 123_456_000
        return trackers(redis_server.server(), QUICK, clock)

    @pytest.fixture
    def slow(self, redis_server, trackers):
        return [trackers(redis_server.server(), SLOW, FakeClock()) for _ in range(2)]

    def test_signals_cross(self, one, two):
        listeners = SignalListener(one), SignalListener(two)
        one.signal("mail", "jane")
        connect(two)
        for listener in listeners:
            eventually(lambda listener=listener: len(listener._signals) == 2)
            assert sorted(listener._signals) == [("feed", "chess"), ("mail", "jane")]

    def test_each_process_receives_each_signal_once(self, one, two):
        listeners = SignalListener(one), SignalListener(two)
        for n in range(20):
            one.signal("mail", f"user-{n}")
        for listener in listeners:
            eventually(lambda listener=listener: ("mail", "user-19") in listener._signals)
            assert listener._signals == [("mail", f"user-{n}") for n in range(20)]

    def test_a_bug_in_the_handling_of_a_signal_ends_no_subscription(self, one, two, monkeypatch, caplog):
        listener, handle = SignalListener(two), two._pubsub._on_message
        monkeypatch.setattr(two._pubsub, "_on_message", lambda message: 1 / 0)
        one.signal("mail", "jane")
        eventually(lambda: "redis: the subscription failed" in caplog.text)
        monkeypatch.setattr(two._pubsub, "_on_message", handle)
        eventually(lambda: ("missed", "") in listener._signals)
        one.signal("mail", "jack")
        eventually(lambda: ("mail", "jack") in listener._signals)
        assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]

    def test_all_processes_can_read_the_values_of_each(self, slow):
        one, two = slow
        one.publish("of one", {"refusals 34": 1, "cpu_seconds": 0.25})
        two.publish("of two", {"refusals 34": 2, "refusals 107": 1})
        for tracker in (one, two):
            published = tracker.published()
            assert sorted(published.reports) == ["of one", "of two"]
            assert published.counts == {"refusals 34": 3, "refusals 107": 1, "cpu_seconds": 0.25}

    def test_the_text_that_a_process_published_ends_with_it_and_its_counts_stay(self, one, two):
        one.publish("of one", {"refusals 34": 2, "cpu_seconds": 0.25})
        two.publish("of two", {"refusals 34": 1})
        one.close()
        assert two.published() == (["of two"], {"refusals 34": 3, "cpu_seconds": 0.25})

    def test_values_of_a_process_outlive_it_until_its_lease_ends(self, slow, redis_server):
        one, two = slow
        one.publish("of one", {"refusals 34": 2})
        lose(one)
        assert two.published() == (["of one"], {"refusals 34": 2})
        (key,) = redis_server.client.keys("*figures*")
        assert 0 < redis_server.client.pttl(key) <= SLOW.lease_seconds * 1000

    def test_the_counts_of_a_process_outlive_its_lease(self, one, two, redis_server):
        one.publish("of one", {"refusals 34": 2})
        lose(one)
        eventually(lambda: two.due() == [] and not redis_server.client.keys("*counts:*"))
        assert two.published() == ([], {"refusals 34": 2})

    def test_the_counts_of_a_process_that_comes_back_are_not_added_twice(self, one, two, redis_server):
        one.publish("of one", {"refusals 34": 2})
        eventually(lambda: two.due() == [] and not redis_server.client.keys("*counts:*"))
        assert two.published().counts == {"refusals 34": 2}
        one.publish("of one", {"refusals 34": 3})
        assert two.published() == (["of one"], {"refusals 34": 3})
        one.close()
        assert two.published() == ([], {"refusals 34": 3})

    def test_both_read_the_same_feed_with_the_same_cursors(self, one, two):
        connect(one)
        connect(two, user="joe", grants=(grant("joe"),))
        flap(one, 3)
        assert read(one) == read(two) and len(read(one)) == 5
        assert view_and_head(one, "chess") == view_and_head(two, "chess")
        assert one.offset("chess", two.cursor(3)) == two.offset("chess", one.cursor(3)) == 3
        assert one.remembers_since == two.remembers_since

    def test_the_newest_connection_wins_wherever_it_is(self, one, two):
        connect(one)
        assert connect(two, connection="c2") == Connected("phone", "c1")
        assert update(one, "offline") is False
        one.leave("jane", "phone", "c1")
        assert update(two, "unavailable", connection="c2") is True
        assert changes(one) == [("online", "explicit"), ("unavailable", "explicit")]

    def test_a_connection_is_known_by_its_process_too(self, one, two):
        connect(one)
        assert update(two, "offline") is False
        two.leave("jane", "phone", "c1")
        assert [device.connected for device in one.devices("jane")] == [True]

    @pytest.mark.parametrize("device", ["phone", None])
    def test_a_device_in_grace_is_taken_over_by_another_process(self, one, two, clock, device):
        name = connect(one, device).device
        one.leave("jane", name, "c1")
        clock.advance(14)
        assert connect(two, device, "c2") == Connected(name, None, resumed=True)
        clock.advance(14)
        assert list(one.due()) == list(two.due()) == []
        assert changes(two) == [("online", "explicit")]

    def test_the_process_that_lost_a_device_looks_after_its_grace(self, one, two, clock):
        connect(one)
        one.leave("jane", "phone", "c1")
        clock.advance(15)
        two.expire("jane", GrantSet(0, (JANE,)))
        assert list(two.due()) == []
        assert [device.connected for device in two.devices("jane")] == [False]
        sweep(one)
        assert changes(two) == [("online", "explicit"), ("offline", "lost")]

    def test_devices_of_several_processes_are_merged(self, one, two):
        connect(one)
        connect(two, "laptop", "c2", "unavailable")
        update(one, "offline")
        assert changes(two) == [("online", "explicit"), ("unavailable", "explicit")]
        assert [device.name for device in one.devices("jane")] == ["laptop", "phone"]
        two.remove_all("jane", GrantSet(0, (JANE,)))
        assert list(one.devices("jane")) == []

    def test_two_services_share_one_redis_unseen(self, one, redis_server, trackers):
        other = trackers(redis_server.server(prefix="other:"))
        listener = SignalListener(other)
        connect(one)
        assert other.status("jane") == "offline"
        assert listener.received() == []

    @pytest.mark.slow
    def test_a_task_that_one_claimed_is_free_again_after_its_time_also_when_it_died(self, one, two, redis_server):
        assert one.claim("task", 1)
        lose(one)
        assert not two.claim("task", 1)
        assert 0.3 < leased(redis_server, lambda: two.claim("task", 1)) < 1.5

    # -- leases

    def test_the_devices_of_a_dead_process_are_swept_exactly_once(self, one, two, redis_server, trackers):
        three = trackers(redis_server.server(), QUICK)
        connect(one)
        connect(one, "laptop", "c2", "unavailable")
        connect(two, "tablet", "c3", "unavailable")
        connect(one, user="joe", grants=(grant("joe"),))
        two.due()
        lose(one)
        sweeps = [lambda it=it: _sweep_all(it) or it.status("joe") == "offline" for it in (two, three)]
        waits = [gevent.spawn(leased, redis_server, sweep) for sweep in sweeps]
        gevent.joinall(waits, raise_error=True)
        assert 0.1 < max(wait.value for wait in waits) < 1
        assert sorted((one.puid, one.status, one.reason) for one in read(two)[2:]) == [
            ("jane-in-chess", "unavailable", "lost"),
            ("joe-in-chess", "offline", "lost"),
        ]
        assert [one.name for one in two.devices("jane")] == ["tablet"]
        assert list(two.due()) == list(three.due()) == []

    def test_a_process_that_looks_or_renews_lives(self, one, two):
        connect(one)
        connect(two, user="joe", grants=())
        for _ in range(8):
            gevent.sleep(0.1)
            one.renew()
            assert list(two.due()) == []
        assert (one.status("jane"), one.status("joe")) == ("online", "online")

    def test_a_device_of_a_dead_process_that_came_back_elsewhere_stays(self, one, two, redis_server):
        connect(one)
        lose(one)
        connect(two, connection="c2")
        eventually(lambda: _sweep_all(two) or redis_server.client.hlen("dpresence:t:processes") == 1)
        _sweep_all(two)
        assert changes(two) == [("online", "explicit")]

    def test_a_process_that_ends_leaves_a_grace_and_no_more(self, redis_server, trackers):
        settings = replace(QUICK, grace_seconds=0.5, lease_seconds=60)
        one, two = trackers(redis_server.server(), settings), trackers(redis_server.server(), settings)
        two.due()
        connect(one)
        one.close()
        redis_server.client.hset("dpresence:t:meta", "patient", 0)  # the moment after a start is over
        assert 0.3 < leased(redis_server, lambda: _sweep_all(two) or two.status("jane") == "offline") < settings.lease_seconds / 2

    def test_a_process_that_was_taken_for_dead_gets_a_signal_that_its_devices_are_forgotten(self, one, two, redis_server):
        listener = SignalListener(one)
        connect(one)
        eventually(lambda: _sweep_all(two) or two.status("jane") == "offline")
        assert one.status("jane") == "offline"
        assert ("forgotten", "") in listener.received()
        assert update(one, "online") is False
        assert connect(one) == Connected("phone", None)
        _sweep_all(two)
        assert changes(two) == [("online", "explicit"), ("offline", "lost"), ("online", "explicit")]

    def test_after_a_time_in_which_nobody_looked_everybody_gets_a_moment_to_come_back(self, one, two, redis_server):
        connect(one)
        for it in (one, two):
            it.due()
        gevent.sleep(0.5)  # as when Redis was away: both leases ran out
        assert list(two.due()) == []
        one.renew()
        _sweep_for(two, 0.15)
        assert changes(two) == [("online", "explicit")]

    def test_a_dead_process_is_swept_whose_users_records_are_lost(self, one, two, redis_server):
        connect(one)
        lose(one)
        redis_server.client.delete("dpresence:t:user:jane")
        eventually(lambda: _sweep_all(two) or changes(two)[-1] == ("offline", "lost"))
        eventually(lambda: two.due() or not redis_server.client.exists("dpresence:t:dead"))
        assert redis_server.client.keys("*t:users:*") == []

    def test_a_dead_process_is_swept_although_the_list_of_processes_is_lost(self, one, two, redis_server):
        listener = SignalListener(two)
        connect(one)
        connect(two, user="joe", grants=(grant("joe"),))
        lose(one)
        redis_server.client.delete("dpresence:t:processes")
        assert 0.1 < leased(redis_server, lambda: _sweep_all(two) or two.status("jane") == "offline") < 1
        assert update(two, "unavailable", device="phone", connection="c1") is False
        assert two.status("joe") == "online"
        assert ("forgotten", "") not in listener.received()

    @pytest.mark.slow
    def test_a_process_killed_for_real_leaves_no_ghost(self, redis_server, trackers):
        two = trackers(redis_server.server(), QUICK, Clock())
        script = f"""
            import sys
            from dpresence.tests.contract.redis import cooperative
            from dpresence.tests.contract.redis_fixtures import make_redis_tracker
            from dpresence.tests.contract.test_tracker_redis_processes import *
            with cooperative():
                one = make_redis_tracker({ConnectionFactory.__name__}({RedisSettings.__name__}({redis_server.url!r})), QUICK, Clock())
                connect(one)
                print("OK", flush=True)
                sys.stdin.read()
        """
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == "OK\n"
            assert two.status("jane") == "online"
            process.send_signal(signal.SIGKILL)
        assert leased(redis_server, lambda: _sweep_all(two) or two.status("jane") == "offline") < 1
        assert changes(two) == [("online", "explicit"), ("offline", "lost")]


def _sweep_all(tracker: Tracker) -> None:
    for user in tracker.due():
        tracker.expire(user, GrantSet(0, (grant(user),)))


def _sweep_for(tracker: Tracker, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _sweep_all(tracker)
        gevent.sleep(0.05)
