"""Contract of every directory: accounts, sessions, tickets, used assertions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.errors import Conflict, SessionEnded
from dpresence.model import ERASED, Account, GrantSet, Session, Ticket

from .directory_values import END, IDENTITY, KEY, LATER, NOW, PAST, SESSION, TICKET, application, at_once, grant, person


def ended_families(backend):
    return sorted(entry.ended_family for entry in backend.outbox(None, 0, 100) if entry.kind == "ticket")


class AccountContract:
    def test_a_first_sign_in_makes_an_account(self, backend):
        account = backend.sign_in(IDENTITY, NOW)
        assert account == Account(account.id, "jane@example.org", "login.example.org", "jane@example.org", NOW)
        assert len(account.id) >= 22
        assert backend.account(account.id) == account

    def test_a_later_sign_in_returns_the_same_account(self, backend):
        assert backend.sign_in(IDENTITY, NOW) == backend.sign_in(IDENTITY, LATER)

    def test_each_email_has_an_account_of_its_own(self, backend):
        assert person(backend, "jane").id != person(backend, "Jane").id

    @pytest.mark.parametrize("other", [{"issuer": "evil.example.org"}, {"subject": "mallory"}])
    def test_an_account_is_pinned_to_its_issuer_and_subject(self, backend, other):
        account = backend.sign_in(IDENTITY, NOW)
        with pytest.raises(Conflict):
            backend.sign_in(replace(IDENTITY, **other), LATER)
        assert backend.account(account.id) == account

    def test_an_unpinned_account_is_pinned_by_the_next_sign_in(self, backend):
        account = backend.sign_in(IDENTITY, NOW)
        assert backend.unpin("jane@example.org") is True
        moved = backend.sign_in(replace(IDENTITY, issuer="new.example.org", subject="j"), LATER)
        assert moved == replace(account, issuer="new.example.org", subject="j", revision=1)
        assert backend.account(account.id) == moved
        with pytest.raises(Conflict):
            backend.sign_in(IDENTITY, LATER)

    def test_the_pin_that_was_taken_away_does_not_pin_the_account_again(self, backend):
        person(backend)
        backend.unpin(IDENTITY.email)
        backend.unpin(IDENTITY.email)
        with pytest.raises(Conflict):
            backend.sign_in(IDENTITY, NOW)
        other = replace(IDENTITY, issuer="new.example.org")
        assert backend.sign_in(other, NOW).issuer == "new.example.org"
        backend.unpin(IDENTITY.email)
        assert backend.sign_in(IDENTITY, NOW).issuer == IDENTITY.issuer, "only the last one is remembered"

    @pytest.mark.parametrize("before", [0, 1])
    def test_the_operator_can_let_the_same_holder_pin_the_account_again(self, backend, before):
        jane = person(backend)
        for _ in range(before):
            backend.unpin(IDENTITY.email)
        backend.unpin(IDENTITY.email, same=True)
        assert backend.sign_in(IDENTITY, NOW) == replace(jane, revision=before + 1)

    def test_an_unknown_email_cannot_be_unpinned(self, backend):
        person(backend)
        assert backend.unpin("joe@example.org") is False

    def test_an_unknown_account_is_none(self, backend):
        assert backend.account("nobody") is None

    def test_first_sign_ins_at_once_make_one_account(self, backend):
        accounts = at_once(*[lambda: backend.sign_in(IDENTITY, NOW)] * 20)
        assert accounts == [accounts[0]] * 20
        assert backend.account(accounts[0].id) == accounts[0]

    def test_of_two_first_sign_ins_with_other_issuers_one_is_refused(self, backend):
        other = replace(IDENTITY, issuer="evil.example.org")
        outcomes = at_once(lambda: backend.sign_in(IDENTITY, NOW), lambda: backend.sign_in(other, NOW))
        assert {type(outcome) for outcome in outcomes} == {Account, Conflict}

    def test_blocking_ends_what_a_person_is_signed_in_with(self, backend):
        jane, joe = person(backend, "jane"), person(backend, "joe")
        for session in (replace(SESSION, user=jane.id), replace(SESSION, id_hash=b"s2", user=joe.id)):
            backend.add_session(session)
        backend.add_ticket(replace(TICKET, user=jane.id))
        assert backend.block("jane@example.org", True) is True
        assert backend.sign_in(IDENTITY, LATER).blocked is True
        assert backend.session(b"s1", NOW) is None and backend.session(b"s2", NOW) is not None
        assert backend.family_exists(TICKET.family) is False

    def test_an_unblocked_person_is_as_before(self, backend):
        jane = person(backend, "jane")
        backend.block("jane@example.org", True)
        assert backend.block("jane@example.org", False) is True
        assert backend.account(jane.id) == replace(jane, revision=1)
        assert backend.block("joe@example.org", True) is False

    def test_a_family_stands_until_it_is_ended(self, backend):
        jane = person(backend, "jane")
        assert backend.family_exists(TICKET.family) is False
        backend.add_ticket(replace(TICKET, user=jane.id))
        assert backend.family_exists(TICKET.family) is True
        backend.end_sessions(jane.id)
        assert backend.family_exists(TICKET.family) is False

    def test_erasing_takes_everything_of_a_person(self, backend):
        jane, joe = person(backend, "jane"), person(backend, "joe")
        janes, joes = application(backend, jane, "app-1"), application(backend, joe, "app-2")
        backend.add_key(replace(KEY, appid=janes.id), NOW)
        to_janes = [grant(backend, janes, jane, "puid-1"), grant(backend, janes, joe, "puid-2")]
        to_joes = [grant(backend, joes, jane, "puid-3"), grant(backend, joes, joe, "puid-4")]
        backend.add_session(replace(SESSION, user=jane.id))
        backend.add_ticket(replace(TICKET, user=jane.id))
        backend.clear_outbox(backend.outbox(None, 0, 100))
        backend.erase(jane.id)
        entries = backend.outbox(None, 0, 100)
        ended = [(entry.appid, entry.user, entry.detail) for entry in entries if entry.kind == "revoked"]
        assert sorted(ended) == sorted((one.appid, one.user, one.puid) for one in [*to_janes, to_joes[0]])
        assert [entry.appid for entry in entries if entry.kind == "dropped"] == [janes.id]
        assert backend.account(jane.id) is None
        assert backend.session(SESSION.id_hash, NOW) is None
        assert backend.use_ticket(TICKET.hash, NOW, None, None) is None
        assert backend.application(janes.id) is None
        assert backend.key(KEY.id, NOW) is None
        assert backend.grants_of_user(jane.id) == GrantSet(ERASED, ())
        assert backend.grants_of_application(janes.id, "", 10) == []
        assert backend.grants_of_user(joe.id).grants == (to_joes[1],)
        assert backend.application(joes.id) == joes

    def test_an_erased_person_who_comes_back_is_a_new_one(self, backend):
        before = person(backend)
        backend.erase(before.id)
        assert backend.sign_in(replace(IDENTITY, issuer="new.example.org"), LATER).id != before.id

    def test_erasing_nobody_takes_nothing(self, backend):
        person(backend)
        backend.erase("nobody")
        assert backend.outbox(None, 0, 100) == []


class SessionContract:
    @pytest.fixture
    def jane(self, backend):
        return person(backend)

    def test_a_digest_is_spent_once(self, backend):
        assert backend.use_assertion(b"digest", END) is True
        assert backend.use_assertion(b"digest", END) is False
        assert backend.use_assertion(b"another", END) is True

    def test_of_many_who_spend_a_digest_at_once_one_wins(self, backend):
        assert sorted(at_once(*[lambda: backend.use_assertion(b"digest", END)] * 10)) == [False] * 9 + [True]

    def test_a_spent_digest_is_forgotten_by_a_sweep_once_it_is_over(self, backend):
        backend.use_assertion(b"digest", PAST)
        backend.use_assertion(b"another", LATER)
        assert backend.sweep() == 1
        assert backend.use_assertion(b"digest", END) is True
        assert backend.use_assertion(b"another", END) is False

    def test_a_session_is_found_until_it_ends(self, backend, jane):
        session = replace(SESSION, user=jane.id)
        backend.add_session(session)
        assert backend.session(b"s1", END - 1) == (session, jane)
        assert backend.session(b"s1", END) is None
        assert backend.session(b"s2", NOW) is None

    def test_sessions_are_listed_oldest_first_without_those_that_ended(self, backend, jane):
        kept = [Session(bytes([n]), jane.id, NOW + n, END) for n in (3, 1, 2)]
        for session in (*kept, Session(b"over", jane.id, NOW, LATER)):
            backend.add_session(session)
        backend.add_session(Session(b"joes", person(backend, "joe").id, NOW, END))
        assert backend.sessions(jane.id, LATER) == [kept[1], kept[2], kept[0]]

    def test_a_session_of_an_account_that_is_gone_is_refused(self, backend):
        with pytest.raises(SessionEnded):
            backend.add_session(SESSION)
        assert backend.session(b"s1", NOW) is None

    def test_ending_a_session_ends_its_tickets_and_names_their_families(self, backend, jane):
        backend.add_session(replace(SESSION, user=jane.id))
        backend.add_session(Session(b"s2", jane.id, NOW, END))
        for hash, family, session in ((b"t1", "a", b"s1"), (b"t2", "b", b"s1"), (b"t3", "c", b"s2"), (b"t4", "d", None)):
            backend.add_ticket(Ticket(hash, family, jane.id, LATER, END, session=session))
        backend.use_ticket(b"t1", NOW, "tab", b"t5")
        backend.end_session(b"s1")
        assert ended_families(backend) == [("a", "tab"), ("b", "")]
        assert backend.session(b"s1", NOW) is None
        opened = [backend.use_ticket(hash, NOW, None, None) for hash in (b"t5", b"t2", b"t3", b"t4")]
        assert [found and found[0].family for found in opened] == [None, None, "c", "d"]
        assert [one.id_hash for one in backend.sessions(jane.id, NOW)] == [b"s2"]

    def test_ending_an_unknown_session_ends_nothing(self, backend, jane):
        backend.add_ticket(replace(TICKET, user=jane.id))
        backend.end_session(b"s1")
        assert ended_families(backend) == []
        assert backend.use_ticket(b"t1", NOW, None, None)

    def test_logging_out_everywhere_ends_every_session_and_ticket(self, backend, jane):
        joe = person(backend, "joe")
        for user, name in ((jane, b"1"), (jane, b"2"), (joe, b"3")):
            backend.add_session(Session(b"s" + name, user.id, NOW, END))
            backend.add_ticket(Ticket(b"t" + name, name.decode(), user.id, LATER, END))
        backend.end_sessions(jane.id)
        assert backend.sessions(jane.id, NOW) == []
        assert [bool(backend.use_ticket(b"t" + name, NOW, None, None)) for name in (b"1", b"2", b"3")] == [False, False, True]
        assert backend.session(b"s3", NOW)

    def test_a_sweep_deletes_what_is_over_and_nothing_else(self, backend, jane):
        backend.add_session(Session(b"over", jane.id, PAST - 1, PAST))
        backend.add_session(Session(b"lasts", jane.id, NOW, LATER))
        backend.add_ticket(Ticket(b"unused", "a", jane.id, PAST, END))
        backend.add_ticket(Ticket(b"used", "b", jane.id, PAST, END))
        backend.use_ticket(b"used", PAST - 1, None, b"next")
        app = application(backend, jane)
        backend.add_key(KEY, NOW)
        backend.add_key(replace(KEY, id="key-2"), PAST)
        assert backend.sweep() == 3
        assert backend.sweep() == 0
        assert backend.session(b"over", PAST - 1) is None
        assert backend.session(b"lasts", NOW)
        assert backend.key("key-1", PAST - 1) is None
        assert backend.key("key-2", END) == replace(KEY, id="key-2", appid=app.id)
        assert backend.use_ticket(b"used", NOW, None, None).good is False  # kept: its return still kills the family
        assert backend.use_ticket(b"next", NOW, None, None) is None

    def test_a_process_whose_clock_is_ahead_hides_what_stands_and_destroys_none_of_it(self, backend, jane):
        """Two years ahead: nothing that it calls or sweeps ends what another one sees a moment later."""
        wrong = NOW + 2 * 365 * 86_400_000
        backend.add_session(replace(SESSION, user=jane.id))
        for name in ("unused", "used"):
            backend.add_ticket(replace(TICKET, hash=name.encode(), family=name, user=jane.id))
        backend.use_ticket(b"used", NOW, "phone", b"next")
        backend.use_assertion(b"digest", END)
        assert backend.session(b"s1", wrong) is None
        assert [backend.use_ticket(hash, wrong, "phone", None) for hash in (b"unused", b"used", b"next")] == [None] * 3
        assert backend.sweep() == 0
        assert backend.session(b"s1", NOW)
        assert [backend.use_ticket(hash, NOW, "phone", None).good for hash in (b"unused", b"used")] == [True, True]
        assert backend.use_assertion(b"digest", END) is False
