"""The grant page in a browser, by clicking: the whole way, and what a developer wrote is text (sections 2 and 6)."""

from __future__ import annotations

import pytest

from .conftest import Scene
from .support import Browser, query

pytestmark = pytest.mark.browser

MARKUP = "<script>document['title']=1</script><img src=x onerror=pwn()>"
ATTRIBUTE = '"onmouseover="pwn()" \'onfocus=pwn() autofocus tabindex=1 {{7*7}}'


@pytest.fixture(autouse=True)
def back(scene: Scene) -> None:
    scene.site.pages["/back"] = "<title>Chess</title>Welcome back"
    scene.site.seen.clear()


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


def test_denying_leads_back_with_denied_and_grants_nothing(browser: Browser, scene: Scene) -> None:
    application = scene.application()
    browser.open(scene.asking(application))
    browser.sign_in("bob@example.org")
    browser.click("Deny")
    browser.wait(lambda it: it.title == "Chess")
    assert query(browser.url) == {"game": "7", "Presence-Error": "denied"}
    assert scene.granted("bob@example.org") == []
    assert browser.console() == []


def test_the_application_learns_nothing_from_the_referrer(browser: Browser, scene: Scene) -> None:
    browser.open(scene.asking(scene.application()))
    browser.sign_in("cyd@example.org")
    browser.click("Deny")
    browser.wait(lambda it: it.title == "Chess")
    assert browser.run("return document.referrer") == ""


@pytest.mark.parametrize("text", [MARKUP, ATTRIBUTE])
def test_markup_in_a_name_or_description_is_text_and_no_script_runs(browser: Browser, scene: Scene, text: str) -> None:
    browser.open(scene.asking(scene.application(name=text[:64], description=text)))
    browser.sign_in("dan@example.org")
    shown = browser.text()
    assert text[:64] in shown and text in shown
    assert "49" not in shown
    assert browser.count("script") == browser.count("img") == browser.count("[onmouseover], [onfocus], [autofocus]") == 0
    assert browser.title == f"{scene.site.domain} asks to see you"
    assert browser.console() == [], "nothing even had to be refused by the policy"


def test_the_policy_would_stop_what_came_through_all_the_same(browser: Browser, scene: Scene) -> None:
    scene.evil.seen.clear()
    browser.open(scene.asking(scene.application()))
    browser.sign_in("eve@example.org")
    for sink in ("document.body.innerHTML = '<b>x</b>'", "document.createElement('script').text = 'x'", "setTimeout('x')"):
        assert browser.run(f"try {{ {sink} }} catch (error) {{ return error.name }}") == "TypeError", sink
    browser.console()
    browser.run(f"const i = new Image(); i.src = '{scene.evil.origin}/x'; document.body.append(i)")
    browser.wait(lambda it: any("Content Security Policy" in line for line in it.console()))
    assert "/x" not in scene.evil.seen
