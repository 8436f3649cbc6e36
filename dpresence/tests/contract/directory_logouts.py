"""Contract of every directory for logouts of identity providers (docs/protocol.md, section 6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.errors import SessionEnded
from dpresence.logouts import ProviderLogout, provider_session
from dpresence.model import Identity, Session, Ticket

from .directory_values import END, IDENTITY, LATER, NOW, PAST, TICKET, person

ISSUER, OTHER = "https://id.example.org", "https://other.example"
LOGOUT = ProviderLogout(b"message-1", ISSUER, "sid-1", "jane-1", NOW, END)
KEY = LOGOUT.key


def proof(sid: str | None = "sid-1", began_at: int = NOW, issuer: str = ISSUER, subject: str = "jane-1") -> Identity:
    session = provider_session(issuer, sid) if sid else None
    return Identity("jane@example.org", issuer, subject, END, began_at, session)


def entries(backend, kind: str):
    """Return the entries of one kind in the outbox, oldest first."""
    return [entry for entry in backend.outbox(None, 0, 100) if entry.kind == kind]


class LogoutContract:
    @pytest.fixture
    def holder(self, backend):
        """A person who has signed in with a session of the provider."""
        return backend.sign_in(proof(), NOW)

    def test_a_logout_ends_the_sessions_and_tickets_of_the_providers_session(self, backend, holder):
        for name, key in ((b"s1", KEY), (b"s2", KEY), (b"s3", provider_session(ISSUER, "sid-2")), (b"s4", None)):
            backend.add_session(Session(name, holder.id, NOW, END, key))
        backend.add_ticket(Ticket(b"t1", "page", holder.id, LATER, END, session=b"s1"))
        backend.add_ticket(replace(TICKET, hash=b"t2", family="token", user=holder.id, device="phone", provider_session=KEY))
        backend.add_ticket(replace(TICKET, hash=b"t3", family="another", user=holder.id))
        assert backend.end_provider_session(LOGOUT) == [holder.id, KEY]
        assert {one.id_hash for one in backend.sessions(holder.id, NOW)} == {b"s3", b"s4"}
        assert {one.hash for one in backend.tickets(holder.id, NOW)} == {b"t3"}
        assert [one.ended_family for one in entries(backend, "ticket")] == [("page", ""), ("token", "phone")]
        assert [(one.owner, one.detail, one.revision) for one in entries(backend, "logout")] == [(KEY, KEY, NOW)]

    def test_the_successor_of_a_ticket_ends_with_the_providers_session(self, backend, holder):
        backend.add_ticket(replace(TICKET, user=holder.id, provider_session=KEY))
        backend.use_ticket(b"t1", NOW, "phone", b"t2")
        backend.end_provider_session(LOGOUT)
        assert [one.ended_family for one in entries(backend, "ticket")] == [(TICKET.family, "phone")]
        assert backend.use_ticket(b"t2", NOW, "phone", None) is None

    def test_the_same_session_id_at_another_provider_is_another_session(self, backend, holder):
        backend.add_session(Session(b"s1", holder.id, NOW, END, KEY))
        assert backend.end_provider_session(replace(LOGOUT, issuer=OTHER)) == [provider_session(OTHER, "sid-1")]
        assert backend.session(b"s1", NOW) and not backend.has_ended(proof())
        assert backend.has_ended(proof(issuer=OTHER))

    def test_a_logout_of_a_person_ends_everything_of_the_accounts_pinned_to_them(self, backend, holder):
        other = person(backend, "joe")
        backend.add_session(Session(b"s1", holder.id, NOW, END))
        backend.add_session(Session(b"s2", other.id, NOW, END))
        assert backend.end_provider_session(replace(LOGOUT, sid=None)) == [holder.id]
        assert backend.sessions(holder.id, NOW) == [] and backend.session(b"s2", NOW)
        assert [one.user for one in entries(backend, "account")] == [holder.id] and not entries(backend, "logout")

    def test_a_logout_of_nobody_who_is_known_ends_nothing(self, backend, holder):
        backend.add_session(Session(b"s1", holder.id, NOW, END, KEY))
        assert backend.end_provider_session(replace(LOGOUT, sid=None, subject="other")) == []
        assert backend.end_provider_session(replace(LOGOUT, digest=b"message-2", sid="other")) is not None
        assert backend.session(b"s1", NOW)

    def test_a_message_is_used_once(self, backend, holder):
        assert backend.end_provider_session(LOGOUT) is not None
        assert backend.end_provider_session(replace(LOGOUT, sid=None)) is None
        assert not backend.has_ended(proof(sid=None))

    def test_a_proof_that_began_before_the_logout_has_ended(self, backend):
        assert not backend.has_ended(proof())
        backend.end_provider_session(LOGOUT)
        assert [backend.has_ended(proof(began_at=at)) for at in (NOW - 1, NOW, NOW + 1)] == [True, True, False]
        assert [backend.provider_session_ended(KEY, at) for at in (NOW, NOW + 1)] == [True, False]
        assert not backend.has_ended(proof(sid="sid-2")) and not backend.has_ended(proof(sid=None))

    def test_every_proof_of_a_person_has_ended_whatever_its_session(self, backend):
        backend.end_provider_session(replace(LOGOUT, sid=None))
        assert [backend.has_ended(proof(sid)) for sid in ("sid-1", "sid-2", None)] == [True] * 3
        assert not backend.has_ended(proof(subject="joe-1")) and not backend.has_ended(proof(issuer=OTHER))
        assert not backend.has_ended(proof(began_at=NOW + 1))

    def test_of_several_logouts_the_latest_counts(self, backend):
        for digest, at in ((b"1", NOW), (b"2", NOW + 10), (b"3", NOW - 10)):
            backend.end_provider_session(replace(LOGOUT, digest=digest, at=at))
        assert [backend.has_ended(proof(began_at=at)) for at in (NOW + 10, NOW + 11)] == [True, False]

    def test_no_session_and_no_ticket_is_stored_after_the_logout(self, backend, holder):
        backend.end_provider_session(LOGOUT)
        for late in (proof(), proof(began_at=NOW - 1000)):
            with pytest.raises(SessionEnded):
                backend.add_session(Session(b"s1", holder.id, NOW, END, KEY), holder, None, late)
            with pytest.raises(SessionEnded):
                backend.add_ticket(replace(TICKET, user=holder.id, provider_session=KEY), holder, late)
        assert backend.sessions(holder.id, NOW) == [] and not backend.family_exists(TICKET.family)
        backend.add_session(Session(b"s1", holder.id, NOW, END, KEY), holder, None, proof(began_at=NOW + 1))
        backend.add_session(Session(b"s2", holder.id, NOW, END), holder, None, IDENTITY)

    def test_a_sweep_deletes_logouts_that_are_over(self, backend):
        backend.end_provider_session(replace(LOGOUT, expires_at=PAST))
        backend.end_provider_session(replace(LOGOUT, digest=b"lasts", sid="sid-2"))
        backend.sweep()
        assert not backend.has_ended(proof()) and backend.has_ended(proof("sid-2"))
