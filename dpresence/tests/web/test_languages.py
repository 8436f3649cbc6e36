"""The language of the pages: what the browser asks for, or what the person has chosen in the footer (docs/pages.md)."""

from __future__ import annotations

import json
import re

import pytest
from babel import Locale

from dpresence.tests.web.support import AUDIENCE, FORM, Browser, World, ko, refusal
from dpresence.views.catalogues import ENGLISH, catalogues
from dpresence.views.error_texts import ADMIN, ANYWHERE, GRANT, HOME, NOT_ADMITTED, OTHERS, SIGN_IN

HTML = {"Accept": "text/html"}
ANN = "ann@example.org"


def language_of(browser: Browser, asked: str) -> str:
    """Return the language of the page that a browser gets, as its header says, which its document repeats."""
    answer = browser("GET", "/login", **HTML, **{"Accept-Language": asked})
    language = answer.headers["Content-Language"]
    assert f'<html lang="{language}"' in answer.text and answer.headers["Vary"] == "Accept, Accept-Language, Cookie"
    return language


def test_a_page_is_in_the_language_that_the_browser_asks_for(world: World) -> None:
    asked = {
        "": "en",
        "de": "de",
        "de-AT, en;q=0.9": "de",
        "fr-CA;q=0.8, es-MX;q=0.9": "es",
        "it, ar;q=0.1": "ar",
        "de;q=0, fr": "fr",
        "zh": "en",
        "*": "en",
        ";;;=": "en",
        "en;q=0": "en",
        "it, *;q=0": "en",
        "en;q=0, fr;q=0.1": "fr",
    }
    assert {header: language_of(world.browser(), header) for header in asked} == asked


def test_a_browser_that_wants_no_language_of_the_pages_reads_refusals_too(world: World) -> None:
    assert world.browser()("GET", "/nowhere", **HTML, **{"Accept-Language": "*;q=0"}).status_int == 404


def choose(browser: Browser, language: str, **headers: str) -> str:
    """Choose a language as the form of the footer does; return where the browser goes."""
    answer = browser("POST", "/language", f"language={language}".encode(), **{"Content-Type": FORM, **headers})
    assert answer.status_int == 303
    return answer.headers["Location"].removeprefix(AUDIENCE)


def test_the_choice_is_kept_over_what_the_browser_asks_for_until_it_is_taken_back(world: World) -> None:
    browser = world.browser()
    choose(browser, "ar")
    assert language_of(browser, "de") == "ar"
    choose(browser, "en")
    assert language_of(browser, "de") == "en", "English can be chosen like any other"
    choose(browser, "")
    assert language_of(browser, "de") == "de"


def test_the_menu_shows_the_choice_and_not_what_the_browser_asks_for(world: World) -> None:
    def selected(browser: Browser) -> list[str]:
        return re.findall(r'<option value="(\w*)"[^>]* selected', browser("GET", "/", **HTML, **{"Accept-Language": "de"}).text)

    browser = world.browser()
    assert selected(browser) == [], "the first entry is the one that leaves it to the browser"
    choose(browser, "de")
    assert selected(browser) == ["de"]
    choose(browser, "")
    assert selected(browser) == []


def test_the_choice_leads_back_to_the_page_and_nowhere_else(world: World) -> None:
    browser = world.browser()
    assert choose(browser, "de", Referer=f"{AUDIENCE}/grant/abc?redirect=https%3A%2F%2Fx.example%2F") == (
        "/grant/abc?redirect=https%3A%2F%2Fx.example%2F"
    )
    for referer in ("https://evil.example/sidebar", f"{AUDIENCE}//evil.example/", f"{AUDIENCE}.evil.example/x", "", "//", "http://["):
        assert choose(browser, "de", Referer=referer) == "/", referer


def test_a_choice_that_is_none_or_comes_from_elsewhere_is_refused(world: World) -> None:
    def refused(body: str, **headers: str) -> tuple[int, object]:
        return refusal(world.browser()("POST", "/language", body.encode(), **{"Content-Type": FORM, **headers}))

    assert refused("language=tlh") == (400, ko(107, "language: empty or one of en, ar, de, es, fr"))
    assert refused("lang=de") == (400, ko(108, "language: is missing"))
    assert refused("language=de", Origin="https://evil.example") == (403, ko(121, "Origin: not a page of this service"))


