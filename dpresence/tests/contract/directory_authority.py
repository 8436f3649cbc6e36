"""A directory refuses changes by requesters who no longer hold the account or who were blocked after they authenticated."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest

from dpresence.backends.directory import Directory
from dpresence.errors import Conflict, DomainNotValidated, SessionEnded
from dpresence.model import Account, Grant, Session
from dpresence.model.webhooks import Webhook

from .directory_values import APPLICATION, IDENTITY, KEY, LATER, NOW, PAIRING, SESSION, SUBSCRIPTION, TICKET, application, grant, person

WEBHOOK = Webhook("app-1", "https://chess.example.org/hook", "presence", "whsec_x", NOW)
OTHER = replace(IDENTITY, issuer="new.example.org")

ENDS = {
    "block": lambda it: it.block(IDENTITY.email, True),
    "unpin": lambda it: it.unpin(IDENTITY.email),
    "unpin and a new holder": lambda it: (it.unpin(IDENTITY.email), it.sign_in(OTHER, NOW)),
}
"""Changes that end the authority of a requester, each made between the authentication and the requested change."""


CHANGES = {
    "erase": lambda it, jane, who: it.erase(jane.id, who),
    "sign_out_device": lambda it, jane, who: it.sign_out_device(jane.id, "phone", who),
    "rename_device": lambda it, jane, who: it.rename_device(jane.id, "phone", "Mine", who),
    "put_push_subscription": lambda it, jane, who: it.put_push_subscription(replace(SUBSCRIPTION, user=jane.id), 10, who),
    "remove_push_subscription": lambda it, jane, who: it.remove_push_subscription(jane.id, "browser-0", who),
    "add_ticket": lambda it, jane, who: it.add_ticket(replace(TICKET, user=jane.id, hash=b"t2", family="f2"), who),
    "add_session": lambda it, jane, who: it.add_session(replace(SESSION, user=jane.id, id_hash=b"s2"), who),
    "answer_pairing": lambda it, jane, who: it.answer_pairing(PAIRING.code, NOW, jane.id, True, who),
    "add_application": lambda it, jane, who: it.add_application(replace(APPLICATION, id="app-2", owner=jane.id), 100, who),
    "change_application": lambda it, jane, who: it.change_application("app-1", {"name": "Go"}, None, who),
    "set_icon": lambda it, jane, who: it.set_icon("app-1", b"icon", who),
    "move_application": lambda it, jane, who: it.move_application("app-1", {"domain": "go.example.org"}, who),
    "delete_application": lambda it, jane, who: it.delete_application("app-1", who),
    "activate": lambda it, jane, who: it.activate("app-1", KEY, who),
    "add_key": lambda it, jane, who: it.add_key(KEY, LATER, who),
    "add_grant": lambda it, jane, who: it.add_grant(Grant("app-3", "puid-3", jane.id, NOW, NOW), None, who),
    "set_override": lambda it, jane, who: it.set_override(jane.id, "offline", None, who),
    "set_hours": lambda it, jane, who: it.set_hours(jane.id, '{"zone":"UTC","weekly":[{"days":["mon"],"from":"01:00","to":"02:00"}]}', who),
    "change_grant": lambda it, jane, who: it.change_grant("app-1", jane.id, {"paused": True}, NOW, who),
    "put_webhook": lambda it, jane, who: it.put_webhook(replace(WEBHOOK, url="https://chess.example.org/new"), APPLICATION.domain, who),
    "change_webhook": lambda it, jane, who: it.change_webhook("app-1", {"secret": "whsec_new"}, who),
    "delete_webhook": lambda it, jane, who: it.delete_webhook("app-1", who),
    "revoke": lambda it, jane, who: it.revoke("app-1", jane.id, who),
}
"""Every change that a person asks for; a method that takes ``requester`` is missing here until it is added."""


def stored(backend: Directory, user: str) -> list[object]:
    """All that a change could have changed."""
    apps = [backend.application(appid) for appid in ("app-1", "app-2", "app-3")]
    accounts = [backend.account(user), backend.grants_of_user(user), list(backend.sessions(user, NOW)), list(backend.tickets(user, NOW))]
    accounts += [backend.waiting_pairing(PAIRING.code, NOW), list(backend.known_devices(user)), list(backend.push_subscriptions(user))]
    accounts += [backend.webhook("app-1")]
    return [*apps, *accounts, list(backend.keys("app-1", NOW)), list(backend.outbox(None, 0, 100))]


def check_refused(backend: Directory, jane: Account, who: Account | Session) -> None:
    """Try every change on behalf of ``who``: each is refused and changes nothing."""
    before, refused = stored(backend, jane.id), []
    for name, change in CHANGES.items():
        try:
            change(backend, jane, who)
        except SessionEnded:
            refused.append(name)
        assert stored(backend, jane.id) == before, name
    assert refused == list(CHANGES)


class AuthorityContract:
    @pytest.fixture
    def settled(self, backend, jane, proven):
        """Jane's application, granted by Jane, and one of somebody else that Jane may grant."""
        application(backend, person(backend, "joe"), "app-3")
        grant(backend, proven, jane)
        backend.add_pairing(PAIRING)
        backend.put_push_subscription(replace(SUBSCRIPTION, id="browser-0", user=jane.id, session=None), 10)
        backend.put_webhook(WEBHOOK, APPLICATION.domain)

    def test_every_change_that_a_person_asks_for_is_tried(self):
        methods = inspect.getmembers(Directory, inspect.isfunction)
        assert set(CHANGES) == {name for name, method in methods if "requester" in inspect.signature(method).parameters}

    @pytest.mark.slow
    @pytest.mark.parametrize("by", ["assertion", "session"])
    def test_a_former_holder_changes_nothing(self, backend, jane, settled, end, by):
        backend.add_session(replace(SESSION, user=jane.id), jane)
        who = jane if by == "assertion" else backend.session(SESSION.id_hash, NOW)
        end()
        check_refused(backend, jane, who)

    def test_a_session_that_has_ended_meanwhile_changes_nothing(self, backend, jane, settled):
        backend.add_session(replace(SESSION, user=jane.id), jane)
        who = backend.session(SESSION.id_hash, NOW)
        backend.end_session(SESSION.id_hash)
        check_refused(backend, jane, who)

    @pytest.mark.parametrize("change", CHANGES)
    @pytest.mark.parametrize("by", ["assertion", "session"])
    def test_everything_is_changed_for_the_holder(self, backend, jane, settled, change, by):
        if change == "add_key":
            backend.change_application("app-1", {"active": True})
        backend.add_session(replace(SESSION, user=jane.id), jane)
        before = stored(backend, jane.id)
        CHANGES[change](backend, jane, jane if by == "assertion" else backend.session(SESSION.id_hash, NOW))
        assert stored(backend, jane.id) != before

    def test_nobody_changes_what_is_anothers_by_their_own_proof(self, backend, jane, settled):
        joe = person(backend, "joe")
        for change in ("change_application", "delete_application", "activate", "revoke", "erase"):
            with pytest.raises(SessionEnded):
                CHANGES[change](backend, jane, joe)

    @pytest.fixture
    def jane(self, backend):
        return person(backend)

    @pytest.fixture
    def proven(self, backend, jane):
        app = application(backend, jane)
        backend.change_application(app.id, {"validated_scheme": "https"})
        return app

    @pytest.fixture(params=ENDS)
    def end(self, request, backend):
        return lambda: ENDS[request.param](backend)

    def test_no_session_or_ticket_is_made_for_a_former_holder(self, backend, jane, end):
        end()
        with pytest.raises(SessionEnded):
            backend.add_session(replace(SESSION, user=jane.id), jane)
        with pytest.raises(SessionEnded):
            backend.add_ticket(replace(TICKET, user=jane.id), jane)
        assert list(backend.sessions(jane.id, NOW)) == [] and not backend.family_exists(TICKET.family)

    def test_no_application_is_activated_by_a_former_holder(self, backend, jane, proven, end):
        end()
        with pytest.raises(SessionEnded):
            backend.activate(proven.id, KEY, jane)
        assert not backend.application(proven.id).active and backend.key(KEY.id, NOW) is None

    def test_no_key_is_made_for_a_former_holder(self, backend, jane, proven, end):
        backend.activate(proven.id, KEY, jane)
        end()
        with pytest.raises(SessionEnded):
            backend.add_key(replace(KEY, id="key-2"), LATER, jane)
        assert backend.keys(proven.id, NOW) == [KEY]

    def test_the_end_deactivates_what_runs(self, backend, jane, proven, end):
        backend.activate(proven.id, KEY, jane)
        end()
        assert not backend.application(proven.id).active
        entries = [(entry.kind, entry.appid) for entry in backend.outbox(None, 0, 10)]
        assert ("application", proven.id) in entries

    @pytest.mark.parametrize("blocked", ["jane", "joe"])
    def test_a_merge_with_a_blocked_account_deactivates_what_the_other_runs(self, backend, jane, proven, blocked):
        joe = person(backend, "joe")
        running = application(backend, joe, "app-2")
        for app in (proven, running):
            backend.change_application(app.id, {"validated_scheme": "https", "active": True})
        backend.block(f"{blocked}@example.org", True)
        backend.merge(joe.email, jane.email)
        assert [backend.application(app.id).active for app in (proven, running)] == [False, False]

    def test_nothing_is_activated_that_lost_its_domain_or_was_stopped_meanwhile(self, backend, jane, proven):
        backend.change_application(proven.id, {"validated_scheme": None})
        with pytest.raises(DomainNotValidated):
            backend.activate(proven.id, KEY, jane)
        backend.change_application(proven.id, {"validated_scheme": "https", "stopped": True})
        with pytest.raises(Conflict, match="stopped"):
            backend.activate(proven.id, KEY, jane)
        assert not backend.application(proven.id).active

    def test_a_change_of_grants_meanwhile_refuses_nobody(self, backend, jane, proven):
        backend.end_sessions(jane.id)
        assert backend.account(jane.id) != jane
        backend.add_session(replace(SESSION, user=jane.id), jane)
        assert backend.activate(proven.id, KEY, jane)
