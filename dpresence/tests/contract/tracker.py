"""What every tracker must do. Subclasses give ``backend`` (empty, open, made with ``SETTINGS``) and the ``clock`` it runs by.

Nothing here looks behind the public interface. A wake-up may take a moment to arrive (see ``Ear``), everything else is there at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import gevent
import pytest

from dpresence.backends.tracker import Connected, Tracker
from dpresence.errors import TooMany
from dpresence.model import Device, Grant, Status, Update
from dpresence.settings import PresenceSettings
from dpresence.tests.support import EPOCH

SETTINGS = PresenceSettings(grace_seconds=15, feed_seconds=60, feed_entries=100)
LIMIT = 20
SECOND = EPOCH // 1000 * 1000
RUBBISH = [
    *["", ":", "1", ":1", "x:1", "\x00", "x{}:1", "{}x:1", "0" * 16 + ":0"],  # {} is the epoch of a cursor
    *["{}", "{}:", "{}:-1", "{}:+1", "{}: 1", "{}:1.0", "{}:1:1", "{}:1\n", "{}:1_0", "{}:0x1", "{}:\u0661", "{}:\u00b2"],
    *["{}:" + "9" * 19, "{}:" + "9" * 5000],
]


def grant(user: str = "jane", appid: str = "chess", since: int = EPOCH, paused: bool = False) -> Grant:
    return Grant(appid, f"{user}-in-{appid}", user, since, since, paused)


JANE = grant()
GO = grant(appid="go")


def connect(
    backend: Tracker,
    device: str | None = "phone",
    connection: str = "c1",
    status: Status = "online",
    grants: Iterable[Grant] = (JANE,),
    user: str = "jane",
    limit: int = LIMIT,
) -> Connected:
    return backend.connect(user, device, connection, status, grants, limit)


def update(backend: Tracker, status: Status, grants: Iterable[Grant] = (JANE,), device: str = "phone", connection: str = "c1") -> bool:
    return backend.update("jane", device, connection, status, grants)


def sweep(backend: Tracker, *grants: Grant) -> None:
    for user in backend.due():
        backend.expire(user, grants or (JANE,))


def read(backend: Tracker, appid: str = "chess", offset: int = 0, limit: int = 1000) -> list[Update]:
    updates = backend.read(appid, offset, limit)
    assert updates is not None
    return list(updates)


def told(backend: Tracker, appid: str = "chess", offset: int = 0) -> list[tuple[str, str]]:
    """What an application was told since an offset, without the names."""
    return [(one.status, one.reason) for one in read(backend, appid, offset)]


def head(backend: Tracker, appid: str = "chess") -> int:
    return backend.snapshot(appid)[1]


def seen(backend: Tracker, appid: str = "chess") -> dict[str, Status]:
    return {puid: one.status for puid, one in backend.snapshot(appid)[0].items()}


def flap(backend: Tracker, times: int, *grants: Grant) -> None:
    """Change the status of jane's phone that many times."""
    for n in range(times):
        assert update(backend, ("unavailable", "online")[n % 2], grants or (JANE,))


class Ear:
    """A listener; ``heard`` waits until a mark of its own came through behind everything that was woken before."""

    def __init__(self, backend: Tracker) -> None:
        self._backend = backend
        self._wakes: list[tuple[str, str]] = []
        backend.listen(lambda topic, key: self._wakes.append((topic, key)))

    def heard(self) -> list[tuple[str, str]]:
        self._backend.wake("account", "mark")
        with gevent.Timeout(5):
            while ("account", "mark") not in self._wakes:
                gevent.sleep(0.01)
        wakes = self._wakes[: self._wakes.index(("account", "mark"))]
        self._wakes.clear()
        return wakes


