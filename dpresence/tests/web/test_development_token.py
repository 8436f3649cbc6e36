"""The development token: without it nobody gets an assertion, wherever the call seems to come from (section 8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest

from dpresence.errors import SettingError
from dpresence.tests.support import DEVELOPMENT_TOKEN, WITH_TOKEN
from dpresence.tests.web.support import HOST, Browser, World, ko, refusal

BODY = {"email": "admin@example.org"}
HTML = {"Accept": "text/html"}
COOKIE = "dpresence-development-8282"
WRONG = ["", "x", DEVELOPMENT_TOKEN[:-1], DEVELOPMENT_TOKEN + "x", DEVELOPMENT_TOKEN.upper(), "\xe4" * 20]


def wrong(name: str) -> tuple[int, object]:
    return 403, ko(
        121,
        f"{name}: must be the development token, which is in development.token beside the ini. "
        "In a browser, open the link with ?token= that the service printed when it started",
    )


@pytest.fixture(scope="module")
def visitor(shared: World) -> Browser:
    """A browser in which the link of the start was opened."""
    browser = shared.browser()
    browser("GET", f"/?token={DEVELOPMENT_TOKEN}", **HTML)
    return browser


@pytest.mark.parametrize("token", [None, *WRONG])
def test_a_program_without_the_token_is_informed_where_it_is(shared: World, token: str | None) -> None:
    header = {} if token is None else {"X-Development-Token": token}
    assert refusal(shared.browser()("POST", "/__dev__/assertion", BODY, **header)) == wrong("X-Development-Token")


@pytest.mark.parametrize("name", ["dpresence-development-8283", "dpresence", "dpresence-development"])
def test_a_cookie_of_another_name_is_no_token(shared: World, name: str) -> None:
    browser = shared.browser()
    browser.web.set_cookie(name, DEVELOPMENT_TOKEN)
    assert refusal(browser("POST", "/__dev__/assertion", BODY)) == wrong("X-Development-Token")


def test_the_link_leaves_a_cookie_and_leads_to_the_address_without_the_token(shared: World) -> None:
    browser = shared.browser()
    answer = browser("GET", f"/?token={DEVELOPMENT_TOKEN}", **HTML)
    assert (answer.status_int, answer.headers["Location"]) == (303, f"http://{HOST}/")
    assert re.fullmatch(rf"{COOKIE}={DEVELOPMENT_TOKEN}; Path=/; HttpOnly; SameSite=Lax", answer.headers["Set-Cookie"])
    assert set(browser("POST", "/__dev__/assertion", BODY).json) == {"assertion"}


def test_a_header_that_is_wrong_is_not_mended_by_a_cookie(visitor: Browser) -> None:
    answer = visitor("POST", "/__dev__/assertion", BODY, X_Development_Token="another")
    assert refusal(answer) == wrong("X-Development-Token")


@pytest.mark.parametrize("token", WRONG)
def test_a_link_with_another_token_leaves_no_cookie(shared: World, token: str) -> None:
    answer = shared.browser()("GET", f"/?token={quote(token)}")
    assert refusal(answer) == wrong("token") and "Set-Cookie" not in answer.headers
    page = shared.browser()("GET", f"/?token={quote(token)}", **HTML)
    assert page.status_int == 403 and "This link has expired" in page.text
    assert DEVELOPMENT_TOKEN not in page.text


@pytest.mark.parametrize(("address", "headers"), [("192.0.2.1", {}), ("127.0.0.1", {"X_Forwarded_For": "192.0.2.1"})])
def test_the_link_is_unknown_to_who_is_elsewhere(shared: World, address: str, headers: dict[str, str]) -> None:
    answer = shared.browser(address)("GET", f"/?token={DEVELOPMENT_TOKEN}", **headers)
    assert refusal(answer) == (404, ko(111, "there is no such path")) and "Set-Cookie" not in answer.headers


def test_the_link_under_another_name_of_this_machine_leads_to_the_audience(shared: World) -> None:
    browser = shared.browser()
    browser.web.extra_environ["HTTP_HOST"] = "localhost:8282"
    answer = browser("GET", f"/?token={DEVELOPMENT_TOKEN}", **HTML)
    assert (answer.status_int, answer.headers["Location"]) == (307, f"http://{HOST}/?token={DEVELOPMENT_TOKEN}")
    assert "Set-Cookie" not in answer.headers
    assert refusal(browser("GET", f"/?token={DEVELOPMENT_TOKEN}")) == (403, ko(121, f"Host: this is http://{HOST}"))


def test_the_sign_in_page_says_what_is_missing_until_the_link_was_opened(shared: World, visitor: Browser) -> None:
    assert "<code>development.token</code>" in shared.browser()("GET", "/login", **HTML).text
    assert "development.token" not in visitor("GET", "/login", **HTML).text
    visitor("POST", "/login", {"assertion": shared.assertion("ann@example.org")})
    for path in ("/", "/login", "/sidebar", "/nowhere"):
        assert DEVELOPMENT_TOKEN not in visitor("GET", path, **HTML).text


def test_every_start_has_a_token_of_its_own(make_world: Callable[..., World]) -> None:
    first, second = (make_world(identity__development_token="") for _ in range(2))
    tokens = {world.registry.development_token.value for world in (first, second)}
    assert len(tokens) == 2 and all(len(token) >= 43 for token in tokens)
    assert refusal(first.browser()("POST", "/__dev__/assertion", BODY, **WITH_TOKEN)) == wrong("X-Development-Token")


@pytest.mark.parametrize("token", ["short", "x" * 15, "x" * 129, "with space in it.", "\xe4" * 20, "semi;colon-semi;colon"])
def test_a_token_that_could_be_guessed_or_is_no_cookie_stops_the_start(make_world: Callable[..., World], token: str) -> None:
    with pytest.raises(SettingError, match=r"identity\.development_token.*must be 16 to 128 of A-Z a-z 0-9 _ -, or empty"):
        make_world(identity__development_token=token)


def test_in_production_there_is_no_token(make_world: Callable[..., World]) -> None:
    world = make_world(identity__development="false", outbound__allow_loopback="false")
    assert world.registry.development_token is None
    answer = world.browser()("GET", f"/?token={DEVELOPMENT_TOKEN}", **HTML)
    assert answer.status_int == 200 and "Set-Cookie" not in answer.headers
