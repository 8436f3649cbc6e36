"""Contract of every tracker. Subclasses give ``backend`` (empty, open, made with ``SETTINGS``) and the ``clock`` it runs by.

The tests use the public interface only. A signal may take a moment to arrive (see ``SignalListener``); all else has effect at once.
"""

from __future__ import annotations

import gevent

from dpresence.tests.waiting import eventually

from .tracker_devices import DeviceContract
from .tracker_feeds import FeedContract
from .tracker_grace import GraceContract
from .tracker_grants import GrantContract
from .tracker_overrides import OverrideContract
from .tracker_revisions import RevisionContract
from .tracker_shows import ShowsContract
from .tracker_values import GO, JANE, SignalListener, changes, connect, update


class TrackerContract(DeviceContract, GraceContract, GrantContract, OverrideContract, ShowsContract, FeedContract, RevisionContract):
    # -- signals

    def test_every_listener_receives_a_signal(self, backend):
        listeners = [SignalListener(backend), SignalListener(backend)]
        backend.signal("mail", "jane")
        backend.signal("device", "jane phone")
        assert listeners[0].received() == [("mail", "jane"), ("device", "jane phone")]
        assert listeners[1].received()[:2] == [("mail", "jane"), ("device", "jane phone")]

    def test_an_entry_wakes_its_application_after_it_can_be_read(self, backend):
        found = []
        backend.subscribe(lambda topic, key: gevent.spawn(lambda: found.append((topic, key, changes(backend, key)))))
        connect(backend, grants=(JANE, GO))
        eventually(lambda: len(found) == 2)
        assert found == [("feed", "chess", [("online", "explicit")]), ("feed", "go", [("online", "explicit")])]

    def test_a_change_without_an_entry_signals_nobody(self, backend):
        connect(backend)
        listener = SignalListener(backend)
        update(backend, "online")
        connect(backend, "laptop", "c2", "unavailable")
        backend.leave("jane", "phone", "c1")
        connect(backend, connection="c3")
        backend.append_current_status(JANE, 0)
        assert listener.received() == []

    def test_grants_that_come_and_go_wake_their_application(self, backend):
        listener = SignalListener(backend)
        backend.append_grant(JANE, 0)
        backend.append_revocation(JANE)
        assert listener.received() == [("feed", "chess")] * 2

    # -- between processes

    def test_a_published_value_replaces_the_last_one_of_its_process(self, backend):
        assert backend.published() == ([], {})
        backend.publish("first", {"refusals 34": 1, "cpu_seconds": 0.5})
        backend.publish('{"who": "a…@example.org"}', {"refusals 34": 2, "cpu_seconds": 1.5})
        assert backend.published() == (['{"who": "a…@example.org"}'], {"refusals 34": 2, "cpu_seconds": 1.5})

    def test_a_task_is_claimed_by_the_first_who_asks_and_by_nobody_else_for_its_time(self, backend):
        assert [backend.claim("task", 60), backend.claim("task", 60), backend.claim("other", 60)] == [True, False, True]
        assert [backend.claim("short", 0), backend.claim("short", 0)] == [True, True]

    # -- the whole

    def test_a_reachable_store_answers_a_ping(self, backend):
        assert backend.ping() is None

    def test_closing_twice_is_harmless(self, backend):
        backend.close()
        backend.close()
