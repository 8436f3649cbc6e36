"""A Redis that is killed, stopped, restarted or emptied: every listener gets a signal, no caller waits, all data recovers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from dpresence.backends.redis.pubsub import PubSub
from dpresence.backends.tracker import Connected, Tracker
from dpresence.backends.tracker.redis import RedisTracker
from dpresence.errors import BackendUnavailable
from dpresence.model import DirectoryVersion, GrantSet
from dpresence.tests.support import FakeClock, body_of
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .redis_fixtures import make_redis_tracker
from .tracker_values import JANE, SETTINGS, SignalListener, begin_update, changes, connect, seen, sweep, update


def result_of(result: object) -> object:
    """Raise a result that is an error."""
    if isinstance(result, Exception):
        raise result
    return result


CALLS: dict[str, Callable[[Tracker], Any]] = {
    "signal": lambda it: it.signal("mail", "jane"),
    "connect": connect,
    "update": lambda it: update(it, "online"),
    "begin_update": lambda it: result_of(begin_update(it, "online")),
    "leave": lambda it: it.leave("jane", "phone", "c1"),
    "remove": lambda it: it.remove("jane", "phone", GrantSet(0, (JANE,))),
    "remove_all": lambda it: it.remove_all("jane", GrantSet(0, (JANE,))),
    "signed_out": lambda it: it.signed_out("jane", "phone", "c1", 0),
    "due": lambda it: it.due(),
    "expire": lambda it: it.expire("jane", GrantSet(0, (JANE,))),
    "renew": lambda it: it.renew(),
    "devices": lambda it: it.devices("jane"),
    "status": lambda it: it.status("jane"),
    "sent_status": lambda it: it.sent_status("jane"),
    "charge": lambda it: it.charge("jane"),
    "postponed": lambda it: it.postponed(),
    "append_postponed": lambda it: it.append_postponed("jane", GrantSet(0, (JANE,))),
    "append_grant": lambda it: it.append_grant(JANE, 0),
    "append_revocation": lambda it: it.append_revocation(JANE),
    "apply_override": lambda it: it.apply_override("jane", GrantSet(0, (JANE,))),
    "append_current_status": lambda it: it.append_current_status(JANE, 0),
    "forget_revision": lambda it: it.forget_revision("jane"),
    "head": lambda it: it.head("chess"),
    "view": lambda it: list(it.view("chess")),
    "latest": lambda it: it.latest("chess", [JANE.puid]),
    "latest_of": lambda it: it.latest_of("jane", [("chess", JANE.puid)]),
    "read": lambda it: it.read("chess", 0, 10),
    "offset": lambda it: it.offset("chess", it.cursor(0)),
    "applications": lambda it: it.applications("", 10),
    "rebuilt": lambda it: it.rebuilt("chess"),
    "trim": lambda it: it.trim("chess"),
    "record_version": lambda it: it.record_version(DirectoryVersion("g", 1)),
    "reset": lambda it: it.reset(),
    "claim": lambda it: it.claim("task", 60),
    "drop": lambda it: it.drop("chess"),
    "publish": lambda it: it.publish("figures", {"counted": 1.0}),
    "published": lambda it: it.published(),
    "ping": lambda it: it.ping(),
}
LOCAL = {"assumed_offset", "subscribe", "cursor", "read_now", "close"}


@pytest.fixture
def clock():
    return FakeClock()


class TestLostServer:
    @pytest.fixture
    def redis(self, lost_redis):
        return lost_redis.start()

    @pytest.fixture
    def backend(self, redis, trackers, clock):
        return eventually(lambda: trackers(redis.server(seconds=0.3), clock=clock))  # a busy machine may not answer within 0.3 s

    def test_every_method_is_tried(self):
        assert set(CALLS) == Tracker.__abstractmethods__ - LOCAL

    @pytest.mark.parametrize("method", CALLS)
    def test_a_lost_server_is_unavailable_and_nothing_else(self, backend, redis, method):
        redis.kill()
        with pytest.raises(BackendUnavailable) as caught:
            CALLS[method](backend)
        assert body_of(caught.value) == {"result": "KO", "errno": 201, "error": BackendUnavailable.text, "retry_after": 5}

    @pytest.mark.parametrize("method", CALLS)
    def test_a_server_that_stands_still_is_unavailable_and_recovers(self, backend, redis, method):
        with redis.stopped():
            assert _refused(lambda: CALLS[method](backend))
        eventually(lambda: CALLS[method](backend) or True)

    def test_every_method_recovers(self, backend, redis):
        redis.kill()
        assert all(_refused(lambda call=call: call(backend)) for call in CALLS.values())
        redis.start()
        for call in CALLS.values():
            eventually(lambda call=call: call(backend) or True)

    def test_while_it_is_away_nobody_waits(self, backend, redis):
        redis.kill()
        start = time.monotonic()
        for _ in range(100):
            with pytest.raises(BackendUnavailable):
                backend.ping()
        assert time.monotonic() - start < 100 * 0.3 / 5  # a fifth of what it takes when each waits for its deadline

    def test_it_is_used_again_soon_after_it_is_back(self, backend, redis):
        eventually(lambda: connect(backend))
        redis.kill()
        with pytest.raises(BackendUnavailable):
            update(backend, "unavailable")
        redis.start()
        eventually(lambda: update(backend, "offline"))

    def test_missed_signals_are_reported_and_those_that_follow_arrive(self, backend, redis):
        listener = SignalListener(backend)
        redis.restart()
        eventually(lambda: ("missed", "") in listener._signals)
        eventually(lambda: backend.ping() is None)
        listener._signals.clear()
        backend.signal("mail", "jane")
        assert listener.received() == [("mail", "jane")]

    def test_scripts_that_were_flushed_are_loaded_again(self, backend, redis):
        eventually(lambda: connect(backend))
        redis.client.script_flush()
        eventually(lambda: update(backend, "unavailable"))

    def test_a_server_that_stands_still_holds_nobody_beyond_the_deadline(self, backend, redis):
        eventually(lambda: connect(backend))
        with redis.stopped():
            start = time.monotonic()
            waiting = [gevent.spawn(_refused, lambda n=n: backend.status(f"user-{n}")) for n in range(50)]
            ticks = 0
            while not all(one.ready() for one in waiting):
                gevent.sleep(0.01)
                ticks += 1
            gevent.joinall(waiting, raise_error=True)
            assert time.monotonic() - start < 50 * 0.3 / 5  # a fifth of what it takes when one waits after the other
            assert ticks > 10  # everybody else goes on
            assert all(one.value for one in waiting)
        eventually(lambda: update(backend, "unavailable"))

    @pytest.mark.slow
    def test_an_abandoned_call_never_happens_after_later_ones(self, backend, redis):
        eventually(lambda: connect(backend))
        with redis.stopped():
            assert _refused(lambda: update(backend, "unavailable"))
            gevent.sleep(0.6)
            last = gevent.spawn(eventually, lambda: update(backend, "offline"))
            gevent.sleep(0.1)
        last.get(timeout=PATIENCE_SECONDS)
        assert backend.status("jane") == "offline"
        assert changes(backend)[-1] == ("offline", "explicit")

    def test_a_connection_nobody_was_informed_of_is_given_up(self, backend, redis, clock):
        with redis.stopped():
            calls = [gevent.spawn(_refused, lambda who=who: connect(backend, *who)) for who in ((None, "c1"), ("phone", "c2"))]
            assert [call.get(timeout=PATIENCE_SECONDS) for call in calls] == [True, True]
        eventually(lambda: len(backend.devices("jane")) == 2)  # they were sent, and happened
        backend.due()
        assert [device.connected for device in backend.devices("jane")] == [False, False]
        clock.advance(15)
        sweep(backend)
        assert seen(backend) == {JANE.puid: "offline"}

    def test_a_connection_that_tries_again_has_one_device_and_keeps_it(self, backend, redis):
        with redis.stopped():
            assert _refused(lambda: connect(backend, None, "c1"))
        made = eventually_connected(backend, "c1")
        backend.due()
        assert [(device.name, device.connected) for device in backend.devices("jane")] == [(made.device, True)]

    def test_a_connection_that_finds_its_device_by_an_update_keeps_it(self, backend, redis):
        with redis.stopped():
            assert _refused(lambda: connect(backend))
            assert _refused(lambda: update(backend, "online"))
        eventually(lambda: update(backend, "online"))  # as a recovery does, whose attempt to connect the device again had no answer
        backend.due()
        assert [device.connected for device in backend.devices("jane")] == [True]

    def test_a_call_that_was_never_sent_is_not_abandoned(self, backend, redis):
        redis.kill()
        for number in range(10):
            assert _refused(lambda number=number: connect(backend, None, f"c{number}"))
        assert len(backend._unanswered) <= 1  # the first was on its way when the server was found to be gone

    def test_a_call_that_missed_its_deadline_before_it_was_sent_is_never_sent(self, backend, monkeypatch):
        begin = backend._client._begin
        monkeypatch.setattr(backend._client, "_begin", lambda connection: gevent.sleep(0.5) or begin(connection))
        backend._client._disconnect()
        assert _refused(lambda: connect(backend))
        eventually(lambda: backend.ping() is None)
        assert list(backend.devices("jane")) == []

    def test_too_many_who_wait_are_refused(self, backend, redis, monkeypatch):
        monkeypatch.setattr(backend._client, "_max_waiting", 5)
        with redis.stopped():
            calls = [gevent.spawn(_refused, backend.ping) for _ in range(6)]
            gevent.sleep(0.05)
            assert [one.ready() for one in calls] == [False] * 5 + [True]
            gevent.joinall(calls, timeout=PATIENCE_SECONDS)
            assert all(one.value for one in calls)

    def test_nothing_may_be_called_after_the_end(self, backend):
        backend.close()
        with pytest.raises(BackendUnavailable):
            backend.ping()

    def test_a_server_that_is_away_at_the_start_is_unavailable(self, redis, trackers):
        redis.kill()
        with pytest.raises(BackendUnavailable):
            trackers(redis.server())


def eventually_connected(backend: Tracker, connection: str) -> Connected:
    """Connect a nameless device until it is answered."""
    made = []
    eventually(lambda: made.append(connect(backend, None, connection)) or made)
    return made[0]


def _refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except BackendUnavailable:
        return True
    return False


def test_a_tracker_that_cannot_start_leaves_no_connection_behind(redis_server, monkeypatch):
    def connections():
        return len(redis_server.client.client_list())

    before = connections()
    for owner, step in ((RedisTracker, "ping"), (PubSub, "_subscribe")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                make_redis_tracker(redis_server.server(), SETTINGS, FakeClock())
        eventually(lambda: connections() == before)
