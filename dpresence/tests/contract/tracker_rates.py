"""Contract of every tracker: how often the changes of one user reach an application.

Subclasses give ``backend``, made with ``RATED``, and ``pass_time(seconds)``, for the clock that buckets run by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dpresence.backends.tracker import StaleGrants, Tracker
from dpresence.model import Grant, GrantSet

from .tracker_shows import RatedShowsContract
from .tracker_values import GO, JANE, SignalListener, changes, connect, flap, read, seen, sweep, update

ONLINE, UNAVAILABLE, OFFLINE = ("online", "explicit"), ("unavailable", "explicit"), ("offline", "explicit")
PAUSED = replace(JANE, paused=True)


def append_postponed(backend: Tracker, *grants: Grant) -> list[str]:
    users = list(backend.postponed())
    for user in users:
        backend.append_postponed(user, GrantSet(0, grants or (JANE,)))
    return users


class RateContract(RatedShowsContract):
    # -- what an attacker does

    def test_new_device_names_tell_no_more_than_the_rate(self, backend, pass_time):
        for number in range(10):
            connect(backend, f"device-{number}", f"c{number}", ("unavailable", "online")[number % 2])
            backend.remove("jane", f"device-{number}", GrantSet(0, (JANE,)))
        assert [status for status, _ in changes(backend)].count("offline") == 3
        assert len(changes(backend)) == 6
        pass_time(60)
        assert append_postponed(backend) in ([], ["jane"])  # nothing is published: the user is offline
        assert len(changes(backend)) == 6

    def test_reconnecting_under_new_names_tells_no_more_than_the_rate(self, backend):
        for number in range(10):
            connect(backend, f"device-{number}", f"c{number}", ("unavailable", "online")[number % 2])
            if number:
                backend.leave("jane", f"device-{number - 1}", f"c{number - 1}")
                backend.remove("jane", f"device-{number - 1}", GrantSet(0, (JANE,)))
        assert len(changes(backend)) == 3
        assert backend.status("jane") == "online"

    def test_pause_and_resume_tell_no_more_than_the_rate(self, backend, pass_time):
        connect(backend)
        for _ in range(10):
            backend.append_current_status(PAUSED, 0)
            backend.append_current_status(JANE, 0)
        assert changes(backend) == [ONLINE, OFFLINE, ONLINE, OFFLINE, ONLINE, OFFLINE]
        pass_time(2)
        append_postponed(backend)
        assert changes(backend)[6:] == [ONLINE]

    def test_grants_are_charged_like_changes(self, backend, pass_time):
        connect(backend)
        assert [backend.charge("jane"), backend.charge("jane")] == [0, 0]
        assert backend.charge("jane") == pytest.approx(2, abs=0.2)
        flap(backend, 1)
        assert changes(backend) == [ONLINE]
        pass_time(2)
        assert backend.charge("jane") == 0
        assert backend.charge("joe") == 0

    def test_alternating_with_offline_tells_no_more_than_the_rate(self, backend):
        connect(backend)
        for _ in range(10):
            update(backend, "offline")
            update(backend, "unavailable")
        assert changes(backend) == [ONLINE, OFFLINE, UNAVAILABLE, OFFLINE, UNAVAILABLE, OFFLINE]

    def test_going_away_and_coming_back_gives_no_new_tokens(self, backend, pass_time):
        connect(backend)
        flap(backend, 2)
        backend.remove("jane", "phone", GrantSet(0, (JANE,)))
        connect(backend, connection="c2")
        assert changes(backend)[-1] == OFFLINE
        pass_time(2)
        append_postponed(backend)
        assert changes(backend)[-1] == ONLINE

    def test_the_rate_is_of_all_applications_together(self, backend):
        connect(backend, grants=(JANE, GO))
        for _ in range(5):
            backend.append_current_status(PAUSED, 0)
            backend.append_current_status(JANE, 0)
        update(backend, "unavailable", (JANE, GO))
        assert changes(backend, "go") == [ONLINE]

    # -- what is never lost

    def test_the_newest_status_is_reported_once_as_soon_as_there_is_a_token(self, backend, pass_time):
        connect(backend)
        flap(backend, 6)
        update(backend, "unavailable")
        assert changes(backend) == [ONLINE, UNAVAILABLE, ONLINE]
        assert append_postponed(backend) == []
        pass_time(1)
        assert append_postponed(backend) == []
        pass_time(1)
        listener = SignalListener(backend)
        assert append_postponed(backend) == ["jane"]
        assert listener.received() == [("feed", "chess")]
        assert changes(backend)[3:] == [UNAVAILABLE]
        pass_time(60)
        assert append_postponed(backend) == []

    def test_a_postponed_report_has_the_time_and_the_reason_of_its_own(self, backend, clock, pass_time):
        connect(backend, "tablet", "c2", "unavailable")
        connect(backend)
        backend.leave("jane", "phone", "c1")
        pass_time(15)
        for _ in range(3):
            assert backend.charge("jane") == 0
        sweep(backend)
        assert backend.status("jane") == "unavailable"
        pass_time(2)
        append_postponed(backend)
        assert changes(backend)[-1] == ("unavailable", "lost")
        assert read(backend)[-1].at == clock.now() // 1000 * 1000

    def test_a_status_that_returned_to_the_one_sent_adds_no_entry(self, backend, pass_time):
        connect(backend)
        flap(backend, 4)
        pass_time(10)
        append_postponed(backend)
        assert changes(backend) == [ONLINE, UNAVAILABLE, ONLINE]

    @pytest.mark.parametrize("end", ["says", "signs out", "signs out everywhere", "pauses", "revokes", "is lost"])
    def test_offline_is_reported_at_once_and_ends_what_was_postponed(self, backend, pass_time, end):
        connect(backend)
        flap(backend, 3)
        grants = GrantSet(0, (JANE,))
        backend.leave("jane", "phone", "c1") if end == "is lost" else None
        ends: dict[str, Callable[[], object]] = {
            "says": lambda: update(backend, "offline"),
            "signs out": lambda: backend.remove("jane", "phone", grants),
            "signs out everywhere": lambda: backend.remove_all("jane", grants),
            "pauses": lambda: backend.append_current_status(PAUSED, 0),
            "revokes": lambda: backend.append_revocation(JANE),
            "is lost": lambda: [pass_time(15), sweep(backend)],
        }
        ends[end]()
        assert changes(backend)[-1][0] == "offline"
        known = len(changes(backend))
        pass_time(60)
        append_postponed(backend, *{"pauses": [PAUSED], "revokes": [GO]}.get(end, []))
        assert len(changes(backend)) == known

    def test_a_burst_is_there_again_after_a_while(self, backend, pass_time):
        connect(backend)
        flap(backend, 2)
        pass_time(60)
        flap(backend, 10)
        assert len(changes(backend)) == 6

    # -- the status shown is the one that was sent

    def test_nothing_shows_more_than_was_sent(self, backend):
        connect(backend, grants=(JANE, GO))
        flap(backend, 3, JANE, GO)
        assert (backend.status("jane"), backend.sent_status("jane")) == ("unavailable", "online")
        assert seen(backend) == {JANE.puid: "online"}
        assert backend.latest("chess", [JANE.puid])[JANE.puid].status == "online"
        maps = replace(GO, appid="maps", puid="jane-in-maps")
        backend.append_grant(maps, 0)
        backend.append_current_status(GO, 0)
        assert changes(backend, "maps") == [("online", "granted")]
        assert changes(backend, "go") == [ONLINE, UNAVAILABLE, ONLINE]

    def test_changes_that_no_application_may_see_cost_nothing(self, backend):
        connect(backend, grants=())
        flap(backend, 10, PAUSED)
        flap(backend, 4)
        assert changes(backend) == [UNAVAILABLE, ONLINE, UNAVAILABLE]

    def test_one_user_does_not_slow_another(self, backend):
        connect(backend)
        flap(backend, 10)
        joe = Grant("chess", "joe-in-chess", "joe", JANE.since, JANE.since)
        connect(backend, user="joe", grants=(joe,))
        assert seen(backend)[joe.puid] == "online"

    def test_telling_with_old_grants_is_refused_and_loses_nothing(self, backend, pass_time):
        connect(backend)
        flap(backend, 3)
        backend.append_current_status(JANE, 7)
        pass_time(2)
        with pytest.raises(StaleGrants):
            backend.append_postponed("jane", GrantSet(6, (JANE,)))
        assert list(backend.postponed()) == ["jane"]
        backend.append_postponed("jane", GrantSet(7, (JANE,)))
        assert changes(backend)[-1] == UNAVAILABLE
