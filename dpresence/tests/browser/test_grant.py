"""The grant page in a browser, by clicking: the whole way, and what a developer wrote is text (sections 2 and 6)."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from dpresence.tests.live.clients import Application, Person

from .accessibility import Axe
from .conftest import Scene
from .support import Browser, query

pytestmark = pytest.mark.browser

MARKUP = "<script>document['title']=1</script><img src=x onerror=pwn()>"
ATTRIBUTE = '"onmouseover="pwn()" \'onfocus=pwn() autofocus tabindex=1 {{7331*7331}}'


@pytest.fixture(autouse=True)
def back(scene: Scene) -> None:
    scene.site.pages["/back"] = "<title>Chess</title>Welcome back"
    scene.site.seen.clear()


def ask(browser: Browser, scene: Scene, application: Application, email: str) -> None:
    """Open the question of an application as somebody who has signed in."""
    browser.enter(scene.service.origin, email, scene.asking(application).removeprefix(scene.service.origin))


def test_allowing_leads_back_to_the_application_with_the_puid(browser: Browser, scene: Scene) -> None:
    application = scene.application()
    browser.open(scene.asking(application))
    browser.sign_in("ann@example.org")
    assert browser.text().count(application.domain) >= 2
    assert "Chess club" in browser.text() and "ann@example.org" in browser.text()
    browser.click("Allow")
    browser.wait(lambda it: it.title == "Chess")
    assert browser.url.startswith(f"{scene.site.origin}/back?")
    answer = query(browser.url)
    assert answer == {"game": "7", "Presence-UID": answer["Presence-UID"]}
    assert scene.granted("ann@example.org") == [application.appid]
    assert browser.console() == []


@pytest.mark.slow
def test_allowing_opens_what_keeps_the_person_reachable(browser: Browser, scene: Scene) -> None:
    application = scene.application()
    with application.service() as service:
        ask(browser, scene, application, "rea@example.org")
        assert "To be seen as online, keep My presence open" in browser.text()
        browser.click("Allow")
        browser.wait(lambda it: it.title == "Chess" and it.tabs == 2)
        puid = query(browser.url)["Presence-UID"]
        browser.wait(lambda _: (puid, "online", "explicit") in service.next_updates())
        browser.tab(1)
        browser.wait(lambda it: it.url == f"{scene.service.origin}/sidebar" and "Applications see you as online." in it.text())
        assert browser.run("return window.opener") is None, "the application's page cannot reach it"
        browser.wait(lambda it: f"You have allowed {application.domain} to see you." in it.find("#allowed").text)
        browser.click("Pause or revoke access")
        assert browser.run("return document.activeElement.textContent") == "Pause" and not browser.find("#allowed").is_displayed()
        service.assert_no_updates()


@pytest.mark.slow
def test_denying_tells_the_application_no_more_than_that(browser: Browser, scene: Scene) -> None:
    application = scene.application()
    ask(browser, scene, application, "bob@example.org")
    browser.click("Deny")
    browser.wait(lambda it: it.title == "Chess")
    assert query(browser.url) == {"game": "7", "Presence-Error": "denied"}
    assert scene.granted("bob@example.org") == []
    assert browser.run("return document.referrer") == ""
    assert browser.tabs == 1 and browser.console() == []


@pytest.mark.slow
def test_a_person_can_allow_without_opening_anything(browser: Browser, scene: Scene) -> None:
    ask(browser, scene, scene.application(), "ron@example.org")
    browser.click_on("#open")
    browser.click("Allow")
    browser.wait(lambda it: it.title == "Chess" and "Presence-UID" in it.url)
    assert browser.tabs == 1


@pytest.mark.slow
def test_a_person_who_is_connected_already_is_informed_and_nothing_is_opened(browser: Browser, scene: Scene) -> None:
    application, sal = scene.application(), Person(scene.service.origin, "sal@example.org")
    with sal.device("unavailable", device="phone") as phone:
        ask(browser, scene, application, sal.email)
        assert "You are connected now, and your status is unavailable." in browser.text() and browser.count("#open") == 0
        phone.ask(email=sal.email, status="offline")
        browser.open(scene.asking(application))
        assert "your status is offline" in browser.text()
        browser.click("Allow")
        browser.wait(lambda it: it.title == "Chess")
        assert browser.tabs == 1


@pytest.mark.slow
def test_the_question_says_that_quiet_hours_hide_the_person(browser: Browser, scene: Scene, axe: Axe) -> None:
    application, una = scene.application(), Person(scene.service.origin, "una@example.org")
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    una.call("PUT", "/hours", {"zone": "UTC", "weekly": [{"days": days, "from": "00:00", "to": "24:00"}]})
    with una.device("online", device="phone"):
        ask(browser, scene, application, una.email)
        assert f"until they end, {application.domain} will see you as offline, and its notifications wait." in browser.text()
        assert "your status is online" not in browser.text()
        axe.check(browser, "grant-quiet")
        browser.click("Allow")
        browser.wait(lambda it: it.title == "Chess")


@pytest.mark.slow
def test_a_person_who_allows_for_an_hour_is_told_when_the_access_ends(browser: Browser, scene: Scene) -> None:
    application = scene.application()
    ask(browser, scene, application, "ule@example.org")
    browser.click_on("#until [value=hour]")
    browser.click("Allow")
    browser.wait(lambda it: it.title == "Chess" and it.tabs == 2)
    browser.tab(1)
    browser.wait(lambda it: f"You have allowed {application.domain} to see you" in it.find("#allowed").text)
    assert "Its access ends on" in browser.find("#allowed").text


@pytest.mark.parametrize("text", [MARKUP, pytest.param(ATTRIBUTE, marks=pytest.mark.slow)])
def test_markup_in_a_name_or_description_is_text_and_no_script_runs(browser: Browser, scene: Scene, text: str) -> None:
    ask(browser, scene, scene.application(name=text[:64], description=text), "dan@example.org")
    shown = browser.text()
    assert text[:64] in shown and text in shown
    assert "53743561" not in shown, "the template engine evaluated the text"
    assert (
        browser.count("script:not([src])")
        == browser.count("main img")
        == browser.count("main :is([onmouseover], [onfocus], [autofocus])")
        == 0
    )
    assert browser.title == f"{scene.site.domain} wants to see when you're online"
    assert browser.console() == [], "nothing even had to be refused by the policy"


@pytest.mark.slow
def test_the_page_is_usable_by_everybody(browser: Browser, scene: Scene, axe: Axe) -> None:
    application = scene.application(description="Who is up for a game?")
    ask(browser, scene, application, "fay@example.org")
    assert browser.find("h1 strong").rect["height"] > browser.find("main bdi").rect["height"], "the domain is larger than the name"
    assert "never sees" in browser.text() and "your e-mail address" in browser.text()
    axe.check(browser, "grant")
    Person(scene.service.origin, "fay@example.org").grant(application)
    browser.open(scene.asking(application))
    assert "You have already allowed this, on" in browser.text() and browser.count("[name=deny]") == 0
    axe.check(browser, "grant-again")
    browser.click(f"Go back to {application.domain}")
    browser.wait(lambda it: it.title == "Chess")
    assert "Presence-UID" in query(browser.url)
    browser.assert_quiet()


def test_the_answer_is_in_the_first_view_on_a_phone(browser: Browser, scene: Scene) -> None:
    ask(browser, scene, scene.application(description="line\n" * 9), "gil@example.org")
    browser.look(360, height=640)
    assert browser.run("return document.querySelector('[name=allow]').getBoundingClientRect().bottom <= innerHeight")
    browser.look()


@pytest.mark.slow
def test_the_question_can_be_answered_by_keyboard(browser: Browser, scene: Scene) -> None:
    application = scene.application()
    ask(browser, scene, application, "gus@example.org")
    browser.run("document.getElementById('main').focus()")
    browser.press(Keys.TAB, Keys.ENTER)
    browser.wait(lambda it: it.title == "Chess")
    assert scene.granted("gus@example.org") == [application.appid]


@pytest.mark.slow
def test_a_person_signed_out_meanwhile_is_asked_again_and_gets_where_they_were_going(browser: Browser, scene: Scene, axe: Axe) -> None:
    application = scene.application()
    browser.open(scene.asking(application))
    browser.sign_in("hal@example.org")
    browser.run("return fetch('/logout', {method: 'POST', headers: {'X-CSRF-Token': document.querySelector('[name=csrf]').content}})")
    browser.click("Allow")
    browser.wait(lambda it: "You were signed out while the page was open" in it.text())
    assert "The application got no access." in browser.text() and application.appid not in scene.granted("hal@example.org")
    axe.check(browser, "error-signed-out")
    browser.click_on("main a.button")
    browser.sign_in("hal@example.org")
    browser.click("Allow")
    browser.wait(lambda it: it.title == "Chess")
    assert query(browser.url)["game"] == "7"
    browser.assert_quiet("401")


@pytest.mark.slow
def test_a_person_who_signed_in_anew_meanwhile_is_asked_again(browser: Browser, scene: Scene) -> None:
    application = scene.application()
    ask(browser, scene, application, "ida@example.org")
    browser.tab()
    browser.enter(scene.service.origin, "jon@example.org")
    browser.tab(0)
    browser.click("Allow")
    browser.wait(lambda it: "This request is out of date" in it.text())
    assert scene.granted("ida@example.org") == scene.granted("jon@example.org") == []
    browser.click_on("main a.button")
    browser.wait(lambda it: it.count("[name=allow]") == 1)
    assert "You are signed in as jon@example.org." in browser.text()
    browser.assert_quiet("403")


UNASKED = [
    ("nothing?redirect=x", "This application does not exist", 404),
    ("APPID?redirect=https%3A%2F%2Fevil.example.org", "This link is broken", 400),
    ("UNPROVEN?redirect=x", "This application cannot ask you yet", 403),
    ("APPID/nothing", "Page not found", 404),
]


@pytest.mark.slow
def test_a_question_that_cannot_be_asked_says_why(browser: Browser, scene: Scene, axe: Axe) -> None:
    application = scene.application()
    unproven = application.owner.call("POST", "/myapps", {"name": "Go", "domain": "go.example.org"})["appid"]
    browser.enter(scene.service.origin, "kim@example.org")
    for path, title, status in UNASKED:
        browser.open(f"{scene.service.origin}/grant/{path.replace('APPID', application.appid).replace('UNPROVEN', unproven)}")
        assert browser.find("h1").text == title and browser.count("[name=allow]") == 0, path
        axe.check(browser, f"error-{title.lower().replace(' ', '-')}")
        browser.assert_quiet(str(status))


def test_the_policy_would_stop_what_came_through_all_the_same(browser: Browser, scene: Scene) -> None:
    scene.evil.seen.clear()
    ask(browser, scene, scene.application(), "eve@example.org")
    for sink in ("document.body.innerHTML = '<b>x</b>'", "document.createElement('script').text = 'x'", "setTimeout('x')"):
        assert browser.run(f"try {{ {sink} }} catch (error) {{ return error.name }}") == "TypeError", sink
    policy = "try { trustedTypes.createPolicy('default', {createHTML: (text) => text}) } catch (error) { return error.name }"
    assert browser.run(policy) == "TypeError", "nor can a script allow itself to"
    browser.console()
    browser.run(f"const i = new Image(); i.src = '{scene.evil.origin}/x'; document.body.append(i)")
    browser.wait(lambda it: any("Content Security Policy" in line for line in it.console()))
    assert "/x" not in scene.evil.seen
