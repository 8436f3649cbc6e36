"""The pages in each language: nothing is left in English or wider than the window, and everybody can use them from right to left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver.support.ui import Select

from dpresence.views.catalogues import ENGLISH, catalogues

from .accessibility import AXE, CUT, TOO_WIDE
from .conftest import Scene
from .sidebar import Stage
from .support import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]

KIB = 1024
PAGE_BYTES = 100 * KIB
MAX_SHIFT = 0.1
"""Layout shift that people do not notice (web.dev, Cumulative Layout Shift)."""
TEXTS = """
    const texts = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const english = (node) => node.parentElement.closest("[lang=en], code, pre, script, option[lang]");
    while (walker.nextNode()) if (!english(walker.currentNode)) texts.push(walker.currentNode.data.trim());
    for (const shown of document.querySelectorAll("[aria-label]:not([lang=en] *)")) texts.push(shown.getAttribute("aria-label"));
    return [document.title, ...texts.filter(Boolean)];
"""
# A file that the browser has cached already counts as it was sent.
WEIGHT = """
    const files = performance.getEntriesByType("resource").filter(({name}) => new URL(name).pathname.startsWith("/static/"));
    const [page] = performance.getEntriesByType("navigation");
    return [page, ...files].reduce((sum, {encodedBodySize}) => sum + encodedBodySize, 0);
"""
SHIFTS = """
    const [done] = arguments;
    new PerformanceObserver((list) => done(list.getEntries().map(({value, sources}) => [value, sources.map(({node}) => node?.id)])))
      .observe({type: "layout-shift", buffered: true});
    setTimeout(() => done([]), 300);
"""
LARGE = """
    document.documentElement.style.fontSize = "200%";
    const {clientWidth: width} = document.documentElement, within = ({left, right}) => left >= -0.5 && right <= width + 0.5;
    const shown = (each) => each.checkVisibility() && !each.closest(".scroll, .skip, .visually-hidden");
    const wide = [...document.querySelectorAll("body *")].filter((each) => shown(each) && !within(each.getBoundingClientRect()));
    return wide.map(({tagName, className, textContent}) => `${tagName} ${className}: ${textContent.trim().slice(0, 40)}`);
"""
LANGUAGES = [language for language in catalogues() if language != ENGLISH]


def left_in_english(browser: Browser, language: str) -> set[str]:
    """Return the texts of the page that have another translation."""
    texts = catalogues()[language]
    return {text for text in browser.run(TEXTS) if str(texts.gettext(text)) != text}


@pytest.fixture
def chosen(stage: Stage) -> Iterator[Stage]:
    """A stage whose browser goes back to English, and to the sidebar, afterwards."""
    yield stage
    stage.browser.look()
    stage.browser.cdp("Network.deleteCookies", name="dpresence-language", url=stage.origin)


def speak(browser: Browser, origin: str, language: str) -> None:
    """Choose a language as the form does."""
    browser.cdp("Network.setCookie", name="dpresence-language", value=language, url=origin, httpOnly=True, sameSite="Lax")


@pytest.mark.parametrize("language", LANGUAGES)
def test_my_presence_has_no_english_text_and_fits(chosen: Stage, language: str) -> None:
    browser = chosen.browser
    chosen.service.notify({"puid": chosen.puid, "message": "12345"})
    speak(browser, chosen.origin, language)
    browser.open(f"{chosen.origin}/sidebar")
    connected = str(catalogues()[language].gettext("Connected"))
    browser.wait(lambda it: it.find("#connection").text == connected and it.count("#devices li") > 0 and it.count("#grants li") > 0)
    browser.wait(lambda it: it.count("#notifications li") > 0)
    shifts = browser.run_async(SHIFTS)
    assert sum(value for value, _ in shifts) < MAX_SHIFT, shifts
    browser.run("for (const each of document.querySelectorAll('details')) each.open = true; window.changed = true")
    assert left_in_english(browser, language) == set()
    assert 10 * KIB < browser.run(WEIGHT) < PAGE_BYTES
    browser.look(360)
    assert browser.run(CUT) == []
    browser.look(320)
    assert browser.run(TOO_WIDE) <= 0
    assert browser.run(LARGE) == [], "text at 200 %"
    browser.assert_quiet()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_other_pages_have_no_english_text_and_fit(browser: Browser, scene: Scene, language: str) -> None:
    origin, application = scene.service.origin, scene.application()
    browser.enter(origin, "lea@example.org", "/nowhere")
    speak(browser, origin, language)
    for path in ("/", "/login", "/pair", "/pair?answered=allowed", "/myapps", "/nowhere", scene.asking(application).removeprefix(origin)):
        browser.look()
        browser.open(origin + path)
        assert left_in_english(browser, language) == set(), path
        browser.look(320)
        assert browser.run(TOO_WIDE) <= 0, path
        assert browser.run(LARGE) == [], f"{path} with text at 200 %"


def test_arabic_is_chosen_in_the_footer_and_runs_from_right_to_left(browser: Browser, scene: Scene, axe_source: str) -> None:
    origin, application = scene.service.origin, scene.application(description="شطرنج")
    browser.enter(origin, "lea@example.org", "/pair")
    Select(browser.find("#language")).select_by_value("ar")
    browser.click("Change")
    browser.wait(lambda it: it.run("return document.dir") == "rtl")
    assert browser.url == f"{origin}/pair", "the page on which the language was chosen"
    for path in ("/sidebar", scene.asking(application).removeprefix(origin), "/login"):
        browser.look(320)
        browser.open(origin + path)
        browser.run(axe_source)
        passed, violations = browser.run_async(AXE)
        assert passed > 5 and violations == [], path
    Select(browser.find("#language")).select_by_value("")
    browser.click("تغيير")
    browser.wait(lambda it: it.run("return document.documentElement.lang") == "en")
    browser.assert_quiet()
