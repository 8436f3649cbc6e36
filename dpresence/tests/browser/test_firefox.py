"""Firefox: the main paths of the pages in one visit (sign in, allow, be seen, be notified, revoke), and the extension."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dpresence.tests.live.clients import Person

from .conftest import Scene, give_up
from .firefox import Firefox
from .support import query

pytestmark = [pytest.mark.browser, pytest.mark.slow]
EXTENSION_ID = "sidebar@dpresence.invalid"
EXTENSION_UUID = "7f4c0f5e-5c0e-4d0b-9d3a-3f6f1f0e7a11"


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        give_up("the tests in Firefox need it: apt-get install firefox-esr")
    with Firefox(str(program), tmp_path_factory.mktemp("firefox"), {EXTENSION_ID: EXTENSION_UUID}) as browser:
        yield browser


def test_a_person_signs_in_allows_an_application_is_seen_and_notified_and_revokes_in_firefox(firefox: Firefox, scene: Scene) -> None:
    scene.site.pages["/back"] = "<title>Chess</title>Welcome back"
    application = scene.application("Chess in Firefox")
    with application.service() as service:
        firefox.open(scene.asking(application))
        firefox.sign_in("fay@example.org")
        firefox.wait_for(application.domain, "Chess in Firefox")
        firefox.click("Allow")
        firefox.wait_for("Welcome back")
        puid = query(firefox.url)["Presence-UID"]

        firefox.open(f"{scene.service.origin}/sidebar")
        firefox.wait_for("Applications see you as online.")
        assert (puid, "online", "explicit") in service.next_updates(2)
        firefox.click("Unavailable")
        assert service.next_updates() == [(puid, "unavailable", "explicit")]
        firefox.wait_for("Applications see you as unavailable.")

        (sent,) = service.notify({"puid": puid, "message": "Your move"})
        assert sent["delivered"]
        firefox.wait(lambda it: "Your move" in it.text("#notifications") and it.text("#unread"))

        firefox.click(f"Revoke {application.domain}")
        firefox.wait(lambda it: it.text("dialog"))
        firefox.click_at({"type": "css", "value": "#question-yes"})
        assert service.next_updates() == [(puid, "offline", "revoked")]
        firefox.wait_for("No application can see you.")
    assert scene.granted("fay@example.org") == []


def test_the_extension_is_a_device_in_firefox(firefox: Firefox, scene: Scene, build_extension: Callable[[str], Path]) -> None:
    pages, origin = f"moz-extension://{EXTENSION_UUID}", scene.service.origin
    application = scene.application("Chess by Firefox")
    puid = Person(origin, "sid@example.org").grant(application)
    firefox.command("storage.deleteCookies")
    firefox.install(build_extension("") / "firefox")
    firefox.open(f"{pages}/options.html")
    permitted = "chrome.permissions.getAll().then((all) => all.origins)"
    assert firefox.run(permitted) == []
    firefox.write("#service", f"{origin}/")
    firefox.click("Connect")
    firefox.wait(lambda it: it.text("#code"))
    assert firefox.run(permitted) == ["http://127.0.0.1/*"]
    firefox.open(f"{origin}/pair?code={firefox.text('#code')}")
    firefox.sign_in("sid@example.org")
    firefox.wait_for("dpresence sidebar, Firefox on Linux")
    firefox.click("Connect")
    firefox.wait_for("The device is connected")

    with application.service() as service:
        firefox.open(f"{pages}/panel.html")
        firefox.wait(lambda it: (it.text("#state"), it.text("#connection")) == ("Online", "Connected"))
        firefox.click("Unavailable")
        firefox.wait(lambda _: service.next_updates() == [(puid, "unavailable", "explicit")])
        service.notify({"puid": puid, "message": "Your move"})
        firefox.wait(lambda it: "Your move" in it.text("#inbox"))
        firefox.wait(lambda it: it.run("chrome.action.getBadgeText({})") == "1")
