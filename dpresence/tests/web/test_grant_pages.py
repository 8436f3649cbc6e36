"""The page that asks for a permission, and the pages of refusals; programs get JSON (sections 4 and 7)."""

from __future__ import annotations

from html import unescape
from urllib.parse import quote

import pytest

from dpresence.errors import BackendUnavailable, errno_table
from dpresence.tests.web.html_pages import HTML, html
from dpresence.tests.web.support import App, Browser, World, ko, refusal
from dpresence.views import errors
from dpresence.views.error_texts import ADMIN, ANYWHERE, GRANT, OTHERS, SIGN_IN, explain

ANN, DEV = "ann@example.org", "dev@example.org"


def back(world: World) -> str:
    return f"redirect=http%3A%2F%2F{world.proof.domain}%2Fback"


def test_the_page_that_asks_says_what_was_allowed_already(world: World, app: App) -> None:
    ann, path = world.person(ANN), f"/grant/{app.id}?{back(world)}"
    asked = html(ann, path)
    assert 'name="allow"' in asked and 'name="deny"' in asked and "already" not in asked
    ann("POST", f"/grant/{app.id}")
    granted = html(ann, path)
    assert (
        "You have already allowed this, on November 22, 2026." in granted
        and 'name="deny"' not in granted
        and "You have paused it" not in granted
    )
    ann("PATCH", f"/grant/{app.id}", {"paused": True})
    assert "You have paused it" in html(ann, path)
    ann("DELETE", f"/grant/{app.id}")
    assert html(ann, path) == asked


def test_the_sign_in_page_names_the_application_that_sends_somebody(world: World, app: App) -> None:
    asked = html(world.browser(), f"/login?next=%2Fgrant%2F{app.id}%3F{back(world)}")
    assert f"<strong>{world.proof.domain}</strong> wants to see when you're online. Sign in to allow or deny it." in asked
    for path in ("/login", "/login?next=%2Fgrant%2Fnothing", f"/login?next=%2Fmyapps%2F{app.id}"):
        assert world.proof.domain not in html(world.browser(), path)


def test_every_way_the_question_can_fail_has_words_of_its_own(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = world.person(ANN)
    unproven = world.registered(app.owner)["appid"]
    path = f"/grant/{app.id}"
    assert "This application does not exist" in html(ann, f"/grant/nothing?{back(world)}", 404)
    assert "This application cannot ask you yet" in html(ann, f"/grant/{unproven}?{back(world)}", 403)
    assert "This link is broken" in html(ann, f"{path}?redirect=https%3A%2F%2Fevil.example.org", 400)
    app.owner("POST", f"/myapps/{app.id}/deactivate")
    assert "This application is not active" in html(ann, f"{path}?{back(world)}", 403)

    def away(*_: object) -> None:
        raise BackendUnavailable

    monkeypatch.setattr(world.registry.backends.directory, "application", away)
    answer = ann("GET", f"{path}?{back(world)}", **HTML)
    assert (answer.status_int, answer.headers["Retry-After"]) == (503, "5")
    assert (
        "The service is at fault" in unescape(answer.text) and "You can try again in 5 seconds." in answer.text and 'href=""' in answer.text
    )


LATE = {
    "signed in anew": (403, "This request is out of date", ""),
    "signed out": (401, "You were signed out while the page was open", "/login?next="),
    "ended": (401, "Your sign-in expired while the page was open", "/login?next="),
}


@pytest.mark.parametrize("how", LATE)
def test_an_answer_that_comes_too_late_grants_nothing_and_leads_back_to_the_question(world: World, app: App, how: str) -> None:
    ann = world.person(ANN)
    if how == "signed in anew":
        ann.csrf = "that of before"
    elif how == "signed out":
        ann.web.cookiejar.clear()
    else:
        world.clock.advance(43_200)
    redirect = f"http://{world.proof.domain}/back?a=1&b=2"
    answer = ann.form(f"/grant/{app.id}", {"allow": "1", "redirect": redirect}, **HTML)
    status, title, sign_in = LATE[how]
    question = f"/grant/{app.id}?redirect={quote(redirect, safe='')}"
    way = sign_in + quote(question, safe="") if sign_in else question
    assert (answer.status_int, answer.content_type) == (status, "text/html")
    assert title in answer.text and "The application got no access." in answer.text and f'href="{way}"' in answer.text
    assert world.person(ANN)("GET", "/grants").json == {"grants": []}


# -- refusals


def test_a_refusal_is_a_page_to_a_browser_and_json_to_a_program(shared_ann: Browser, shared: World) -> None:
    assert refusal(shared_ann("GET", "/nothing")) == (404, ko(111, "there is no such path"))
    shown = html(shared_ann, "/nothing", 404)
    assert "Page not found" in shown and 'href="/"' in shown and "Error 111" in shown
    assert "/nothing" not in shown, "what somebody sends is not shown back"
    assert "Page not found" in html(shared.browser(), "/nothing", 404)


def test_a_mistake_of_ours_is_a_page_with_a_number(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    dev = world.person(DEV)
    monkeypatch.setattr(world.services, "applications", None)
    monkeypatch.setattr(errors, "current_request", lambda: "c0ffee")
    shown = html(dev, "/myapps", 500)
    assert "Something went wrong" in shown and "c0ffee" in shown
    monkeypatch.undo()


def test_a_backend_that_is_away_is_a_page_that_says_when_to_try_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    dev = world.person(DEV)

    def away(*_: object) -> None:
        raise BackendUnavailable

    monkeypatch.setattr(world.registry.backends.directory, "session", away)
    answer = dev("GET", "/myapps", **HTML)
    assert (answer.status_int, answer.headers["Retry-After"]) == (503, "5")
    assert "This service cannot answer right now" in answer.text and "Try again" in answer.text


def test_the_words_are_for_errnos_there_are(world: World) -> None:
    for words in (ANYWHERE, GRANT, SIGN_IN, ADMIN):
        assert words.keys() <= errno_table().keys()
    for errno in errno_table():
        explanation = explain(errno)
        assert explanation.title and explanation.what and explanation.do
    assert explain(114) is OTHERS and explain(110, "grant") is GRANT[110] and explain(999, "grant") is ANYWHERE[999]