class TrackerContract:
    # -- wake-ups

    def test_every_listener_hears_a_wake_up(self, backend):
        ears = [Ear(backend), Ear(backend)]
        backend.wake("mail", "jane")
        backend.wake("device", "jane phone")
        assert ears[0].heard() == [("mail", "jane"), ("device", "jane phone")]
        assert ears[1].heard()[:2] == [("mail", "jane"), ("device", "jane phone")]

    def test_an_entry_wakes_its_application_after_it_can_be_read(self, backend):
        found = []
        backend.listen(lambda topic, key: found.append((topic, key, told(backend, key))))
        connect(backend, grants=(JANE, GO))
        with gevent.Timeout(5):
            while len(found) < 2:
                gevent.sleep(0.01)
        assert found == [("feed", "chess", [("online", "explicit")]), ("feed", "go", [("online", "explicit")])]

    def test_what_adds_no_entry_wakes_nobody(self, backend):
        connect(backend)
        ear = Ear(backend)
        update(backend, "online")
        connect(backend, "laptop", "c2", "unavailable")
        backend.leave("jane", "phone", "c1")
        connect(backend, connection="c3")
        backend.refresh(JANE)
        assert ear.heard() == []

    def test_grants_that_come_and_go_wake_their_application(self, backend):
        ear = Ear(backend)
        backend.granted(JANE)
        backend.revoked(JANE)
        assert ear.heard() == [("feed", "chess")] * 2

    # -- a user's status

    def test_an_unknown_user_is_offline_and_has_no_device(self, backend):
        assert backend.status("jane") == "offline"
        assert list(backend.devices("jane")) == []

    def test_a_first_device_makes_its_user_what_it_says(self, backend):
        assert connect(backend, status="unavailable") == Connected("phone", None)
        assert backend.status("jane") == "unavailable"
        assert list(backend.devices("jane")) == [Device("phone", "unavailable", True, EPOCH)]
        assert read(backend) == [Update(1, JANE.puid, "unavailable", SECOND, "explicit")]

    @pytest.mark.parametrize("phone", ["online", "unavailable", "offline"])
    @pytest.mark.parametrize("laptop", ["online", "unavailable", "offline"])
    def test_the_most_reachable_device_decides(self, backend, phone, laptop):
        connect(backend, status=phone)
        connect(backend, "laptop", "c2", laptop)
        expected = "online" if "online" in (phone, laptop) else "unavailable" if "unavailable" in (phone, laptop) else "offline"
        assert backend.status("jane") == expected
        assert seen(backend).get(JANE.puid, "offline") == expected

    def test_devices_are_listed_by_name_with_when_they_connected(self, backend, clock):
        connect(backend)
        clock.advance(2)
        connect(backend, "laptop", "c2", "unavailable")
        backend.leave("jane", "phone", "c1")
        assert list(backend.devices("jane")) == [
            Device("laptop", "unavailable", True, EPOCH + 2000),
            Device("phone", "online", False, EPOCH),
        ]

    def test_only_a_change_is_told(self, backend):
        connect(backend)
        update(backend, "online")
        connect(backend, "laptop", "c2")
        update(backend, "unavailable")
        update(backend, "unavailable", device="laptop", connection="c2")
        update(backend, "offline")
        assert told(backend) == [("online", "explicit"), ("unavailable", "explicit")]

    def test_two_steady_devices_cause_nothing(self, backend, clock):
        connect(backend)
        connect(backend, "laptop", "c2", "unavailable")
        start = head(backend)
        for _ in range(3):
            update(backend, "online")
            update(backend, "unavailable", device="laptop", connection="c2")
            backend.renew()
            clock.advance(30)
            sweep(backend)
        assert head(backend) == start

    def test_offline_keeps_the_connection_and_is_told_at_once(self, backend):
        connect(backend)
        assert update(backend, "offline")
        assert list(backend.devices("jane")) == [Device("phone", "offline", True, EPOCH)]
        assert update(backend, "online")
        assert told(backend) == [("online", "explicit"), ("offline", "explicit"), ("online", "explicit")]

    def test_a_device_that_starts_offline_tells_nothing(self, backend):
        connect(backend, status="offline")
        assert told(backend) == []
        assert seen(backend) == {}

    def test_users_are_told_apart(self, backend):
        joe = grant("joe")
        connect(backend)
        connect(backend, user="joe", grants=(joe,), status="unavailable")
        backend.remove("joe", "phone", (joe,))
        assert (backend.status("jane"), backend.status("joe")) == ("online", "offline")
        assert [one.puid for one in read(backend)] == [JANE.puid, joe.puid, joe.puid]

    def test_each_granting_application_is_told_under_its_own_puid(self, backend):
        connect(backend, grants=iter((JANE, GO)))
        assert [(one.offset, one.puid) for one in read(backend)] == [(1, JANE.puid)]
        assert [(one.offset, one.puid) for one in read(backend, "go")] == [(1, GO.puid)]
        assert told(backend, "checkers") == []

    # -- connections of a device

    def test_the_newest_connection_wins_unseen(self, backend, clock):
        connect(backend)
        clock.advance(1)
        assert connect(backend, connection="c2") == Connected("phone", "c1")
        assert list(backend.devices("jane")) == [Device("phone", "online", True, EPOCH + 1000)]
        assert told(backend) == [("online", "explicit")]

    def test_a_replaced_connection_changes_nothing_any_more(self, backend, clock):
        connect(backend)
        connect(backend, connection="c2")
        assert update(backend, "offline") is False
        backend.leave("jane", "phone", "c1")
        clock.advance(16)
        sweep(backend)
        assert list(backend.devices("jane")) == [Device("phone", "online", True, EPOCH)]
        assert told(backend) == [("online", "explicit")]

    def test_a_connection_that_left_changes_nothing_any_more(self, backend):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        assert update(backend, "offline") is False
        assert told(backend) == [("online", "explicit")]

    def test_what_nobody_connected_cannot_be_changed(self, backend):
        assert update(backend, "online") is False
        backend.leave("jane", "phone", "c1")
        connect(backend)
        assert update(backend, "offline", device="laptop") is False
        backend.leave("jane", "laptop", "c1")
        assert told(backend) == [("online", "explicit")]

    def test_nameless_devices_get_names_of_their_own(self, backend):
        names = {connect(backend, None, f"c{n}").device for n in range(3)}
        assert len(names) == 3
        assert all(name.startswith("~") for name in names)
        assert {one.name for one in backend.devices("jane")} == names

    # -- grace

    def test_a_lost_device_keeps_its_status_through_grace(self, backend, clock):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        clock.advance(14.9)
        assert list(backend.due()) == []
        backend.expire("jane", (JANE,))
        assert list(backend.devices("jane")) == [Device("phone", "online", False, EPOCH)]
        assert told(backend) == [("online", "explicit")]

    def test_after_grace_it_is_lost(self, backend, clock):
        connect(backend)
        clock.advance(10)
        backend.leave("jane", "phone", "c1")
        clock.advance(15)
        assert list(backend.due()) == ["jane"]
        backend.expire("jane", (JANE,))
        assert list(backend.due()) == []
        assert (backend.status("jane"), list(backend.devices("jane"))) == ("offline", [])
        assert read(backend)[-1] == Update(2, JANE.puid, "offline", SECOND + 25_000, "lost")

    def test_each_lost_device_has_its_own_grace(self, backend, clock):
        connect(backend)
        connect(backend, "laptop", "c2", "unavailable")
        backend.leave("jane", "phone", "c1")
        clock.advance(10)
        backend.leave("jane", "laptop", "c2")
        clock.advance(5)
        sweep(backend)
        assert told(backend)[1:] == [("unavailable", "lost")]
        clock.advance(10)
        sweep(backend)
        assert told(backend)[1:] == [("unavailable", "lost"), ("offline", "lost")]

    def test_losing_one_of_two_that_say_the_same_is_seen_by_nobody(self, backend, clock):
        connect(backend)
        connect(backend, "laptop", "c2")
        backend.leave("jane", "phone", "c1")
        clock.advance(15)
        sweep(backend)
        assert [one.name for one in backend.devices("jane")] == ["laptop"]
        assert told(backend) == [("online", "explicit")]

    def test_due_names_each_user_once_and_only_those_whose_time_is_over(self, backend, clock):
        for user in ("jane", "joe", "jim"):
            connect(backend, user=user, grants=())
            connect(backend, "laptop", "c2", user=user, grants=())
        for name, connection in (("phone", "c1"), ("laptop", "c2")):
            backend.leave("jane", name, connection)
            backend.leave("joe", name, connection)
        clock.advance(1)
        backend.leave("jim", "phone", "c1")
        clock.advance(14)
        assert sorted(backend.due()) == ["jane", "joe"]
        assert sorted(backend.due()) == ["jane", "joe"]

    @pytest.mark.parametrize("device", ["phone", None])
    def test_a_reconnect_within_grace_is_seen_by_nobody(self, backend, clock, device):
        first = connect(backend, device).device
        backend.leave("jane", first, "c1")
        clock.advance(14)
        assert connect(backend, device, "c2") == Connected(first, None)
        clock.advance(60)
        sweep(backend)
        assert list(backend.devices("jane")) == [Device(first, "online", True, EPOCH + 14_000)]
        assert head(backend) == 1

    def test_a_nameless_connection_takes_over_no_device_with_a_name_nor_one_that_is_connected(self, backend):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        first = connect(backend, None, "c2").device
        second = connect(backend, None, "c3").device
        assert {one.name: one.connected for one in backend.devices("jane")} == {"phone": False, first: True, second: True}
        assert "phone" not in (first, second)

    def test_nobody_takes_over_the_device_of_another_user(self, backend):
        mine = connect(backend, None).device
        backend.leave("jane", mine, "c1")
        assert connect(backend, None, "c2", user="joe", grants=()).device != mine
        assert [one.connected for one in backend.devices("jane")] == [False]

    def test_a_named_reconnect_leaves_a_nameless_device_in_grace(self, backend):
        nameless = connect(backend, None).device
        backend.leave("jane", nameless, "c1")
        connect(backend, connection="c2")
        assert {one.name: one.connected for one in backend.devices("jane")} == {"phone": True, nameless: False}

    def test_a_reconnect_with_another_status_is_a_change(self, backend):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        connect(backend, connection="c2", status="unavailable")
        assert told(backend) == [("online", "explicit"), ("unavailable", "explicit")]

    def test_a_second_loss_begins_grace_anew(self, backend, clock):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        clock.advance(10)
        connect(backend, connection="c2")
        backend.leave("jane", "phone", "c2")
        clock.advance(14)
        assert list(backend.due()) == []
        clock.advance(1)
        assert list(backend.due()) == ["jane"]

    def test_leaving_twice_does_not_prolong_grace(self, backend, clock):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        clock.advance(10)
        backend.leave("jane", "phone", "c1")
        clock.advance(5)
        assert list(backend.due()) == ["jane"]

    def test_after_offline_leaving_needs_no_grace(self, backend, clock):
        connect(backend)
        update(backend, "offline")
        backend.leave("jane", "phone", "c1")
        assert list(backend.devices("jane")) == []
        clock.advance(60)
        assert list(backend.due()) == []
        assert told(backend) == [("online", "explicit"), ("offline", "explicit")]

    def test_leaving_after_offline_leaves_the_other_devices(self, backend):
        connect(backend, status="offline")
        connect(backend, "laptop", "c2", "unavailable")
        backend.leave("jane", "phone", "c1")
        assert [one.name for one in backend.devices("jane")] == ["laptop"]
        assert backend.status("jane") == "unavailable"

    def test_a_reconnect_between_due_and_expire_is_safe(self, backend, clock):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        clock.advance(15)
        assert list(backend.due()) == ["jane"]
        connect(backend, connection="c2")
        backend.expire("jane", (JANE,))
        assert [one.connected for one in backend.devices("jane")] == [True]
        assert told(backend) == [("online", "explicit")]

    def test_a_new_loss_between_due_and_expire_keeps_its_grace(self, backend, clock):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        clock.advance(15)
        users = backend.due()
        connect(backend, connection="c2")
        backend.leave("jane", "phone", "c2")
        for user in users:
            backend.expire(user, (JANE,))
        assert [one.connected for one in backend.devices("jane")] == [False]
        assert told(backend) == [("online", "explicit")]

    def test_expiring_an_unknown_user_does_nothing(self, backend):
        backend.expire("jane", (JANE,))
        assert told(backend) == []

    def test_grace_runs_by_a_clock_that_is_never_set_back(self, backend, clock):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        clock.start -= 3_600_000
        clock.advance(15)
        assert list(backend.due()) == ["jane"]

    # -- limit

    def test_a_user_has_so_many_connected_devices_and_no_more(self, backend):
        connect(backend, limit=2)
        connect(backend, "laptop", "c2", limit=2)
        for device in ("tablet", None):
            with pytest.raises(TooMany) as caught:
                connect(backend, device, "c3", limit=2)
            assert (caught.value.errno, caught.value.error[:7]) == (114, "device:")
        assert [one.name for one in backend.devices("jane")] == ["laptop", "phone"]
        assert connect(backend, "tablet", "c3", user="joe", grants=(), limit=2).device == "tablet"

    def test_a_refused_connection_leaves_no_trace(self, backend):
        with pytest.raises(TooMany):
            connect(backend, limit=0)
        assert list(backend.devices("jane")) == []
        assert (backend.status("jane"), told(backend)) == ("offline", [])

    def test_a_replaced_connection_does_not_count(self, backend):
        connect(backend, limit=1)
        assert connect(backend, connection="c2", limit=1) == Connected("phone", "c1")

    def test_devices_in_grace_do_not_count(self, backend):
        nameless = connect(backend, None, limit=1).device
        backend.leave("jane", nameless, "c1")
        connect(backend, connection="c2", limit=1)
        with pytest.raises(TooMany):
            connect(backend, None, "c3", limit=1)
        assert [one.connected for one in backend.devices("jane")] == [True, False]

    # -- signing out

    def test_a_device_that_is_signed_out_is_gone_at_once(self, backend):
        connect(backend)
        connect(backend, "laptop", "c2", "unavailable")
        assert backend.remove("jane", "phone", (JANE,)) is True
        assert [one.name for one in backend.devices("jane")] == ["laptop"]
        assert told(backend) == [("online", "explicit"), ("unavailable", "explicit")]
        assert update(backend, "online") is False
        backend.leave("jane", "phone", "c1")
        assert [one.name for one in backend.devices("jane")] == ["laptop"]

    def test_a_device_in_grace_can_be_signed_out(self, backend, clock):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        assert backend.remove("jane", "phone", (JANE,)) is True
        clock.advance(15)
        assert list(backend.due()) == []
        assert told(backend) == [("online", "explicit"), ("offline", "explicit")]

    def test_signing_out_what_is_not_there_is_false(self, backend):
        assert backend.remove("jane", "phone", (JANE,)) is False
        connect(backend)
        assert backend.remove("jane", "laptop", (JANE,)) is False
        assert backend.remove("joe", "phone", (JANE,)) is False
        assert told(backend) == [("online", "explicit")]

    def test_an_old_connection_cannot_touch_a_device_that_came_back_after_sign_out(self, backend):
        connect(backend)
        backend.remove("jane", "phone", (JANE,))
        assert connect(backend, connection="c2") == Connected("phone", None)
        assert update(backend, "offline") is False
        assert backend.status("jane") == "online"

    def test_signing_out_everywhere_leaves_nothing(self, backend, clock):
        connect(backend)
        connect(backend, "laptop", "c2", "unavailable")
        connect(backend, user="joe", grants=())
        backend.leave("jane", "laptop", "c2")
        backend.remove_all("jane", (JANE, GO))
        backend.remove_all("jane", (JANE, GO))
        clock.advance(15)
        assert list(backend.due()) == []
        assert (list(backend.devices("jane")), backend.status("jane"), backend.status("joe")) == ([], "offline", "online")
        assert told(backend) == [("online", "explicit"), ("offline", "explicit")]

    # -- grants

    @pytest.mark.parametrize("status", ["online", "unavailable", "offline"])
    def test_a_new_grant_is_told_with_the_present_status(self, backend, clock, status):
        connect(backend, status=status, grants=())
        clock.advance(5)
        backend.granted(JANE)
        assert read(backend) == [Update(1, JANE.puid, status, SECOND + 5000, "granted")]

    def test_a_grant_of_a_user_never_seen_is_offline(self, backend):
        backend.granted(JANE)
        assert told(backend) == [("offline", "granted")]

    def test_a_paused_grant_is_told_nothing(self, backend, clock):
        paused = replace(JANE, paused=True)
        connect(backend, grants=(paused, GO))
        update(backend, "unavailable", (paused, GO))
        backend.leave("jane", "phone", "c1")
        clock.advance(15)
        sweep(backend, paused, GO)
        assert told(backend) == []
        assert len(told(backend, "go")) == 3

    def test_a_pause_looks_like_going_offline(self, backend):
        connect(backend)
        backend.refresh(replace(JANE, paused=True))
        assert told(backend) == [("online", "explicit"), ("offline", "explicit")]
        assert backend.status("jane") == "online"

    def test_resuming_tells_what_was_missed_and_nothing_before_it(self, backend, clock):
        paused = replace(JANE, paused=True)
        connect(backend)
        backend.refresh(paused)
        update(backend, "unavailable", (paused,))
        clock.advance(10)
        backend.refresh(replace(JANE, since=clock.now()))
        assert read(backend, offset=2) == [Update(3, JANE.puid, "unavailable", SECOND + 10_000, "explicit")]

    def test_a_pause_of_somebody_offline_is_seen_by_nobody(self, backend):
        backend.granted(JANE)
        backend.refresh(replace(JANE, paused=True))
        backend.refresh(JANE)
        assert told(backend) == [("offline", "granted")]

    @pytest.mark.parametrize("paused", [True, False])
    def test_a_refresh_that_shows_nothing_new_is_told_once(self, backend, paused):
        connect(backend)
        for _ in range(3):
            backend.refresh(replace(JANE, paused=paused))
        assert len(told(backend)) == 1 + paused

    def test_a_change_that_ends_where_the_application_thinks_the_user_is_tells_nothing(self, backend):
        connect(backend)
        backend.refresh(replace(JANE, paused=True))
        update(backend, "offline", (JANE,))  # resumed, and this change overtook the refresh
        backend.refresh(JANE)
        assert told(backend) == [("online", "explicit"), ("offline", "explicit")]

    def test_no_user_is_seen_online_twice(self, backend):
        connect(backend)
        backend.refresh(replace(JANE, paused=True))
        connect(backend, "laptop", "c2", "unavailable", grants=())
        backend.refresh(JANE)
        update(backend, "unavailable", ())
        update(backend, "online", (JANE,))
        assert told(backend) == [("online", "explicit"), ("offline", "explicit"), ("online", "explicit")]

    def test_revoking_leaves_one_entry_of_the_puid(self, backend):
        joe = grant("joe")
        connect(backend)
        connect(backend, user="joe", grants=(joe,))
        flap(backend, 3)
        backend.revoked(JANE)
        assert [(one.offset, one.puid, one.status, one.reason) for one in read(backend)] == [
            (2, joe.puid, "online", "explicit"),
            (6, JANE.puid, "offline", "revoked"),
        ]
        assert seen(backend) == {joe.puid: "online"}
        assert list(backend.latest("chess", [JANE.puid])) == []
        assert backend.status("jane") == "unavailable"

    def test_revoking_one_application_leaves_the_others(self, backend):
        connect(backend, grants=(JANE, GO))
        backend.revoked(JANE)
        assert told(backend, "go") == [("online", "explicit")]

    def test_nothing_follows_for_a_dead_puid(self, backend):
        connect(backend)
        backend.revoked(JANE)
        ear = Ear(backend)
        backend.revoked(JANE)
        backend.granted(JANE)
        backend.refresh(JANE)
        backend.refresh(replace(JANE, paused=True))
        update(backend, "unavailable")
        connect(backend, connection="c2")
        backend.remove("jane", "phone", (JANE,))
        assert told(backend) == [("offline", "revoked")]
        assert seen(backend) == {}
        assert ear.heard() == []

    def test_a_grant_never_told_of_can_be_revoked(self, backend):
        backend.revoked(JANE)
        assert told(backend) == [("offline", "revoked")]
        assert seen(backend) == {}

    def test_granting_again_is_another_puid(self, backend):
        connect(backend)
        backend.revoked(JANE)
        again = replace(JANE, puid="another")
        backend.granted(again)
        update(backend, "unavailable", (again,))
        assert [(one.puid, one.status, one.reason) for one in read(backend)] == [
            (JANE.puid, "offline", "revoked"),
            ("another", "online", "granted"),
            ("another", "unavailable", "explicit"),
        ]

    # -- times

    def test_times_are_rounded_down_to_the_second(self, backend, clock):
        clock.start = SECOND + 999
        connect(backend, grants=(replace(JANE, since=SECOND),))
        assert [one.at for one in read(backend)] == [SECOND]

    def test_no_time_lies_before_the_grant(self, backend):
        later = replace(JANE, since=EPOCH + 10_500)
        connect(backend, grants=(later,))
        backend.refresh(replace(later, paused=True))
        assert [one.at for one in read(backend)] == [SECOND + 10_000] * 2

    def test_no_revocation_lies_before_the_grant(self, backend):
        backend.revoked(replace(JANE, since=EPOCH + 10_500))
        assert [one.at for one in read(backend)] == [SECOND + 10_000]

    def test_times_of_a_puid_never_go_backwards(self, backend, clock):
        connect(backend)
        clock.start -= 3_600_000
        update(backend, "unavailable")
        backend.refresh(replace(JANE, paused=True))
        connect(backend, user="joe", grants=(grant("joe", since=0),))
        backend.revoked(JANE)
        assert [one.at for one in read(backend)] == [SECOND - 3_600_000, SECOND]
        assert [one.reason for one in read(backend)] == ["explicit", "revoked"]

    def test_memory_has_a_beginning(self, backend, clock):
        assert backend.remembers_since <= clock.now()

    # -- feeds

    def test_offsets_increase_and_reading_goes_on_where_it_stopped(self, backend):
        connect(backend)
        flap(backend, 6)
        pages = [read(backend, offset=offset, limit=3) for offset in (0, 3, 6, 7)]
        assert [[one.offset for one in page] for page in pages] == [[1, 2, 3], [4, 5, 6], [7], []]
        assert [one.status for one in pages[1]] == ["unavailable", "online", "unavailable"]

    def test_a_cursor_leads_back_to_its_offset(self, backend):
        connect(backend)
        for offset in (0, head(backend)):
            assert backend.offset("chess", backend.cursor(offset)) == offset

    def test_a_feed_nobody_wrote_to_stands_at_its_beginning(self, backend):
        assert backend.snapshot("chess") == ({}, 0)
        assert backend.offset("chess", backend.cursor(0)) == 0
        assert read(backend) == []

    @pytest.mark.parametrize("ahead", [1, 1000, 10**17])
    def test_a_cursor_ahead_of_the_feed_is_not_covered(self, backend, ahead):
        connect(backend)
        assert backend.offset("chess", backend.cursor(head(backend) + ahead)) is None
        assert backend.read("chess", head(backend) + ahead, 10) is None

    @pytest.mark.parametrize("rubbish", RUBBISH)
    def test_rubbish_is_no_cursor(self, backend, rubbish):
        connect(backend)
        flap(backend, 20)
        epoch = backend.cursor(0).rpartition(":")[0]
        assert backend.offset("chess", rubbish.replace("{}", epoch)) is None

    def test_entries_are_kept_for_their_time(self, backend, clock):
        connect(backend)
        clock.advance(30)
        flap(backend, 1)
        clock.advance(30)
        assert backend.offset("chess", backend.cursor(0)) == 0
        assert len(read(backend)) == 2

    def test_a_cursor_before_what_grew_too_old_is_not_covered(self, backend, clock):
        connect(backend)
        clock.advance(30)
        flap(backend, 1)
        clock.advance(32)
        assert backend.offset("chess", backend.cursor(0)) is None
        assert backend.read("chess", 0, 10) is None
        assert backend.offset("chess", backend.cursor(1)) == 1
        assert told(backend, offset=1) == [("unavailable", "explicit")]

    def test_a_cursor_of_any_age_is_covered_while_nothing_followed(self, backend, clock):
        connect(backend)
        clock.advance(1_000_000)
        assert backend.offset("chess", backend.cursor(1)) == 1
        assert read(backend, offset=1) == []
        assert seen(backend) == {JANE.puid: "online"}

    def test_a_clock_that_is_set_back_and_a_late_grant_take_nothing_out_of_the_log(self, backend, clock):
        connect(backend)
        late = grant("joe", since=EPOCH + 3_600_000)
        connect(backend, user="joe", grants=(late,))
        clock.start -= 1_000_000
        update(backend, "unavailable")
        assert len(read(backend)) == 3

    def test_beyond_its_number_the_newest_of_each_puid_stays_without_a_hole(self, backend):
        joe = grant("joe")
        connect(backend, user="joe", grants=(joe,))
        connect(backend)
        flap(backend, 250)
        updates = read(backend)
        assert backend.offset("chess", backend.cursor(0)) == 0
        assert updates[0] == Update(1, joe.puid, "online", SECOND, "explicit")
        assert len(updates) < 220
        assert [one.offset for one in updates[1:]] == list(range(updates[1].offset, 253))
        assert updates[-1].status == "online"
        paged: list[Update] = []
        for _ in range(40):
            paged += read(backend, offset=paged[-1].offset if paged else 0, limit=7)
        assert paged == updates

    def test_what_was_kept_beyond_the_number_grows_too_old_all_the_same(self, backend, clock):
        connect(backend, user="joe", grants=(grant("joe"),))
        clock.advance(30)
        connect(backend)
        flap(backend, 250)
        clock.advance(31)
        assert backend.offset("chess", backend.cursor(0)) is None
        assert backend.offset("chess", backend.cursor(1)) == 1
        assert seen(backend) == {"joe-in-chess": "online", JANE.puid: "online"}

    def test_a_revocation_is_kept_beyond_the_number(self, backend):
        joe = grant("joe")
        connect(backend, user="joe", grants=(joe,))
        backend.revoked(joe)
        connect(backend)
        flap(backend, 250)
        updates = read(backend)
        assert [one.reason for one in updates if one.puid == joe.puid] == ["revoked"]
        assert [one for one in updates if one.offset == 1] == []
        connect(backend, connection="c2", user="joe", status="unavailable", grants=(joe,))
        assert head(backend) == updates[-1].offset

    def test_many_revocations_leave_no_hole_unnoticed(self, backend):
        grants = [replace(JANE, puid=f"p{n}") for n in range(400)]
        for one in grants:
            backend.granted(one)
        for one in grants:
            backend.revoked(one)
        assert seen(backend) == {}
        start = backend.offset("chess", backend.cursor(400))
        assert start is None or {one.puid for one in read(backend, offset=start)} == {one.puid for one in grants}
        assert [one.puid for one in read(backend, offset=700)] == [f"p{n}" for n in range(300, 400)]

    def test_a_snapshot_is_tied_to_its_offset(self, backend):
        joe = grant("joe")
        connect(backend)
        connect(backend, user="joe", grants=(joe,))
        flap(backend, 2)
        view, offset = backend.snapshot("chess")
        assert view == {
            JANE.puid: Update(4, JANE.puid, "online", SECOND, "explicit"),
            joe.puid: Update(2, joe.puid, "online", SECOND, "explicit"),
        }
        assert offset == 4
        flap(backend, 1)
        assert [one.offset for one in read(backend, offset=offset)] == [5]
        assert view[JANE.puid].status == "online"

    def test_the_latest_of_some_is_what_the_snapshot_says(self, backend):
        joe = grant("joe")
        connect(backend)
        connect(backend, user="joe", grants=(joe,))
        flap(backend, 1)
        assert backend.latest("chess", [JANE.puid, "unknown"]) == {JANE.puid: Update(3, JANE.puid, "unavailable", SECOND, "explicit")}
        assert backend.latest("chess", []) == {}
        assert backend.latest("go", [JANE.puid]) == {}
        assert backend.latest("chess", [joe.puid, JANE.puid]) == backend.snapshot("chess")[0]

    def test_a_dropped_feed_is_empty(self, backend):
        connect(backend, grants=(JANE, GO))
        backend.drop("chess")
        backend.drop("chess")
        backend.drop("unknown")
        assert backend.snapshot("chess")[0] == {}
        assert backend.latest("chess", [JANE.puid]) == {}
        assert seen(backend, "go") == {GO.puid: "online"}
        assert backend.status("jane") == "online"

    def test_reading_writes_nothing(self, backend):
        connect(backend)
        before = backend.snapshot("chess")
        read(backend)
        backend.offset("chess", backend.cursor(0))
        backend.latest("chess", [JANE.puid])
        assert backend.snapshot("chess") == before

    def test_applications_are_independent(self, backend):
        connect(backend, grants=(JANE, GO))
        flap(backend, 150, JANE)
        assert head(backend, "go") == 1
        backend.refresh(replace(GO, paused=True))
        backend.revoked(JANE)
        assert told(backend, "go") == [("online", "explicit"), ("offline", "explicit")]
        assert told(backend, offset=151) == [("offline", "revoked")]

    def test_what_is_handed_out_is_nobody_elses(self, backend):
        connect(backend, grants=(JANE, GO))
        expected = [Update(1, JANE.puid, "online", SECOND, "explicit")]
        view, _ = backend.snapshot("chess")
        found = [view, backend.latest("chess", [JANE.puid]), backend.read("chess", 0, 10), backend.devices("jane")]
        for one in found:
            if isinstance(one, dict | list):
                one.clear()
        with pytest.raises(AttributeError):
            read(backend)[0].status = "offline"
        assert read(backend) == expected
        assert seen(backend) == {JANE.puid: "online"}
        assert read(backend, "go") == [Update(1, GO.puid, "online", SECOND, "explicit")]
        assert len(backend.devices("jane")) == 1

    def test_a_reader_of_every_step_sees_increasing_offsets_and_no_repetition(self, backend, clock):
        for n in range(40):
            connect(backend, ("phone", "laptop")[n % 2], f"c{n}", ("online", "unavailable", "offline")[n % 3])
            clock.advance(n % 4)
        updates = read(backend)
        assert all(one.offset < other.offset and one.status != other.status for one, other in pairwise(updates))

    # -- between processes

    def test_what_a_process_publishes_takes_the_place_of_its_last(self, backend):
        assert list(backend.published()) == []
        backend.publish("first")
        backend.publish('{"who": "a…@example.org"}')
        assert list(backend.published()) == ['{"who": "a…@example.org"}']

    # -- the whole

    def test_a_reachable_store_answers_a_ping(self, backend):
        assert backend.ping() is None

    def test_closing_twice_is_harmless(self, backend):
        backend.close()
        backend.close()
