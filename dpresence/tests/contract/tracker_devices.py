"""Contract of every tracker: devices, their connections, the merged status, sign-outs."""

from __future__ import annotations

import gevent
import pytest

from dpresence.backends.tracker import Connected
from dpresence.errors import TooMany
from dpresence.model import Device, FeedEntry, GrantSet
from dpresence.tests.support import EPOCH

from .tracker_values import GO, JANE, SECOND, begin_update, changes, connect, grant, head, read, seen, sweep, update


class DeviceContract:
    # -- a user's status

    def test_an_unknown_user_is_offline_and_has_no_device(self, backend):
        assert backend.status("jane") == "offline"
        assert list(backend.devices("jane")) == []

    def test_a_first_device_makes_its_user_what_it_says(self, backend):
        assert connect(backend, status="unavailable") == Connected("phone", None)
        assert backend.status("jane") == "unavailable"
        assert list(backend.devices("jane")) == [Device("phone", "unavailable", True, EPOCH)]
        assert read(backend) == [FeedEntry(1, JANE.puid, "unavailable", SECOND, "explicit")]

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

    def test_only_a_change_is_reported(self, backend):
        connect(backend)
        update(backend, "online")
        connect(backend, "laptop", "c2")
        update(backend, "unavailable")
        update(backend, "unavailable", device="laptop", connection="c2")
        update(backend, "offline")
        assert changes(backend) == [("online", "explicit"), ("unavailable", "explicit")]

    def test_an_update_without_waiting_passes_its_result_to_a_callback(self, backend):
        connect(backend)
        assert begin_update(backend, "unavailable") is True
        assert begin_update(backend, "offline", connection="c2") is False
        assert changes(backend) == [("online", "explicit"), ("unavailable", "explicit")]

    def test_updates_without_waiting_are_made_in_their_order(self, backend):
        connect(backend)
        results = []
        for status in ("unavailable", "offline", "online"):
            backend.begin_update("jane", "phone", "c1", status, GrantSet(0, (JANE,)), results.append)
        assert results == []
        assert update(backend, "unavailable")
        gevent.sleep(0)
        assert results == [True] * 3
        assert [status for status, _ in changes(backend)] == ["online", "unavailable", "offline", "online", "unavailable"]

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

    def test_offline_keeps_the_connection_and_is_reported_at_once(self, backend):
        connect(backend)
        assert update(backend, "offline")
        assert list(backend.devices("jane")) == [Device("phone", "offline", True, EPOCH)]
        assert update(backend, "online")
        assert changes(backend) == [("online", "explicit"), ("offline", "explicit"), ("online", "explicit")]

    def test_a_device_that_starts_offline_tells_nothing(self, backend):
        connect(backend, status="offline")
        assert changes(backend) == []
        assert seen(backend) == {}

    def test_users_are_distinguished(self, backend):
        joe = grant("joe")
        connect(backend)
        connect(backend, user="joe", grants=(joe,), status="unavailable")
        backend.remove("joe", "phone", GrantSet(0, (joe,)))
        assert (backend.status("jane"), backend.status("joe")) == ("online", "offline")
        assert [one.puid for one in read(backend)] == [JANE.puid, joe.puid, joe.puid]

    def test_each_granting_application_is_updated_under_its_own_puid(self, backend):
        connect(backend, grants=iter((JANE, GO)))
        assert [(one.offset, one.puid) for one in read(backend)] == [(1, JANE.puid)]
        assert [(one.offset, one.puid) for one in read(backend, "go")] == [(1, GO.puid)]
        assert changes(backend, "checkers") == []

    # -- connections of a device

    def test_the_newest_connection_wins_unseen(self, backend, clock):
        connect(backend)
        clock.advance(1)
        assert connect(backend, connection="c2") == Connected("phone", "c1")
        assert list(backend.devices("jane")) == [Device("phone", "online", True, EPOCH + 1000)]
        assert changes(backend) == [("online", "explicit")]

    def test_a_connection_that_connects_its_device_again_replaces_none(self, backend, clock):
        connect(backend)
        clock.advance(1)
        assert connect(backend) == Connected("phone", None)
        assert list(backend.devices("jane")) == [Device("phone", "online", True, EPOCH)]

    def test_a_replaced_connection_changes_nothing_any_more(self, backend, clock):
        connect(backend)
        connect(backend, connection="c2")
        assert update(backend, "offline") is False
        backend.leave("jane", "phone", "c1")
        clock.advance(16)
        sweep(backend)
        assert list(backend.devices("jane")) == [Device("phone", "online", True, EPOCH)]
        assert changes(backend) == [("online", "explicit")]

    def test_a_connection_that_left_changes_nothing_any_more(self, backend):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        assert update(backend, "offline") is False
        assert changes(backend) == [("online", "explicit")]

    def test_a_device_that_never_connected_cannot_be_changed(self, backend):
        assert update(backend, "online") is False
        backend.leave("jane", "phone", "c1")
        connect(backend)
        assert update(backend, "offline", device="laptop") is False
        backend.leave("jane", "laptop", "c1")
        assert changes(backend) == [("online", "explicit")]

    def test_nameless_devices_get_names_of_their_own(self, backend):
        names = {connect(backend, None, f"c{n}").device for n in range(3)}
        assert len(names) == 3
        assert all(name.startswith("~") for name in names)
        assert {one.name for one in backend.devices("jane")} == names

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
        assert (backend.status("jane"), changes(backend)) == ("offline", [])

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
        assert backend.remove("jane", "phone", GrantSet(0, (JANE,))) is True
        assert [one.name for one in backend.devices("jane")] == ["laptop"]
        assert changes(backend) == [("online", "explicit"), ("unavailable", "explicit")]
        assert update(backend, "online") is False
        backend.leave("jane", "phone", "c1")
        assert [one.name for one in backend.devices("jane")] == ["laptop"]

    def test_a_device_in_grace_can_be_signed_out(self, backend, clock):
        connect(backend)
        backend.leave("jane", "phone", "c1")
        assert backend.remove("jane", "phone", GrantSet(0, (JANE,))) is True
        clock.advance(15)
        assert list(backend.due()) == []
        assert changes(backend) == [("online", "explicit"), ("offline", "explicit")]

    def test_a_connection_is_signed_out_only_while_it_owns_its_device(self, backend):
        connect(backend)
        connect(backend, connection="c2")
        assert backend.remove("jane", "phone", GrantSet(0, (JANE,)), connection="c1") is False
        backend.leave("jane", "phone", "c2")
        assert backend.remove("jane", "phone", GrantSet(0, (JANE,)), connection="c2") is False
        assert connect(backend, connection="c3") == Connected("phone", None, resumed=True)
        assert backend.remove("jane", "phone", GrantSet(0, (JANE,)), connection="c3") is True
        assert changes(backend) == [("online", "explicit"), ("offline", "explicit")]

    def test_signing_out_what_is_not_there_is_false(self, backend):
        assert backend.remove("jane", "phone", GrantSet(0, (JANE,))) is False
        connect(backend)
        assert backend.remove("jane", "laptop", GrantSet(0, (JANE,))) is False
        assert backend.remove("joe", "phone", GrantSet(0, (JANE,))) is False
        assert changes(backend) == [("online", "explicit")]

    def test_an_old_connection_cannot_touch_a_device_that_came_back_after_sign_out(self, backend):
        connect(backend)
        backend.remove("jane", "phone", GrantSet(0, (JANE,)))
        assert connect(backend, connection="c2") == Connected("phone", None)
        assert update(backend, "offline") is False
        assert backend.status("jane") == "online"

    def test_signing_out_everywhere_leaves_nothing(self, backend, clock):
        connect(backend)
        connect(backend, "laptop", "c2", "unavailable")
        connect(backend, user="joe", grants=())
        backend.leave("jane", "laptop", "c2")
        backend.remove_all("jane", GrantSet(0, (JANE, GO)))
        backend.remove_all("jane", GrantSet(0, (JANE, GO)))
        clock.advance(15)
        assert list(backend.due()) == []
        assert (list(backend.devices("jane")), backend.status("jane"), backend.status("joe")) == ([], "offline", "online")
        assert changes(backend) == [("online", "explicit"), ("offline", "explicit")]

    @pytest.mark.parametrize("everywhere", [False, True])
    def test_a_connection_whose_device_was_signed_out_is_known_to_be(self, backend, everywhere):
        connect(backend)
        if everywhere:
            backend.remove_all("jane", GrantSet(0, (JANE,)))
        else:
            backend.remove("jane", "phone", GrantSet(0, (JANE,)))
        assert backend.signed_out("jane", "phone", "c1", 0) is True
