"""Contract of every tracker: the grace of devices whose connection was lost."""

from __future__ import annotations

import pytest

from dpresence.backends.tracker import Connected, Lost
from dpresence.model import Device, FeedEntry, GrantSet
from dpresence.tests.support import EPOCH

from .tracker_values import JANE, SECOND, changes, connect, head, read, sweep, update


class GraceContract:
    def test_a_lost_device_keeps_its_status_through_grace(self, backend, clock):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        clock.advance(14.9)
        assert list(backend.due()) == []
        assert backend.expire("jane", GrantSet(0, (JANE,))) == Lost(grace=0, process=0)
        assert list(backend.devices("jane")) == [Device("phone", "online", False, EPOCH)]
        assert changes(backend) == [("online", "explicit")]

    def test_after_grace_it_is_lost(self, backend, clock):
        connect(backend)
        clock.advance(10)
        backend.leave("jane", "phone", "c1")
        clock.advance(15)
        assert list(backend.due()) == ["jane"]
        assert backend.expire("jane", GrantSet(0, (JANE,))) == Lost(grace=1, process=0)
        assert list(backend.due()) == []
        assert (backend.status("jane"), list(backend.devices("jane"))) == ("offline", [])
        assert read(backend)[-1] == FeedEntry(2, JANE.puid, "offline", SECOND + 25_000, "lost")

    def test_each_lost_device_has_its_own_grace(self, backend, clock):
        connect(backend)
        connect(backend, "laptop", "c2", "unavailable")
        backend.leave("jane", "phone", "c1")
        clock.advance(10)
        backend.leave("jane", "laptop", "c2")
        clock.advance(5)
        sweep(backend)
        assert changes(backend)[1:] == [("unavailable", "lost")]
        clock.advance(10)
        sweep(backend)
        assert changes(backend)[1:] == [("unavailable", "lost"), ("offline", "lost")]

    def test_losing_one_of_two_that_say_the_same_is_seen_by_nobody(self, backend, clock):
        connect(backend)
        connect(backend, "laptop", "c2")
        backend.leave("jane", "phone", "c1")
        clock.advance(15)
        sweep(backend)
        assert [one.name for one in backend.devices("jane")] == ["laptop"]
        assert changes(backend) == [("online", "explicit")]

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
        assert connect(backend, device, "c2") == Connected(first, None, resumed=True)
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
        assert changes(backend) == [("online", "explicit"), ("unavailable", "explicit")]

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
        assert changes(backend) == [("online", "explicit"), ("offline", "explicit")]

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
        backend.expire("jane", GrantSet(0, (JANE,)))
        assert [one.connected for one in backend.devices("jane")] == [True]
        assert changes(backend) == [("online", "explicit")]

    def test_a_new_loss_between_due_and_expire_keeps_its_grace(self, backend, clock):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        clock.advance(15)
        users = backend.due()
        connect(backend, connection="c2")
        backend.leave("jane", "phone", "c2")
        for user in users:
            backend.expire(user, GrantSet(0, (JANE,)))
        assert [one.connected for one in backend.devices("jane")] == [False]
        assert changes(backend) == [("online", "explicit")]

    def test_expiring_an_unknown_user_does_nothing(self, backend):
        backend.expire("jane", GrantSet(0, (JANE,)))
        assert changes(backend) == []

    def test_grace_runs_by_a_clock_that_is_never_set_back(self, backend, clock):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        clock.start -= 3_600_000
        clock.advance(15)
        assert list(backend.due()) == ["jane"]
