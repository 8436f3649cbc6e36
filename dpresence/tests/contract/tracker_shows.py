"""Contract of every tracker: grants that show only whether their user is online."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.model import GrantSet

from .tracker_values import GO, JANE, LIMIT, changes, connect, flap, seen, sweep, update

ONLINE_ONLY = replace(JANE, shows="reachable")
BOTH = (ONLINE_ONLY, GO)


class ShowsContract:
    @pytest.mark.parametrize(("status", "shown"), [("online", "online"), ("unavailable", "offline"), ("offline", "offline")])
    def test_unavailable_looks_like_offline_in_every_way(self, backend, status, shown):
        connect(backend, status=status, grants=BOTH)
        assert seen(backend).get(JANE.puid, "offline") == shown
        assert seen(backend, "go").get(GO.puid, "offline") == status
        backend.append_grant(replace(ONLINE_ONLY, puid="new"), 0)
        assert seen(backend)["new"] == shown

    def test_changes_that_the_grant_does_not_show_add_no_entry(self, backend):
        connect(backend, grants=BOTH)
        for status in ("unavailable", "offline", "unavailable", "online", "unavailable"):
            update(backend, status, BOTH)
        assert changes(backend) == [(status, "explicit") for status in ("online", "offline", "online", "offline")]
        assert len(changes(backend, "go")) == 6

    def test_the_loss_of_the_device_that_was_online_looks_like_a_loss(self, backend, clock):
        connect(backend, grants=BOTH)
        connect(backend, "laptop", "c2", "unavailable", BOTH)
        backend.leave("jane", "phone", "c1")
        clock.advance(15)
        sweep(backend, *BOTH)
        assert changes(backend) == [("online", "explicit"), ("offline", "lost")]
        assert changes(backend, "go") == [("online", "explicit"), ("unavailable", "lost")]

    def test_another_choice_shows_at_once(self, backend):
        connect(backend, status="unavailable", grants=(JANE,))
        for grant in (ONLINE_ONLY, ONLINE_ONLY, JANE, JANE):
            backend.append_current_status(grant, 0)
        assert changes(backend) == [("unavailable", "explicit"), ("offline", "explicit"), ("unavailable", "explicit")]

    def test_a_pause_of_such_a_grant_is_a_pause(self, backend):
        paused = replace(ONLINE_ONLY, paused=True)
        connect(backend, grants=(paused,))
        backend.append_current_status(paused, 0)
        assert changes(backend) == []

    def test_an_override_is_shown_in_the_same_way(self, backend):
        connect(backend, grants=BOTH)
        backend.apply_override("jane", GrantSet(1, BOTH, "unavailable"))
        assert (seen(backend), seen(backend, "go")) == ({JANE.puid: "offline"}, {GO.puid: "unavailable"})
        backend.apply_override("jane", GrantSet(2, BOTH, None))
        assert (seen(backend), seen(backend, "go")) == ({JANE.puid: "online"}, {GO.puid: "online"})

    def test_a_user_without_a_record_is_offline(self, backend):
        backend.connect("jane", "phone", "c1", "unavailable", GrantSet(0, ()), LIMIT, 0)
        backend.append_current_status(ONLINE_ONLY, 0)
        assert changes(backend) == []


class RatedShowsContract:
    """``backend`` permits three changes at once."""

    def test_offline_instead_of_unavailable_is_never_postponed_and_online_again_is(self, backend):
        connect(backend, grants=BOTH)
        flap(backend, 2, *BOTH)  # the last token
        assert update(backend, "unavailable", BOTH)
        assert (seen(backend), seen(backend, "go")) == ({JANE.puid: "offline"}, {GO.puid: "online"})
        assert (backend.status("jane"), backend.sent_status("jane")) == ("unavailable", "online")
        backend.append_current_status(ONLINE_ONLY, 0)
        assert seen(backend) == {JANE.puid: "offline"}, "what was sent to others last is not shown to this one again"
        assert update(backend, "online", BOTH)
        assert (seen(backend), seen(backend, "go")) == ({JANE.puid: "offline"}, {GO.puid: "online"})

    def test_a_change_that_only_such_grants_would_hide_takes_no_token(self, backend):
        connect(backend, status="unavailable", grants=(ONLINE_ONLY,))
        for status in ("offline", "unavailable") * 5:
            update(backend, status, (ONLINE_ONLY,))
        assert [backend.charge("jane") for _ in range(3)] == [0, 0, 0]
