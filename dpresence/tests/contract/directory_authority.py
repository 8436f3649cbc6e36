"""What a directory must refuse to who was the holder of an account, or was not blocked, when they were asked last."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.errors import Conflict, DomainNotValidated, SessionEnded

from .directory_values import IDENTITY, KEY, LATER, NOW, SESSION, TICKET, application, person

OTHER = replace(IDENTITY, issuer="new.example.org")

ENDS = {
    "block": lambda it: it.block(IDENTITY.email, True),
    "unpin": lambda it: it.unpin(IDENTITY.email),
    "unpin and a new holder": lambda it: (it.unpin(IDENTITY.email), it.sign_in(OTHER, NOW)),
}
"""What ends the authority of a person; each is made after they were asked, and before what they asked for is done."""


class AuthorityContract:
    @pytest.fixture
    def jane(self, backend):
        return person(backend)

    @pytest.fixture
    def proven(self, backend, jane):
        app = application(backend, jane)
        backend.change_application(app.id, {"proof": "https"})
        return app

    @pytest.fixture(params=ENDS)
    def end(self, request, backend):
        return lambda: ENDS[request.param](backend)

    def test_no_session_or_ticket_is_made_for_who_is_the_holder_no_longer(self, backend, jane, end):
        end()
        with pytest.raises(SessionEnded):
            backend.add_session(replace(SESSION, user=jane.id), jane)
        with pytest.raises(SessionEnded):
            backend.add_ticket(replace(TICKET, user=jane.id), jane)
        assert list(backend.sessions(jane.id, NOW)) == [] and not backend.has_family(TICKET.family)

    def test_no_application_is_activated_by_who_is_the_holder_no_longer(self, backend, jane, proven, end):
        end()
        with pytest.raises(SessionEnded):
            backend.activate(proven.id, KEY, jane)
        assert not backend.application(proven.id).active and backend.key(KEY.id, NOW) is None

    def test_no_key_is_made_for_who_is_the_holder_no_longer(self, backend, jane, proven, end):
        backend.activate(proven.id, KEY, jane)
        end()
        with pytest.raises(SessionEnded):
            backend.add_key(replace(KEY, id="key-2"), LATER, jane)
        assert backend.keys(proven.id, NOW) == [KEY]

    def test_the_end_deactivates_what_runs(self, backend, jane, proven, end):
        backend.activate(proven.id, KEY, jane)
        end()
        assert not backend.application(proven.id).active
        told = [(entry.kind, entry.appid) for entry in backend.outbox(None, 0, 10)]
        assert ("application", proven.id) in told

    @pytest.mark.parametrize("blocked", ["jane", "joe"])
    def test_a_merge_with_a_blocked_account_deactivates_what_the_other_runs(self, backend, jane, proven, blocked):
        joe = person(backend, "joe")
        running = application(backend, joe, "app-2")
        for app in (proven, running):
            backend.change_application(app.id, {"proof": "https", "active": True})
        backend.block(f"{blocked}@example.org", True)
        backend.merge(joe.email, jane.email)
        assert [backend.application(app.id).active for app in (proven, running)] == [False, False]

    def test_nothing_is_activated_that_lost_its_domain_or_was_stopped_meanwhile(self, backend, jane, proven):
        backend.change_application(proven.id, {"proof": None})
        with pytest.raises(DomainNotValidated):
            backend.activate(proven.id, KEY, jane)
        backend.change_application(proven.id, {"proof": "https", "stopped": True})
        with pytest.raises(Conflict, match="stopped"):
            backend.activate(proven.id, KEY, jane)
        assert not backend.application(proven.id).active

    def test_a_change_of_grants_meanwhile_refuses_nobody(self, backend, jane, proven):
        backend.end_sessions(jane.id)
        assert backend.account(jane.id) != jane
        backend.add_session(replace(SESSION, user=jane.id), jane)
        assert backend.activate(proven.id, KEY, jane)
