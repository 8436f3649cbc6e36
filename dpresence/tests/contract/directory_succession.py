"""A log-in in a browser that has a session replaces that session, so that only one stays."""

from __future__ import annotations

import pytest

from dpresence.backends.directory.sql import PARALLEL_MS
from dpresence.errors import SessionEnded
from dpresence.model import Session, Ticket

from .directory_values import END, IDENTITY, LATER, NOW, at_once, person


class SuccessionContract:
    def stays(self, backend, *names):
        return [name for name in names if backend.session(name, NOW) is not None]

    def test_a_log_in_ends_the_session_that_the_browser_had_with_its_tickets_and_no_other(self, backend):
        jane, joe = person(backend), person(backend, "joe")
        for name in (b"old", b"elsewhere"):
            backend.add_session(Session(name, jane.id, NOW, END))
            backend.add_ticket(Ticket(b"ticket-" + name, f"family-{name.decode()}", jane.id, LATER, END, session=name))
        assert list(backend.add_session(Session(b"new", joe.id, NOW, END), joe, b"old")) == [jane.id]
        assert self.stays(backend, b"old", b"elsewhere", b"new") == [b"elsewhere", b"new"]
        assert [backend.family_exists(f"family-{name}") for name in ("old", "elsewhere")] == [False, True]
        assert [(entry.owner, entry.kind, entry.detail) for entry in backend.outbox(None, 0, 10)] == [(jane.id, "ticket", "family-old")]

    def test_a_log_in_without_a_session_before_ends_none(self, backend):
        jane = person(backend)
        assert list(backend.add_session(Session(b"s1", jane.id, NOW, END))) == []
        assert list(backend.add_session(Session(b"s2", jane.id, NOW, END))) == []
        assert self.stays(backend, b"s1", b"s2") == [b"s1", b"s2"]

    @pytest.mark.parametrize("known", [True, False])
    def test_of_several_log_ins_with_the_same_cookie_the_last_one_stays(self, backend, known):
        jane, joe = person(backend), person(backend, "joe")
        if known:
            backend.add_session(Session(b"old", jane.id, NOW, END))
        for name, account in ((b"s1", jane), (b"s2", joe), (b"s3", jane)):
            backend.add_session(Session(name, account.id, NOW, END), account, b"old")
        assert self.stays(backend, b"old", b"s1", b"s2", b"s3") == [b"s3"]

    def test_a_cookie_that_ended_long_ago_ends_nobodys_session(self, backend):
        jane, eve = person(backend), person(backend, "eve")
        for name, previous in ((b"s1", None), (b"s2", b"s1")):
            backend.add_session(Session(name, jane.id, NOW, END), jane, previous)
        backend.add_session(Session(b"s3", eve.id, NOW + PARALLEL_MS, END), eve, b"s1")
        assert self.stays(backend, b"s2", b"s3") == [b"s2", b"s3"]

    @pytest.mark.parametrize("known", [True, False])
    def test_of_many_log_ins_with_the_same_cookie_one_stays(self, backend, known):
        people = [person(backend, f"p{n}") for n in range(3)]
        if known:
            backend.add_session(Session(b"old", people[0].id, NOW, END))
        names = [b"s%d" % n for n in range(6)]

        def log_in(n):
            account = people[n % 3]
            return lambda: backend.add_session(Session(names[n], account.id, NOW, END), account, b"old")

        outcomes = at_once(*[log_in(n) for n in range(6)])
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        assert len(self.stays(backend, b"old", *names)) == 1

    def test_a_log_in_that_is_refused_ends_nothing(self, backend):
        jane, joe = person(backend), person(backend, "joe")
        backend.add_session(Session(b"old", joe.id, NOW, END))
        backend.block(IDENTITY.email, True)
        with pytest.raises(SessionEnded):
            backend.add_session(Session(b"new", jane.id, NOW, END), jane, b"old")
        assert self.stays(backend, b"old", b"new") == [b"old"]
