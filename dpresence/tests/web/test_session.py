"""Signing in and out with a browser, CSRF and origins, signing a call without a cookie, tickets (sections 2 and 6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dpresence.tests import browserid_support as browserid
from dpresence.tests.web.support import App, Browser, World, ko, refusal

ANN = "ann@example.org"
NO_CSRF = (403, ko(121, "X-CSRF-Token: is missing or not that of this session"))
OTHER_ORIGIN = (403, ko(121, "Origin: not a page of this service"))
NO_COOKIE = (401, ko(104, "Cookie: dpresence, which a sign-in sets"))
NO_PROOF = (401, ko(104, "Authorization: BrowserID or Bearer, and an assertion"))
ENDED = (401, ko(130, "the session has ended; send a new assertion"))
INVALID = (401, ko(34, "Invalid assertion"))
APPLICATION = {"name": "Chess", "domain": "chess.example.org", "description": ""}


# -- login and logout


def test_login_answers_the_email_and_a_csrf_token_and_sets_a_cookie_no_script_can_read(world: World) -> None:
    answer = world.browser()("POST", "/login", {"assertion": world.assertion("Ann@EXAMPLE.org")})
    assert answer.status_int == 200
    assert answer.json == {"email": "Ann@example.org", "csrf": answer.json["csrf"]}
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("dpresence=") and "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie
    assert answer.json["csrf"] not in cookie


def test_an_assertion_opens_one_session_only(world: World) -> None:
    assertion = world.assertion(ANN)
    assert world.browser()("POST", "/login", {"assertion": assertion}).status_int == 200
    assert refusal(world.browser()("POST", "/login", {"assertion": assertion})) == INVALID


def test_an_assertion_that_ran_out_opens_nothing(world: World) -> None:
    assertion = world.assertion(ANN)
    world.clock.advance(3 * 3600)
    assert refusal(world.browser()("POST", "/login", {"assertion": assertion})) == INVALID


def test_a_page_of_another_origin_cannot_log_in(world: World) -> None:
    body = {"assertion": world.assertion(ANN)}
    assert refusal(world.browser()("POST", "/login", body, Origin="http://evil.example.org")) == OTHER_ORIGIN
    assert refusal(world.browser()("POST", "/login", body, Origin="null")) == OTHER_ORIGIN
    assert world.browser()("POST", "/login", body, Origin="http://127.0.0.1:8282").status_int == 200


def test_a_session_ends_when_its_time_is_over(world: World) -> None:
    ann = world.person(ANN)
    world.clock.advance(43199)
    assert ann("GET", "/devices").status_int == 200
    world.clock.advance(1)
    assert refusal(ann("GET", "/devices")) == ENDED


def test_logout_ends_this_session_and_no_other(world: World) -> None:
    ann, elsewhere = world.person(ANN), world.person(ANN)
    cookie = ann.web.cookies["dpresence"]
    assert ann("POST", "/logout").json == {"result": "OK"}
    assert refusal(ann("GET", "/devices")) == NO_PROOF
    assert refusal(world.browser()("GET", "/devices", Cookie=f"dpresence={cookie}")) == ENDED
    assert elsewhere("GET", "/devices").status_int == 200


def test_logout_everywhere_ends_every_session_and_signs_every_device_out(world: World) -> None:
    ann, elsewhere, device = world.person(ANN), world.person(ANN), world.device(ANN)
    assert ann("POST", "/logout", {"everywhere": True}).status_int == 200
    assert refusal(elsewhere("GET", "/devices")) == ENDED
    assert device.code == 4009


def test_logout_needs_a_session(world: World) -> None:
    assert refusal(world.browser()("POST", "/logout", **world.authorization(ANN))) == NO_COOKIE


# -- CSRF and origins


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/logout"),
        ("POST", "/ticket"),
        ("POST", "/myapps"),
        ("PATCH", "/myapps/x"),
        ("DELETE", "/myapps/x"),
        ("POST", "/myapps/x/validate"),
        ("POST", "/myapps/x/activate"),
        ("POST", "/myapps/x/deactivate"),
        ("POST", "/myapps/x/key"),
        ("POST", "/grant/x"),
        ("PATCH", "/grant/x"),
        ("DELETE", "/grant/x"),
        ("DELETE", "/devices/x"),
        ("DELETE", "/account"),
    ],
)
def test_calls_signed_by_a_cookie_need_the_csrf_token_and_our_own_origin(shared_ann: Browser, method: str, path: str) -> None:
    token, bare = {"X_CSRF_Token": shared_ann.csrf or ""}, Browser(shared_ann.web.app)
    bare.web.cookiejar = shared_ann.web.cookiejar
    assert refusal(bare(method, path)) == NO_CSRF
    assert refusal(bare(method, path, X_CSRF_Token="no")) == NO_CSRF
    assert refusal(bare(method, path, X_CSRF_Token="\u00e9".encode().decode("latin-1"))) == NO_CSRF
    assert refusal(bare(method, path, **token, Origin="https://evil.example.org")) == OTHER_ORIGIN
    assert refusal(bare(method, path, **token, Origin="null")) == OTHER_ORIGIN


def test_the_csrf_token_of_another_session_is_no_good(world: World) -> None:
    ann, bob = world.person(ANN), world.person("bob@example.org")
    assert refusal(ann("POST", "/ticket", X_CSRF_Token=bob.csrf or "")) == NO_CSRF


def test_a_signed_call_needs_no_csrf_token(world: World) -> None:
    assert world.browser()("POST", "/myapps", APPLICATION, **world.authorization(ANN)).status_int == 201


def test_beside_a_header_no_cookie_counts(world: World) -> None:
    ann = world.person(ANN)
    assert refusal(ann("GET", "/account", Authorization="BrowserID nonsense")) == INVALID
    assert ann("GET", "/account", **world.authorization("bob@example.org")).json["account"]["email"] == "bob@example.org"


def test_a_header_may_repeat_its_assertion_until_it_expires(world: World) -> None:
    header, anybody = world.authorization(ANN), world.browser()
    assert anybody("GET", "/devices", **header).status_int == 200
    assert anybody("GET", "/devices", **header).status_int == 200
    world.clock.advance(3600)
    assert refusal(anybody("GET", "/devices", **header)) == INVALID


@pytest.mark.parametrize("value", ["Bearer ", "BrowserID", "browserid a~b", "Bearer e30.e30.e30"])
def test_a_header_that_proves_nothing_is_an_invalid_assertion(shared: World, value: str) -> None:
    assert refusal(shared.browser()("GET", "/devices", Authorization=value)) == INVALID


def test_an_api_key_is_no_user_and_the_error_says_so(world: World, app: App) -> None:
    no_user = (401, ko(34, "Invalid assertion: an API key is for an app service's calls; this call needs a user's assertion"))
    assert refusal(world.browser()("GET", f"/myapps/{app.id}", Authorization=f"Bearer {app.key}")) == no_user
    assert refusal(world.browser()("POST", "/login", {"assertion": app.key})) == no_user


def test_another_scheme_is_no_credential(world: World) -> None:
    answer = refusal(world.person(ANN)("GET", "/devices", Authorization="Basic YTpi"))
    assert answer == (401, ko(104, "Authorization: BrowserID or Bearer, and an assertion"))


# -- a production service


def production(make_world: Callable[..., World], tmp_path: Path) -> World:
    """Return a service under https that trusts one issuer."""
    key = browserid.key("issuer")
    (tmp_path / "key.json").write_text(json.dumps(key.public))
    return make_world(
        identity__development="false",
        outbound__allow_loopback="false",
        identity__audience=browserid.AUDIENCE,
        identity__verifiers="browserid",
        browserid__issuers=browserid.ISSUER,
        **{f"browserid.{browserid.ISSUER}.keys": str(tmp_path / "key.json"), f"browserid.{browserid.ISSUER}.domains": "example.org"},
    )


def test_over_https_the_cookie_is_one_that_no_other_host_can_set_and_log_out_takes_it_away(
    make_world: Callable[..., World], tmp_path: Path
) -> None:
    browser = production(make_world, tmp_path).browser()
    answer = browser("POST", "/login", {"assertion": browserid.bundle()})
    cookie = answer.headers["Set-Cookie"].split("; ")
    assert cookie[0].startswith("__Host-dpresence=") and {"Path=/", "secure", "HttpOnly", "SameSite=Lax"} <= set(cookie)
    value, csrf = cookie[0].partition("=")[2], answer.json["csrf"]
    gone = browser("POST", "/logout", Cookie=f"__Host-dpresence={value}", X_CSRF_Token=csrf).headers["Set-Cookie"].split("; ")
    assert gone[0] == "__Host-dpresence=" and {"Max-Age=0", "Path=/", "secure"} <= set(gone)


def test_without_a_verifier_sign_in_is_closed_and_says_which_key_to_set(make_world: Callable[..., World]) -> None:
    world = make_world(**{"identity.development": "false", "outbound.allow_loopback": "false"})
    closed = (503, ko(201, "sign-in is closed: set identity.verifiers in the ini", retry_after=60))
    assert refusal(world.browser()("POST", "/login", {"assertion": "a~b"})) == closed
    assert refusal(world.browser()("GET", "/devices", Authorization="BrowserID a~b")) == closed


def test_the_sign_in_page_says_how_to_sign_in_when_it_has_no_form(make_world: Callable[..., World], tmp_path: Path) -> None:
    page = {"Accept": "text/html"}
    closed = make_world(**{"identity.development": "false", "outbound.allow_loopback": "false"}).browser()
    assert "the operator has to set <code>identity.verifiers</code>" in closed("GET", "/login", **page).text
    text = production(make_world, tmp_path).browser()("GET", "/login", Host="presence.example.org", **page).text
    assert f"your organization's own sign-in page ({browserid.ISSUER})" in text and "identity.verifiers" not in text
