"""Sign-ins and logouts of an identity provider at the same moment in two processes, on PostgreSQL; run as ``patched_races``."""
# ruff: noqa: B023 - what a round defines is called before the next one

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.errors import SessionEnded
from dpresence.model import Session, Ticket

from .directory_logouts import LOGOUT, proof
from .directory_values import END, LATER, NOW, at_once
from .patched_races import ROUNDS, after, other_database

__all__ = ["other_database"]


@pytest.fixture
def sides(database, other_database):
    return SqlDirectory(database), SqlDirectory(other_database)


@pytest.mark.parametrize("whole", [False, True], ids=["session", "person"])
def test_no_session_and_no_ticket_outlives_a_logout_of_that_moment(sides, whole):
    one, two = sides
    person = one.sign_in(proof(), NOW)
    for n in ROUNDS:
        late = proof(f"sid-{n}", NOW + 2 * n)
        logout = replace(LOGOUT, digest=b"%d" % n, sid=None if whole else f"sid-{n}", at=NOW + 2 * n)
        session, ticket = Session(b"s%d" % n, person.id, NOW, END, late.provider_session), f"family-{n}"
        added = Ticket(b"t%d" % n, ticket, person.id, LATER, END, provider_session=late.provider_session)
        outcomes = at_once(
            lambda: one.add_session(session, person, None, late),
            lambda: one.add_ticket(added, person, late),
            after(n % 5, lambda: two.end_provider_session(logout)),
        )
        assert all(outcome in (None, []) or isinstance(outcome, SessionEnded) for outcome in outcomes[:2])
        assert isinstance(outcomes[2], list)
        assert one.session(session.id_hash, NOW) is None and not one.family_exists(ticket)
        assert one.end_provider_session(logout) is None
