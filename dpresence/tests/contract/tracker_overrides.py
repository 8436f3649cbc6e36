"""Contract of every tracker: a user's override above the statuses of their devices."""

from __future__ import annotations

import pytest

from dpresence.backends.tracker import StaleGrants
from dpresence.model import GrantSet, Status

from .tracker_values import GO, JANE, LIMIT, begin_update, changes, connect, head, seen

STATUSES: tuple[Status, ...] = ("online", "unavailable", "offline")


def under(override: Status | None, revision: int = 0, grants=(JANE,)) -> GrantSet:
    return GrantSet(revision, tuple(grants), override)


class OverrideContract:
    @pytest.mark.parametrize("override", STATUSES)
    @pytest.mark.parametrize("status", STATUSES)
    def test_an_override_counts_instead_of_the_devices_until_it_ends(self, backend, status, override):
        connect(backend, status=status)
        backend.apply_override("jane", under(override, 1))
        assert (backend.status("jane"), backend.sent_status("jane")) == (override, override)
        assert seen(backend).get(JANE.puid, "offline") == override
        assert [device.status for device in backend.devices("jane")] == [status]
        backend.apply_override("jane", under(None, 2))
        assert backend.status("jane") == seen(backend).get(JANE.puid, "offline") == status
        assert len(changes(backend)) == (status != "offline") + 2 * (status != override)

    def test_nobody_without_a_device_is_reachable(self, backend):
        backend.append_grant(JANE, 0)
        backend.apply_override("jane", under("online", 1))
        assert (backend.status("jane"), backend.sent_status("jane")) == ("offline", "offline")
        assert changes(backend) == [("offline", "granted")]

    def test_devices_under_an_override_change_nothing_that_is_seen(self, backend):
        backend.connect("jane", "phone", "c1", "online", under("unavailable"), LIMIT, 0)
        before = head(backend)
        backend.connect("jane", "laptop", "c2", "online", under("unavailable"), LIMIT, 0)
        assert backend.update("jane", "phone", "c1", "offline", under("unavailable"))
        assert backend.update("jane", "laptop", "c2", "offline", under("unavailable"))
        backend.remove("jane", "phone", under("unavailable"))
        assert (changes(backend), head(backend)) == ([("unavailable", "explicit")], before)
        assert [(device.name, device.status) for device in backend.devices("jane")] == [("laptop", "offline")]

    def test_an_update_without_waiting_changes_its_device_only(self, backend):
        backend.connect("jane", "phone", "c1", "online", under("unavailable"), LIMIT, 0)
        assert begin_update(backend, "offline", override="unavailable") is True
        assert backend.status("jane") == "unavailable"
        assert [device.status for device in backend.devices("jane")] == ["offline"]

    def test_the_last_device_of_somebody_reachable_has_grace_even_if_its_own_status_is_offline(self, backend, clock):
        backend.connect("jane", "phone", "c1", "offline", under("online"), LIMIT, 0)
        backend.leave("jane", "phone", "c1")
        assert (backend.status("jane"), changes(backend)) == ("online", [("online", "explicit")])
        backend.connect("jane", "phone", "c2", "offline", under("online"), LIMIT, 0)
        backend.leave("jane", "phone", "c2")
        clock.advance(15)
        for user in backend.due():
            backend.expire(user, under("online"))
        assert changes(backend) == [("online", "explicit"), ("offline", "lost")]
        assert backend.devices("jane") == []

    def test_the_last_device_of_somebody_reachable_has_no_grace_after_a_sign_out_of_its_connection(self, backend):
        backend.connect("jane", "phone", "c1", "offline", under("online"), LIMIT, 0)
        assert backend.remove("jane", "phone", under("online"), connection="c1") is True
        assert (backend.devices("jane"), changes(backend)) == ([], [("online", "explicit"), ("offline", "explicit")])

    def test_an_offline_device_beside_another_one_is_gone_at_once(self, backend):
        backend.connect("jane", "phone", "c1", "offline", under("online"), LIMIT, 0)
        backend.connect("jane", "laptop", "c2", "online", under("online"), LIMIT, 0)
        backend.leave("jane", "phone", "c1")
        assert [device.name for device in backend.devices("jane")] == ["laptop"]
        assert backend.status("jane") == "online"

    def test_an_invisible_device_that_leaves_is_seen_by_nobody(self, backend, clock):
        backend.connect("jane", "phone", "c1", "online", under("offline"), LIMIT, 0)
        backend.leave("jane", "phone", "c1")
        clock.advance(15)
        for user in backend.due():
            backend.expire(user, under("offline"))
        assert (backend.devices("jane"), changes(backend)) == ([], [])

    def test_an_override_from_older_grants_is_refused_and_a_newer_one_refuses_older_grants(self, backend):
        connect(backend, grants=(JANE, GO))
        backend.apply_override("jane", under("unavailable", 5, (JANE, GO)))
        for call in (
            lambda: backend.apply_override("jane", under(None, 4)),
            lambda: backend.update("jane", "phone", "c1", "offline", under(None, 4)),
        ):
            with pytest.raises(StaleGrants):
                call()
        assert seen(backend) == {JANE.puid: "unavailable"} and seen(backend, "go") == {GO.puid: "unavailable"}

    def test_an_override_that_is_applied_twice_adds_one_entry(self, backend):
        connect(backend)
        for _ in range(2):
            backend.apply_override("jane", under("unavailable", 1))
        assert changes(backend) == [("online", "explicit"), ("unavailable", "explicit")]

    def test_a_new_grant_shows_the_override(self, backend):
        backend.connect("jane", "phone", "c1", "online", under("unavailable", grants=()), LIMIT, 0)
        backend.append_grant(JANE, 1)
        backend.append_current_status(GO, 1)
        assert seen(backend) == {JANE.puid: "unavailable"} and seen(backend, "go") == {GO.puid: "unavailable"}
