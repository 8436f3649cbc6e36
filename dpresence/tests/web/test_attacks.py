"""Attacks on the web pages: a new path without CSRF, a sign-in that overtakes its end, text that is taken for markup."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from cornice.service import get_services

from dpresence.model import Identity
from dpresence.tests.web.support import FORM, App, Browser, World, ko, refusal

ANN, DEV = "ann@example.org", "dev@example.org"
HTML = {"Accept": "text/html"}
EVIL = "https://evil.example.org"
NOT_BY_COOKIE = {
    *(("POST", path) for path in ("/login", "/myapps/{appid}/notifications", "/pair", "/pair/token")),
    ("DELETE", "/myapps/{appid}/notifications/{notification}"),  # by the API key, as the call that sends them
    ("POST", "/login/{provider}/backchannel-logout"),  # by the logout token
    ("POST", "/language"),  # of the browser, not of an account; only from a page of this origin
}


# -- CSRF


def changing() -> list[tuple[str, str]]:
    """Return method and path of everything that changes something, as the services are declared."""
    every = {(method, service.path) for service in get_services() for method in service.defined_methods}
    return sorted((method, path) for method, path in every if method not in ("GET", "HEAD"))


def test_every_path_that_changes_something_wants_the_csrf_token_or_no_cookie_at_all(shared_ann: Browser) -> None:
    bare = Browser(shared_ann.web.app)
    bare.web.cookiejar = shared_ann.web.cookiejar
    assert set(changing()) >= NOT_BY_COOKIE and len(changing()) > 15
    for method, path in changing():
        errno = bare(method, path.replace("{", "").replace("}", "")).json["errno"]
        assert errno in ((104, 106, 108, 110) if (method, path) in NOT_BY_COOKIE else (121,)), (method, path, errno)


@pytest.mark.parametrize("content_type", ["text/plain", FORM, "multipart/form-data; boundary=x", "application/json"])
@pytest.mark.parametrize("path", ["/login", "/logout", "/ticket", "/myapps", "/grant/x", "/__dev__/assertion"])
def test_requests_a_page_elsewhere_can_send_without_asking_change_nothing(shared_ann: Browser, path: str, content_type: str) -> None:
    """A form or a simple ``fetch`` brings the browser's own ``Origin`` and, at best, the cookie."""
    answer = shared_ann("POST", path, b'{"email": "ann@example.org"}', Origin=EVIL, Content_Type=content_type, X_CSRF_Token="")
    assert refusal(answer) == (403, ko(121, "Origin: not a page of this service"))


def test_no_origin_is_ever_let_in_by_cors(shared_ann: Browser) -> None:
    for method in ("GET", "OPTIONS", "POST"):
        answer = shared_ann(method, "/account", Origin=EVIL, Access_Control_Request_Method="DELETE")
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


# -- a sign-in and its end at the same moment


def ends() -> dict[str, Callable[[World, Browser], object]]:
    def block(world: World, _: Browser) -> None:
        world.registry.backends.directory.block(ANN, True)
        world.carry_out()

    return {
        "log-out": lambda world, ann: ann("POST", "/logout"),
        "log-out everywhere": lambda world, ann: ann("POST", "/logout", {"everywhere": True}),
        "erasure": lambda world, ann: ann("DELETE", "/account"),
        "block": block,
    }