def test_texts_of_scripts_are_sent_in_one_language_and_revalidated(world: World) -> None:
    answer = world.browser()("GET", "/static/texts-ar.js")
    assert (answer.content_type, answer.headers["Cache-Control"]) == ("text/javascript", "public, no-cache")
    texts, forms = json.loads("[" + re.fullmatch(r"import .*\ninstall\((.*)\);\n", answer.text)[1] + "]")  # type: ignore[index]
    assert texts["Connected"] == "تم الاتصال" and len(texts["%(num)s new"]) == 6 and "Skip to content" not in texts
    assert forms == {"zero": 0, "one": 1, "two": 2, "few": 3, "many": 4, "other": 5}
    again = world.browser()("GET", "/static/texts-ar.js", **{"If-None-Match": answer.headers["ETag"]})
    assert again.status_int == 304
    for name in ("en", "xx", "..%2Far"):
        assert world.browser()("GET", f"/static/texts-{name}.js").status_int == 404


def test_only_an_english_page_needs_no_texts(world: World) -> None:
    loaded = {
        language: re.findall(r'src="(/static/texts-[^"]*)"', world.browser()("GET", "/", **HTML, **{"Accept-Language": language}).text)
        for language in catalogues()
    }
    assert loaded == {language: [] if language == ENGLISH else [f"/static/texts-{language}.js"] for language in loaded}


def test_a_refusal_is_explained_in_the_language_and_quotes_the_service_in_english(world: World) -> None:
    text = world.browser()("GET", "/nowhere", **HTML, **{"Accept-Language": "de"}).text
    assert (
        "<h1>Seite nicht gefunden</h1>" in text and 'Details: <span lang="en" dir="ltr">there is no such path</span>. Fehler 111.' in text
    )
    assert refusal(world.browser()("GET", "/nowhere", **{"Accept-Language": "de"})) == (404, ko(111, "there is no such path"))


@pytest.mark.parametrize("language", [language for language in catalogues() if language != ENGLISH])
def test_every_explanation_is_translated(language: str) -> None:
    texts = catalogues()[language]
    known = [OTHERS, *(each for table in (ADMIN, ANYWHERE, GRANT, HOME, NOT_ADMITTED, SIGN_IN) for each in table.values())]
    for explanation in known:
        for text in (explanation.title, explanation.what, explanation.do, explanation.outcome):
            assert not text or texts.gettext(text) != text, text


@pytest.mark.parametrize("language", list(catalogues()))
def test_a_language_is_named_as_it_calls_itself(language: str) -> None:
    locale, texts = Locale.parse(language), catalogues()[language]
    assert (texts.name.casefold(), texts.direction) == (str(locale.language_name).casefold(), locale.text_direction)


def test_values_are_escaped_in_each_language(world: World) -> None:
    name = "<b>&co"
    for texts in catalogues().values():
        text = texts.gettext("Sign in with %(provider)s", provider=name)
        assert "&lt;b&gt;&amp;co" in text and "<b>" not in text


def test_forms_of_a_number_follow_the_language() -> None:
    ask = ("for %(num)s hour", "for %(num)s hours")
    arabic, french = catalogues()["ar"], catalogues()["fr"]
    assert [arabic.ngettext(*ask, n) for n in (1, 2, 4, 24)] == ["لمدة ساعة واحدة", "لمدة ساعتين", "لمدة 4 ساعات", "لمدة 24 ساعة"]
    assert [french.ngettext(*ask, n) for n in (0, 1, 2)] == ["pendant 0 heure", "pendant 1 heure", "pendant 2 heures"]
    assert catalogues()["en"].ngettext(*ask, 1) == "for 1 hour"


def test_a_date_is_written_as_in_the_language() -> None:
    days = {language: texts.day(1_764_374_400_000) for language, texts in catalogues().items()}
    assert days == {
        "en": "November 29, 2025",
        "ar": "29 نوفمبر 2025",
        "de": "29. November 2025",
        "es": "29 de noviembre de 2025",
        "fr": "29 novembre 2025",
    }


@pytest.mark.slow
def test_every_page_is_rendered_in_each_language(world: World) -> None:
    ann = world.person(ANN)
    dev = world.person("dev@example.org")
    appid = dev("POST", "/myapps", {"name": "Chess", "domain": "chess.example.org"}).json["appid"]
    pages = {"/": ann, "/login": ann, "/sidebar": ann, "/pair": ann, "/myapps": dev, f"/myapps/{appid}": dev, "/__api__/docs": ann}
    for language, texts in catalogues().items():
        for path, browser in pages.items():
            answer = browser("GET", path, **HTML, **{"Accept-Language": language})
            assert answer.status_int == 200 and texts.gettext("Skip to content") in answer.text
