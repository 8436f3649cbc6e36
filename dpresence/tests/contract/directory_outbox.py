"""Entries that a directory writes to the outbox in the transaction of a change, and the revision of the account that it raises."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.backends.directory import Directory, OutboxEntry
from dpresence.errors import NotFound
from dpresence.model import ERASED, Application, Grant, GrantSet

from .directory_values import LATER, NOW, SESSION, TICKET, application, grant, person


def pending(backend: Directory, owner: str | None = None) -> list[tuple[str, str, str, str, int]]:
    """Return the entries without their ids and owners."""
    return [(one.kind, one.user, one.appid, one.detail, one.revision) for one in backend.outbox(None if owner is None else [owner], 0, 100)]


def clear(backend: Directory) -> None:
    backend.clear_outbox(backend.outbox(None, 0, 1000))


class OutboxContract:
    def test_entries_are_counted_up_to_a_limit(self, backend):
        jane = person(backend, "jane")
        assert backend.count_outbox(2) == 0
        for number in range(3):
            grant(backend, application(backend, jane, f"app-{number}"), jane, f"puid-{number}")
            assert backend.count_outbox(2) == min(number + 1, 2)

    @pytest.fixture
    def jane(self, backend):
        return person(backend, "jane")

    @pytest.fixture
    def joe(self, backend):
        return person(backend, "joe")

    @pytest.fixture
    def chess(self, backend, joe) -> Application:
        return application(backend, joe)

    @pytest.fixture
    def allowed(self, backend, chess, jane) -> Grant:
        made = grant(backend, chess, jane)
        clear(backend)
        return made

    def revision(self, backend: Directory, user: str) -> int:
        return backend.grants_of_user(user).revision

    def test_the_version_of_the_directory_only_grows(self, backend, chess, jane):
        backend.claim_mode("production")
        versions = [backend.version()]
        for _ in range(3):
            grant(backend, chess, jane)
            versions.append(backend.version())
            clear(backend)
            assert backend.version() == versions[-1]
            backend.revoke(chess.id, jane.id)
            versions.append(backend.version())
            clear(backend)
        assert versions == sorted(set(versions))
        assert len({version.generation for version in versions}) == 1 and versions[0].generation

    def test_a_new_grant_raises_the_revision_and_is_recorded_in_the_outbox(self, backend, chess, jane):
        assert self.revision(backend, jane.id) == 0
        made = grant(backend, chess, jane)
        assert backend.grants_of_user(jane.id) == GrantSet(1, (made,))
        assert pending(backend) == [("granted", jane.id, chess.id, made.puid, 1)]

    def test_granting_again_changes_nothing(self, backend, chess, jane, allowed):
        grant(backend, chess, jane, "another")
        assert (pending(backend), self.revision(backend, jane.id)) == ([], 1)

    def test_a_pause_and_its_end_are_recorded_in_the_outbox_once_each(self, backend, chess, jane, allowed):
        for paused in (True, True, False):
            backend.change_grant(chess.id, jane.id, {"paused": paused}, LATER)
        assert pending(backend) == [("changed", jane.id, chess.id, allowed.puid, revision) for revision in (2, 3)]
        assert backend.grants_of_user(jane.id) == GrantSet(3, (replace(allowed, since=LATER),))

    def test_a_revoke_is_recorded_in_the_outbox(self, backend, chess, jane, allowed):
        backend.revoke(chess.id, jane.id)
        backend.revoke(chess.id, jane.id)
        assert pending(backend) == [("revoked", jane.id, chess.id, allowed.puid, 2)]
        assert backend.grants_of_user(jane.id) == GrantSet(2, ())

    def test_grants_of_nobody_have_the_newest_of_all_revisions(self, backend):
        assert backend.grants_of_user("nobody") == GrantSet(ERASED, ())

    def test_signing_out_everywhere_is_recorded_in_the_outbox(self, backend, jane):
        backend.add_session(replace(SESSION, user=jane.id))
        backend.end_sessions(jane.id)
        assert pending(backend) == [("account", jane.id, "", "", 1)]
        assert backend.account(jane.id).revision == 1

    def test_the_end_of_a_session_is_recorded_for_the_channels_of_its_tickets(self, backend, jane):
        backend.add_session(replace(SESSION, user=jane.id))
        for number, device in enumerate([None, "phone"]):
            ticket = replace(TICKET, hash=b"t%d" % number, family=f"f{number}", user=jane.id, session=SESSION.id_hash)
            backend.add_ticket(replace(ticket, device=device))
        backend.end_session(SESSION.id_hash)
        backend.end_session(SESSION.id_hash)
        assert pending(backend) == [("ticket", jane.id, "", "f0", 1), ("ticket", jane.id, "", "f1 phone", 1)]

    def test_a_ticket_that_was_copied_is_recorded_for_its_channel(self, backend, jane):
        backend.add_ticket(replace(TICKET, user=jane.id))
        backend.use_ticket(TICKET.hash, NOW, "phone", None)
        assert backend.use_ticket(TICKET.hash, NOW, "other", None).good is False
        assert pending(backend) == [("ticket", jane.id, "", TICKET.family, 0)]

    def test_signing_out_a_device_is_recorded_in_the_outbox(self, backend, jane):
        backend.sign_out_device(jane.id, "phone")
        assert pending(backend) == [("device", jane.id, "", "phone", 1)]
        backend.sign_out_device("nobody", "phone")
        assert len(pending(backend)) == 1

    def test_a_block_is_recorded_in_the_outbox_and_its_end_is_not(self, backend, jane):
        backend.block(jane.email, True)
        backend.block(jane.email, False)
        assert pending(backend) == [("account", jane.id, "", "blocked", 1)]

    def test_an_unpin_is_recorded_in_the_outbox_with_its_name(self, backend, jane):
        backend.unpin(jane.email)
        assert pending(backend) == [("account", jane.id, "", "unpinned", 1)]

    def test_a_stop_is_recorded_in_the_outbox_with_its_name_also_of_an_application_that_is_not_active(self, backend, chess):
        backend.change_application(chess.id, {"active": False, "stopped": True})
        backend.change_application(chess.id, {"stopped": False})
        assert pending(backend) == [("application", "", chess.id, "stopped", 0)]

    def test_an_application_that_is_no_longer_active_is_recorded_in_the_outbox(self, backend, chess):
        backend.change_application(chess.id, {"active": True})
        backend.change_application(chess.id, {"name": "Go"})
        assert pending(backend) == []
        for _ in range(2):
            backend.change_application(chess.id, {"active": False})
        assert pending(backend) == [("application", "", chess.id, "", 0)]

    def test_an_application_that_moves_is_recorded_in_the_outbox_with_every_grant_that_ends(self, backend, chess, jane, joe, allowed):
        other = grant(backend, chess, joe, "puid-2")
        backend.change_application(chess.id, {"active": True})
        clear(backend)
        backend.move_application(chess.id, {"domain": "new.example.org", "active": False})
        ended = [("revoked", one.user, chess.id, one.puid, 0) for one in (allowed, other)]
        assert pending(backend, chess.id) == [("application", "", chess.id, "", 0), *ended]
        assert self.revision(backend, jane.id) == 1

    def test_a_deleted_application_is_recorded_in_the_outbox_and_its_feed_dropped_last(self, backend, chess, jane, allowed):
        backend.delete_application(chess.id)
        backend.delete_application(chess.id)
        revoked = ("revoked", jane.id, chess.id, allowed.puid, 0)
        assert pending(backend, chess.id) == [("application", "", chess.id, "", 0), revoked, ("dropped", "", chess.id, "", 0)]

    def test_an_erased_person_is_signed_out_first_and_purged_last(self, backend, chess, jane, joe, allowed):
        second = application(backend, jane, "app-2")
        to_second = grant(backend, second, joe, "puid-2")
        clear(backend)
        backend.erase(jane.id)
        backend.erase(jane.id)
        assert pending(backend, jane.id) == [
            ("account", jane.id, "", "", ERASED),
            ("application", "", second.id, "", 0),
            ("revoked", jane.id, chess.id, allowed.puid, 0),
            ("revoked", joe.id, second.id, to_second.puid, 0),
            ("dropped", "", second.id, "", 0),
            ("erased", jane.id, "", "", 0),
        ]

    def test_entries_are_read_in_pages_and_by_owner(self, backend, chess, jane, joe):
        grant(backend, chess, jane)
        grant(backend, chess, joe, "puid-2")
        first, second = backend.outbox(None, 0, 10)
        assert (first.owner, second.owner) == (jane.id, joe.id)
        assert list(backend.outbox(None, 0, 1)) == [first]
        assert list(backend.outbox(None, first.id, 10)) == [second]
        assert list(backend.outbox([joe.id], 0, 10)) == [second]

    def test_entries_that_were_carried_out_are_gone_and_may_be_cleared_again(self, backend, chess, jane, joe):
        grant(backend, chess, jane)
        grant(backend, chess, joe, "puid-2")
        first, second = backend.outbox(None, 0, 10)
        for _ in range(2):
            backend.clear_outbox([first])
        assert list(backend.outbox(None, 0, 10)) == [second]
        assert isinstance(second, OutboxEntry)

    def test_a_change_that_is_refused_leaves_no_entry(self, backend, jane):
        with pytest.raises(NotFound):
            backend.add_grant(Grant("none", "puid-9", jane.id, NOW, NOW))
        assert (pending(backend), self.revision(backend, jane.id)) == ([], 0)
