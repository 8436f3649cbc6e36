"""Revisions of an account: grants that are older than those seen are refused, and sign-outs spare who signed in later."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.backends.tracker import StaleGrants
from dpresence.model import GrantSet

from .tracker_values import GO, JANE, LIMIT, begin_update, changes, connect, grant, seen


class RevisionContract:
    def test_grants_that_are_older_than_those_seen_are_refused_and_change_nothing(self, backend):
        connect(backend)
        backend.append_grant(GO, 2)
        calls = [
            lambda old: backend.connect("jane", "laptop", "c9", "unavailable", old, LIMIT, 0),
            lambda old: backend.update("jane", "phone", "c1", "offline", old),
            lambda old: backend.remove("jane", "phone", old),
            lambda old: backend.remove_all("jane", old),
            lambda old: backend.expire("jane", old),
        ]
        for call in calls:
            with pytest.raises(StaleGrants):
                call(GrantSet(1, (JANE,)))
        for tell in (backend.append_grant, backend.append_current_status):
            with pytest.raises(StaleGrants):
                tell(replace(JANE, paused=True), 1)
        assert [device.name for device in backend.devices("jane")] == ["phone"]
        assert seen(backend) == {JANE.puid: "online"} and seen(backend, "go") == {GO.puid: "online"}

    def test_an_update_without_waiting_passes_on_that_its_grants_are_older(self, backend):
        connect(backend)
        backend.append_grant(GO, 2)
        assert isinstance(begin_update(backend, "unavailable", revision=1), StaleGrants)
        assert seen(backend) == {JANE.puid: "online"}

    @pytest.mark.parametrize("revision", [2, 3])
    def test_grants_of_the_newest_revision_count(self, backend, revision):
        connect(backend)
        backend.append_current_status(replace(JANE, paused=True), 2)
        assert backend.update("jane", "phone", "c1", "unavailable", GrantSet(revision, (GO,))) is True
        assert (seen(backend), seen(backend, "go")) == ({JANE.puid: "offline"}, {GO.puid: "unavailable"})

    def test_a_revision_is_known_of_a_user_without_devices(self, backend):
        backend.append_current_status(replace(JANE, paused=True), 5)
        with pytest.raises(StaleGrants):
            backend.connect("jane", "phone", "c1", "online", GrantSet(4, (JANE,)), LIMIT, 0)
        assert backend.devices("jane") == [] and seen(backend) == {}

    def test_a_revision_is_known_after_the_last_device_is_gone(self, backend):
        connect(backend)
        backend.append_current_status(JANE, 5)
        backend.remove_all("jane", GrantSet(5, (JANE,)))
        with pytest.raises(StaleGrants):
            backend.connect("jane", "phone", "c1", "online", GrantSet(4, (JANE,)), LIMIT, 0)

    def test_a_revoke_is_never_refused_and_raises_the_revision(self, backend):
        connect(backend, grants=(JANE, GO))
        backend.append_current_status(GO, 5)
        backend.append_revocation(JANE, 4)
        assert JANE.puid not in seen(backend)
        backend.append_revocation(GO, 6)
        with pytest.raises(StaleGrants):
            backend.update("jane", "phone", "c1", "offline", GrantSet(5, ()))

    def test_a_revision_of_one_user_is_not_that_of_another(self, backend):
        joe = grant("joe")
        backend.append_current_status(JANE, 5)
        connect(backend, user="joe", grants=(joe,))
        assert seen(backend) == {joe.puid: "online"}

    def test_a_revision_can_be_forgotten(self, backend):
        backend.append_current_status(JANE, 5)
        backend.forget_revision("jane")
        connect(backend)
        assert seen(backend) == {JANE.puid: "online"}

    def test_a_grant_that_is_applied_twice_adds_one_entry(self, backend):
        connect(backend, grants=())
        for _ in range(2):
            backend.append_grant(JANE, 1)
        assert changes(backend) == [("online", "granted")]

    def test_signing_out_spares_what_signed_in_later(self, backend):
        for number, name in enumerate(["old", "new"]):
            backend.connect("jane", name, f"c{number}", "online", GrantSet(0, (JANE,)), LIMIT, number)
        assert backend.remove("jane", "new", GrantSet(0, (JANE,)), before_revision=1) is False
        backend.remove_all("jane", GrantSet(0, (JANE,)), before_revision=1)
        assert [device.name for device in backend.devices("jane")] == ["new"]
        assert backend.remove("jane", "new", GrantSet(0, (JANE,)), before_revision=2) is True

    def test_a_connection_that_signed_in_again_is_spared_by_earlier_sign_outs(self, backend):
        connect(backend)
        assert backend.update("jane", "phone", "c1", "online", GrantSet(0, (JANE,)), sign_in_revision=3) is True
        backend.remove_all("jane", GrantSet(0, (JANE,)), before_revision=3)
        assert [device.name for device in backend.devices("jane")] == ["phone"]

    def test_connecting_the_same_connection_again_keeps_when_it_was_made(self, backend, clock):
        connect(backend)
        since = backend.devices("jane")[0].since
        clock.advance(10)
        connect(backend)
        assert backend.devices("jane")[0].since == since