@pytest.mark.parametrize("end", ends())
def test_an_end_that_overtakes_the_sign_in_of_a_device_closes_it(world: World, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    ann, connect = world.person(ANN), world.services.devices.connect
    ticket = ann("POST", "/ticket").json["ticket"]
    world.device(ANN, device="desk")  # for the sweep of blocked accounts to find

    def overtaken(*given: Any) -> Any:
        ends()[end](world, ann)  # the proof was good; the device is in nobody's list yet
        return connect(*given)

    monkeypatch.setattr(world.services.devices, "connect", overtaken)
    channel = world.channel()
    channel.receive({"email": ANN, "assertion": ticket, "status": "online", "device": "page"})
    assert (channel.code, channel.reason) == (4009, "signed out")


def test_a_sign_out_of_somebody_else_at_that_moment_closes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bob, connect = world.person("bob@example.org"), world.services.devices.connect

    def meanwhile(*given: Any) -> Any:
        bob("POST", "/logout", {"everywhere": True})
        return connect(*given)

    monkeypatch.setattr(world.services.devices, "connect", meanwhile)
    assert world.device(ANN).code is None


def test_no_browser_session_is_opened_when_a_block_came_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = world.registry.backends.directory
    world.person(ANN)
    add_session = directory.add_session

    def overtaken(*given: Any) -> Any:
        directory.block(ANN, True)
        return add_session(*given)

    monkeypatch.setattr(directory, "add_session", overtaken)
    late = world.browser()("POST", "/login", {"assertion": world.assertion(ANN)})
    assert refusal(late) == (401, ko(130, "the session has ended; send a new assertion"))


# -- the operator's word


def test_a_blocked_account_is_signed_out_everywhere_and_stays_out_until_it_is_unblocked(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "dpresence.service")
    ann, device, bystander = world.person(ANN), world.device(ANN), world.device("bob@example.org")
    ticket = ann("POST", "/ticket").json["ticket"]
    assert world.registry.backends.directory.block(ANN, True)
    world.carry_out()
    assert (device.code, bystander.code) == (4009, None)
    user = world.registry.backends.directory.sign_in(Identity(ANN, "dev.invalid", ANN, 0), 0).id
    assert f"the operator has blocked account {user}; its devices are signed out" in caplog.messages
    assert refusal(ann("GET", "/devices"))[1]["errno"] == 130
    blocked = ko(34, "Invalid assertion: the operator of this service has blocked this account", details="blocked")
    for proof, answer in ((ticket, ko(34, "Invalid assertion")), (world.assertion(ANN), blocked)):
        assert world.channel().receive({"email": ANN, "assertion": proof, "status": "online"}) == answer
    assert refusal(world.browser()("POST", "/login", {"assertion": world.assertion(ANN)})) == (401, blocked)
    world.registry.backends.directory.block(ANN, False)
    assert world.person(ANN)("GET", "/devices").status_int == 200


# -- pages


class Elements(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def page(browser: Browser, path: str) -> Any:
    return browser("GET", path, **HTML)


def grant_path(world: World, app: App) -> str:
    return f"/grant/{app.id}?redirect=http%3A%2F%2F{world.proof.domain.replace(':', '%3A')}%2Fback"


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"onmouseover="alert(1)', "{{ 7 * 7 }}", "</title><img src=x onerror=alert(1)>"]
)
def test_texts_of_a_developer_are_no_markup(world: World, text: str) -> None:
    dev = world.person(DEV)
    app, plain = world.application(dev, name=text), world.application(dev)
    dev("PATCH", f"/myapps/{app.id}", {"description": text})
    ann = world.person(ANN)
    shown = Elements(page(ann, grant_path(world, app)).text)
    ordinary = Elements(page(ann, grant_path(world, plain)).text)
    assert (shown.tags, shown.attributes) == (ordinary.tags, ordinary.attributes)
    assert shown.text.count(text) == 3


def test_every_page_says_that_this_is_development(world: World, app: App) -> None:
    ann = world.person(ANN)
    for path, status in (("/login", 200), (grant_path(world, app), 200), ("/nothing", 404), ("/grant/x", 404)):
        answer = page(ann, path)
        assert answer.status_int == status
        assert "anyone with its token can sign in as anyone" in answer.text
        assert answer.headers["X-dpresence-Mode"] == "development"


def test_no_page_of_production_says_so(make_world: Callable[..., World]) -> None:
    answer = page(make_world(identity__development="false", outbound__allow_loopback="false").browser(), "/login")
    assert "sign in as anybody" not in answer.text and "X-dpresence-Mode" not in answer.headers


def test_only_the_grant_page_may_lead_elsewhere_and_only_to_its_application(world: World, app: App) -> None:
    ann = world.person(ANN)

    def targets(path: str) -> list[str]:
        policy = dict(part.strip().split(" ", 1) for part in page(ann, path).headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'" and policy["script-src"] == "'self'"
        return policy["form-action"].split()

    assert targets(grant_path(world, app)) == ["'self'", f"http://{world.proof.domain}"]
    assert targets("/login") == targets("/nothing") == ["'self'"]


# -- names that pass for somebody else's


OTHERS = (
    *("bank.example", "Bank.EXAMPLE", "Log in (https://bank.example/x)", "ann@bank.example", "bank.\u0441\u043e", "bank\uff0eexample"),
    *("example.org", "notchess.example.org", "chess.example.org.evil.example"),
)


@pytest.mark.parametrize("name", OTHERS)
def test_a_name_is_no_other_web_address(world: World, name: str) -> None:
    dev = world.person(DEV)
    refused = refusal(dev("POST", "/myapps", {"name": name, "domain": "chess.example.org"}))
    assert refused[0] == 400 and refused[1]["errno"] == 107 and refused[1]["error"].startswith("name: ")
    assert refused[1]["error"].endswith(", and only chess.example.org is allowed; if it is none, write a space after the dot")
    made = dev("POST", "/myapps", {"name": "Chess", "domain": "chess.example.org"}).json
    assert refusal(dev("PATCH", f"/myapps/{made['appid']}", {"name": name})) == refused


@pytest.mark.parametrize("name", ["Chess.example.org", "www.chess.example.org", "Chess 2.0", "Dr.Oetker", "Tom & Co.KG", "St.Gallen"])
def test_a_name_may_be_the_own_domain_and_have_dots(world: World, name: str) -> None:
    answer = world.person(DEV)("POST", "/myapps", {"name": name, "domain": "chess.example.org"})
    assert answer.status_int == 201, answer.json


def test_a_name_that_was_the_old_domain_does_not_stay_with_a_new_one(world: World) -> None:
    dev = world.person(DEV)
    made = dev("POST", "/myapps", {"name": "chess.example.org", "domain": "chess.example.org"}).json
    path = f"/myapps/{made['appid']}"
    answer = dev("PATCH", path, {"domain": "go.example.org"})
    assert answer.status_int == 400 and "the web address chess.example.org, and only go.example.org is allowed" in answer.json["error"]
    assert dev("PATCH", path, {"domain": "go.example.org", "name": "Go"}).status_int == 200
    assert dev("PATCH", path, {"description": "Play"}).status_int == 200
