"""The operator's page in a browser: it moves by itself, says what is wrong, and anybody can read it (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from dpresence.tests.contract.redis import RedisServer
from dpresence.tests.contract.redis import running as running_redis
from dpresence.tests.live.clients import Person, activate
from dpresence.tests.live.service import Service, Site
from dpresence.tests.live.warm import running

from .accessibility import Axe
from .support import Browser

pytestmark = pytest.mark.browser

ADMIN, ANN = "admin@example.org", "ann@example.org"


@dataclass
class Stage:
    """A service with an operator, and a backend that can be taken away from it."""

    service: Service
    redis: RedisServer


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("admin")
    volatile = {"mailbox__redis__allow_volatile": "true"}
    with (
        running_redis() as redis,
        running(folder, admin__emails=ADMIN, mailbox="redis", redis__url=redis.url, presence__sweep_seconds=1, **volatile) as service,
    ):
        yield Stage(service, redis)


@pytest.fixture
def admin(browser: Browser, stage: Stage) -> Browser:
    """The page as an operator has opened it, with its first figures."""
    browser.enter(stage.service.origin, ADMIN, "/admin")
    browser.wait(lambda it: it.find("#state").text == "All backends answer")
    return browser


def figure(browser: Browser, name: str) -> str:
    return browser.find(f"#{name}").text


@pytest.mark.slow
def test_the_figures_move_when_a_device_and_an_app_service_come_and_go(admin: Browser, stage: Stage) -> None:
    assert [figure(admin, name) for name in ("devices", "users", "applications")] == ["0", "0", "0"]
    ann = Person(stage.service.origin, ANN)
    with Site() as site, ann.device() as device:
        application = activate(stage.service.origin, site)
        ann.grant(application)
        with application.service():
            admin.wait(lambda it: [figure(it, name) for name in ("devices", "users", "applications")] == ["1", "1", "1"])
            for status in ("unavailable", "online", "unavailable"):
                device.say(status)
            requests.get(f"{stage.service.origin}/devices", timeout=5)  # 104
            # the three updates may be in two minutes
            admin.wait(lambda it: it.find("#figure-updates figcaption").text.endswith((", peak 2", ", peak 3")))
            admin.wait(lambda it: "104 credentials are missing" in it.find("#errors").text)
            admin.wait(lambda it: f"application activated {site.domain}" in it.find("#events").text)
            assert "M59.00,24v-24h" in str(admin.find("#figure-devices path").get_attribute("d"))
    admin.wait(lambda it: [figure(it, name) for name in ("devices", "users", "applications")] == ["0", "0", "0"])
    admin.wait(lambda it: it.count("#closes tbody tr") > 0)
    admin.assert_quiet()


@pytest.mark.slow
def test_the_page_is_usable_by_everybody(admin: Browser, stage: Stage, axe: Axe) -> None:
    with Person(stage.service.origin, ANN).device():
        admin.wait(lambda it: figure(it, "devices") == "1")
        admin.run("document.getElementById('table').open = true")
        axe.check(admin, "admin")
    admin.assert_quiet()


def test_the_plots_have_the_same_in_words_and_in_a_table(admin: Browser) -> None:
    assert admin.count("#plots svg[role=img][aria-labelledby]") == 3
    for plot in ("devices", "updates", "errors"):
        assert admin.run(
            f"return document.getElementById(document.querySelector('#figure-{plot} svg').getAttribute('aria-labelledby')).innerText"
        )
    assert admin.count("#table thead th") == 7


@pytest.mark.slow
def test_a_backend_that_is_away_is_shown_until_it_is_back(admin: Browser, stage: Stage) -> None:
    stage.redis.kill()
    admin.wait(lambda it: it.find("#state").text == "Not answering: mailbox")
    assert "mailbox does not answer" in admin.find("#health").text.replace("\n", " ")
    assert "mailbox unavailable" in admin.find("#events").text
    stage.redis.start()
    admin.wait(lambda it: it.find("#state").text == "All backends answer")
    admin.assert_quiet()


@pytest.mark.slow
def test_figures_that_could_not_be_read_again_are_called_old(admin: Browser) -> None:
    admin.wait(lambda it: it.find("#devices").text != "\u2013")
    admin.run("window.fetch = async () => { throw new TypeError('gone') }")
    admin.wait(lambda it: it.find("#state").text == "The service cannot be reached. These figures are out of date. Trying again …")


@pytest.mark.slow
def test_nobody_reads_the_figures_for_a_page_that_nobody_sees(admin: Browser) -> None:
    count = "return performance.getEntriesByType('resource').filter((entry) => entry.name.endsWith('/admin/figures')).length"
    admin.wait(lambda it: it.run(count) >= 2)
    hide = (
        "Object.defineProperty(document, 'hidden', {value: %s, configurable: true}); document.dispatchEvent(new Event('visibilitychange'))"
    )
    admin.run(hide % "true")
    admin.run("performance.clearResourceTimings()")
    admin.run("window.waited = false; setTimeout(() => (window.waited = true), 3000)")
    admin.wait(lambda it: it.run("return window.waited"))
    assert admin.run(count) <= 1  # one may have been under way
    admin.run("performance.clearResourceTimings()")
    admin.run(hide % "false")
    admin.wait(lambda it: it.run(count) >= 2)


@pytest.mark.slow
def test_an_operator_who_is_signed_out_is_asked_to_sign_in_and_comes_back(admin: Browser, stage: Stage) -> None:
    admin.forget()
    admin.open(f"{stage.service.origin}/admin")
    admin.sign_in(ADMIN)
    admin.wait(lambda it: it.url == f"{stage.service.origin}/admin" and it.find("#state").text == "All backends answer")
    admin.run("fetch('/logout', {method: 'POST', headers: {'X-CSRF-Token': document.querySelector('meta[name=csrf]').content}})")
    admin.wait(lambda it: "/login?next=%2Fadmin" in it.url)
    admin.assert_quiet("401")


@pytest.mark.slow
def test_a_person_who_is_no_operator_is_informed(browser: Browser, stage: Stage, axe: Axe) -> None:
    browser.enter(stage.service.origin, ANN, "/admin")
    assert "This page is for the operator" in browser.text()
    assert browser.count("nav a[href='/admin']") == 0
    axe.check(browser, "admin-refused")
    browser.assert_quiet("403")


def test_looking_is_in_the_log(admin: Browser, stage: Stage) -> None:
    lines = [line for line in stage.service.log().splitlines() if " dpresence.admin " in line]
    assert lines and lines[-1].endswith("INFO dpresence.admin admin@example.org opened /admin")
