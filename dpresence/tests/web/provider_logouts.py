"""Helpers for tests of logouts by an OpenID Connect provider."""

from __future__ import annotations

from dpresence.errors import CloseCode, InvalidLogout
from dpresence.tests.web.support import FORM, ko

from .oidc_sign_in import SignIn

NOT_SIGNED_IN = CloseCode.NOT_SIGNED_IN
ADA = "ada@example.org"
ENDED = (401, ko(130, "the session has ended; send a new assertion"))


def log_out(world, token, path="/login/corp/backchannel-logout", address="192.0.2.7"):
    return world.browser(address)("POST", path, f"logout_token={token}".encode(), Content_Type=FORM)


def log_out_well(world, provider, **claims):
    answer = log_out(world, provider.logout_token(**claims))
    assert (answer.status_int, answer.json, answer.headers["Cache-Control"]) == (200, {"result": "OK"}, "no-store")


def refused(reason):
    return 400, ko(144, f"the logout token is not valid: {InvalidLogout.REASONS[reason]}", details=reason)


def sign_in(world, provider, **claims):
    """Return a browser in which somebody has signed in with a session of the provider."""
    browser = SignIn(world).give(provider, **{"sid": "sid-1", **claims})
    assert browser.back().status_int == 303
    return browser.browser


def signed_in(browser):
    return browser("GET", "/account").status_int == 200


def csrf(browser):
    browser.csrf = browser.web.get("/sidebar", headers={"Accept": "text/html"}).html.find("meta", {"name": "csrf"})["content"]
    return browser


def device(world, proof, **fields):
    channel = world.channel()
    assert channel.receive({"email": ADA, "assertion": proof, "status": "online", **fields})["result"] == "OK", channel.sent
    return channel
