"""Pages as they are served: to whom, with what in their header, and the files they are made of (section 6)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from webob import Request

from dpresence import views
from dpresence.errors import BackendUnavailable
from dpresence.tests.web.support import Browser, World, ko, refusal

HTML = {"Accept": "text/html"}
ANN = "ann@example.org"


def names_in_header(browser: Browser, path: str) -> list[str]:
    """Return which of these a page shows."""
    text = browser("GET", path, **HTML).text
    return [word for word in (ANN, "Sign out", 'name="csrf"', 'href="/login', "Try every role") if word in text]


def test_a_program_gets_what_a_page_needs(world: World) -> None:
    assert refusal(world.person(ANN)("GET", "/sidebar")) == (404, ko(111, "this path is a page: Accept has to name text/html"))


def test_a_program_that_asks_for_the_home_page_gets_the_name_and_version(world: World) -> None:
    assert world.browser()("GET", "/").json == world.browser()("GET", "/__version__").json


def test_the_sidebar_is_for_who_is_signed_in(world: World) -> None:
    answer = world.browser()("GET", "/sidebar", **HTML)
    assert answer.status_int == 303 and answer.headers["Location"].endswith("/login?next=%2Fsidebar")
    assert world.person(ANN)("GET", "/sidebar", **HTML).status_int == 200


def test_the_header_says_who_is_signed_in(world: World) -> None:
    assert names_in_header(world.browser(), "/") == ['href="/login', "Try every role"]
    assert names_in_header(world.person(ANN), "/") == [ANN, "Sign out", 'name="csrf"', 'href="/login', "Try every role"]
    assert names_in_header(world.person(ANN), "/nowhere") == [ANN, "Sign out", 'name="csrf"']


def test_what_is_for_developers_is_in_the_footer_except_on_their_pages(world: World) -> None:
    ann = world.person(ANN)
    assert "My applications" not in ann("GET", "/sidebar", **HTML).text.partition("<main")[0]
    assert "My applications" in ann("GET", "/myapps", **HTML).text.partition("<main")[0]
    assert 'href="/myapps">For developers' in ann("GET", "/sidebar", **HTML).text.partition("</main>")[2]


def test_every_page_names_the_operator_with_their_links(make_world: Callable[..., World]) -> None:
    operator = {"operator": "Example & Co", "privacy_url": "https://example.org/privacy", "contact": "help@example.org"}
    world = make_world(**{f"pages__{key}": value for key, value in operator.items()})
    for path in ("/", "/login", "/nowhere"):
        text = world.browser()("GET", path, **HTML).text
        assert (
            "Run by Example &amp; Co" in text and 'href="https://example.org/privacy"' in text and 'href="mailto:help@example.org"' in text
        )


def test_a_session_that_is_over_is_nobodys(world: World) -> None:
    ann = world.person(ANN)
    world.clock.advance(43_201)
    assert ANN not in ann("GET", "/", **HTML).text


def test_a_page_comes_also_while_the_directory_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, asked = world.person(ANN), []

    def away(*_: object) -> None:
        asked.append(1)
        raise BackendUnavailable

    monkeypatch.setattr(world.registry.backends.directory, "session", away)
    assert ann("GET", "/", **HTML).status_int == 200
    answer = ann("GET", "/sidebar", **HTML)
    assert (answer.status_int, ANN in answer.text, len(asked)) == (503, False, 2), "it was not asked again to say that it is away"


def test_files_are_looked_at_again_each_time(world: World) -> None:
    browser = world.browser()
    for name in ("style.css", "page.js", "icon.svg", "presence.js"):
        answer = browser("GET", f"/static/{name}")
        assert (answer.status_int, answer.headers["Cache-Control"]) == (200, "public, no-cache"), name
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        again = browser("GET", f"/static/{name}", If_Modified_Since=answer.headers["Last-Modified"])
        assert (again.status_int, again.body) == (304, b"")


def test_only_the_client_is_for_pages_of_other_origins(world: World) -> None:
    allowed = {}
    client = [path.name for path in (Path(views.__file__).parents[1] / "static").glob("presence*.js")]
    for name in (*client, "page.js", "shared-device.js", "style.css"):
        headers = world.browser()("GET", f"/static/{name}").headers
        allowed[name] = headers.get("Access-Control-Allow-Origin"), headers.get("Cross-Origin-Resource-Policy")
    others = ["page.js", "shared-device.js", "style.css"]
    assert allowed == {**dict.fromkeys(client, ("*", "cross-origin")), **dict.fromkeys(others, (None, "same-origin"))}
    assert "presence.js" in client and len(client) > 1, "the parts it imports are as free"


@pytest.mark.parametrize("path", ["/static/", "/static/nothing.js", "/static/..%2Fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd"])
def test_nothing_else_is_served(world: World, path: str) -> None:
    assert refusal(world.browser()("GET", path)) == (404, ko(111, "there is no such path"))


def test_a_page_that_was_opened_before_somebody_else_signed_in_reads_nothing_of_theirs(world: World) -> None:
    browser = world.person(ANN)
    old = browser.csrf or ""
    browser.csrf = browser("POST", "/login", {"assertion": world.assertion("bob@example.org")}).json["csrf"]
    for path in ("/devices", "/grants", "/account", "/myapps"):
        assert browser("GET", path).status_int == 200
        assert refusal(browser("GET", path, X_CSRF_Token=old))[0] == 403
    browser.csrf = None
    assert browser("GET", "/grants").status_int == 200, "who reads needs none"


@pytest.mark.parametrize("path", ["/\xff", "/grant/\xff", "/static/\xff"])
def test_a_path_that_is_no_text_is_a_page_that_is_not_there(world: World, path: str) -> None:
    request = Request.blank("/", {"PATH_INFO": path}, headers=HTML)
    answer = request.get_response(world.browser().web.app)
    assert (answer.status_int, answer.content_type) == (404, "text/html")
    assert "Page not found" in answer.text and 'href="/login"' in answer.text


def test_who_asks_only_for_the_header_of_a_page_is_led_the_same_way(world: World) -> None:
    answer = world.browser()("HEAD", "/sidebar", **HTML)
    assert answer.status_int == 303 and answer.headers["Location"].endswith("/login?next=%2Fsidebar")
