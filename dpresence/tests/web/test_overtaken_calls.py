"""Calls that a block, an unpin or a log-out overtakes between the look at who calls and the change: nothing is changed."""

from __future__ import annotations

import pytest

from dpresence.tests.web.support import ko, refusal

DEV = "dev@example.org"
CALLS = {
    "add_application": ("POST", "/myapps", {"name": "Go", "domain": "go.example.org"}),
    "change_application": ("PATCH", "/myapps/{own}", {"name": "Go"}),
    "move_application": ("PATCH", "/myapps/{own}", {"domain": "go.example.org"}),
    "delete_application": ("DELETE", "/myapps/{own}", None),
    "add_key": ("POST", "/myapps/{own}/key", None),
    "add_grant": ("POST", "/grant/{other}", None),
    "change_grant": ("PATCH", "/grant/{own}", {"paused": True}),
    "set_override": ("PUT", "/status", {"status": "offline"}),
    "revoke": ("DELETE", "/grant/{own}", None),
    "sign_out_device": ("DELETE", "/devices/phone", None),
    "erase": ("DELETE", "/account", None),
}
"""By the method of the directory that makes the change."""
ENDED = (401, ko(130, "the session has ended; send a new assertion"))


@pytest.fixture
def other(one):
    return one.application(one.person("other@example.org"), name="Go")


@pytest.fixture
def dev(one):
    return one.person(DEV)


@pytest.fixture
def own(one, dev):
    app = one.application(dev)
    one.grant(DEV, app)
    return app


def overtake(monkeypatch, directory, method, first):
    """Have something happen right before a method begins."""
    change = getattr(directory, method)

    def late(*args, **kwargs):
        first()
        return change(*args, **kwargs)

    monkeypatch.setattr(directory, method, late)


@pytest.fixture(params=["block", "unpin", "log-out"])
def end(request, two, dev):
    """The change that another process makes meanwhile."""
    directory = two.registry.backends.directory
    if request.param == "log-out":
        cookie = dev.web.cookies["dpresence"]
        return lambda: two.services.accounts.logout(two.services.accounts.session(cookie).session, everywhere=False)
    return (lambda: directory.block(DEV, True)) if request.param == "block" else (lambda: directory.unpin(DEV))


@pytest.mark.parametrize("method", CALLS)
def test_a_call_that_is_overtaken_changes_nothing(one, dev, own, other, end, method, monkeypatch):
    directory, device = one.registry.backends.directory, one.device(DEV, device="phone")
    account = one.services.accounts.session(dev.web.cookies["dpresence"]).account
    verb, path, body = CALLS[method]
    overtake(monkeypatch, directory, method, end)
    answer = dev(verb, path.format(own=own.id, other=other.id), body)
    assert refusal(answer) == ENDED
    assert directory.account(account.id) is not None
    assert [(app.name, app.domain) for app in directory.applications(account.id, "", 10)] == [("Chess", one.proof.domain)]
    assert [(grant.appid, grant.paused) for grant in directory.grants_of_user(account.id).grants] == [(own.id, False)]
    assert len(directory.keys(own.id, one.clock.now())) == 1
    assert device is not None


@pytest.mark.parametrize(("method", "path"), [("change_application", "deactivate"), ("change_application", "validate")])
def test_a_deactivation_and_a_proof_that_a_log_out_overtakes_change_nothing(one, two, dev, own, method, path, monkeypatch):
    directory = one.registry.backends.directory
    before = directory.application(own.id)
    session = two.services.accounts.session(dev.web.cookies["dpresence"]).session
    overtake(monkeypatch, directory, method, lambda: two.services.accounts.logout(session, everywhere=False))
    assert refusal(dev("POST", f"/myapps/{own.id}/{path}")) == ENDED
    assert directory.application(own.id) == before


def test_a_ticket_that_an_unpin_overtakes_is_not_given(one, two, dev, monkeypatch):
    overtake(monkeypatch, one.registry.backends.directory, "add_ticket", lambda: two.registry.backends.directory.unpin(DEV))
    assert refusal(dev("POST", "/ticket")) == ENDED
