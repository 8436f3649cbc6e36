"""A page of another origin can do nothing in the name of a signed-in user (section 2).

``127.0.0.1`` with another port is another origin, but the same site: there the cookie comes along, whatever its SameSite says.
"""

from __future__ import annotations

import pytest

from .conftest import Scene
from .support import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HOSTS = ["127.0.0.1", "localhost"]


def visit(browser: Browser, scene: Scene, host: str, page: str) -> None:
    """Open a page on somebody else's site."""
    scene.evil.pages["/"] = f"<!doctype html><title>waiting</title>{page}"
    browser.open(f"{scene.evil.under(host)}/")


@pytest.fixture
def asked(browser: Browser, scene: Scene) -> str:
    """The grant page's path, which mal@example.org has open in the browser and has not answered."""
    scene.site.pages["/back"] = "<title>Chess</title>Welcome back"
    url = scene.asking(scene.application())
    browser.enter(scene.service.origin, "mal@example.org", url.removeprefix(scene.service.origin))
    assert browser.count("button[name=allow]") == 1
    return url


def test_the_grant_page_cannot_be_framed(browser: Browser, scene: Scene, asked: str) -> None:
    for host in HOSTS:
        visit(browser, scene, host, f'<iframe src="{asked}" onload="document.title=1"></iframe>')
        browser.wait(lambda it: it.title == "1")
        assert browser.count_in_frame("[name=csrf], button[name=allow], .banner") == 0, host
        assert any("frame" in line and "127.0.0.1" in line for line in browser.console()), host


def test_a_form_elsewhere_grants_nothing(browser: Browser, scene: Scene, asked: str) -> None:
    action = asked.partition("?")[0]
    form = f"<form method=post action={action}><input name=allow value=1><input name=redirect value={scene.site.origin}/back></form>"
    submit = "<script>document.forms[0].submit()</script>"
    frame = f"{form}{submit}".replace("<form ", "<form target=_top ")
    sandboxed = f"<iframe sandbox='allow-forms allow-scripts allow-top-navigation' srcdoc='{frame}'></iframe>"  # its origin is "null"
    for host in HOSTS:
        for page in (form + submit, sandboxed):
            visit(browser, scene, host, page)
            browser.wait(lambda it: it.url == action)
            words = browser.text().lower()
            assert "not a page of this service" in words or "sign" in words or "credentials" in words, (host, page)
            assert scene.granted("mal@example.org") == [], (host, page)


FETCH = """<script>
(async () => {
  let said = [];
  for (const [method, path, type] of %s) {
    try {
      const answer = await fetch("%s" + path, {
        method, credentials: "include", mode: type ? "no-cors" : "cors", headers: type ? {"Content-Type": type} : {"X-CSRF-Token": "x"},
        body: method == "GET" ? undefined : type == "text/plain" ? "{}" : "allow=1&redirect=%s/back"});
      said.push(answer.type == "opaque" ? "opaque" : await answer.text());
    } catch (error) { said.push(error.name); }
  }
  document.title = said.join();
})();
</script>"""


def test_a_script_elsewhere_neither_changes_nor_reads_anything(browser: Browser, scene: Scene, asked: str) -> None:
    path = asked.partition("?")[0].removeprefix(scene.service.origin)
    calls = [
        ["POST", path, "application/x-www-form-urlencoded"],
        ["POST", path, "text/plain"],
        ["POST", path, ""],
        ["POST", "/ticket", "text/plain"],
        ["GET", "/account", ""],
        ["POST", "/__dev__/assertion", "text/plain"],
        ["DELETE", "/account", ""],
    ]
    refused = ",".join(["TypeError"] * len(calls))
    for host in HOSTS:
        visit(browser, scene, host, FETCH % (calls, scene.service.origin, scene.site.origin))
        browser.wait(lambda it: it.title != "waiting")
        assert browser.title == refused, f"from {host}: not even an opaque answer: Cross-Origin-Resource-Policy"
        assert scene.granted("mal@example.org") == [], host
    browser.open(asked)
    assert browser.count("button[name=allow]") == 1, "the person is still there and signed in"


def test_a_script_elsewhere_opens_no_channel(browser: Browser, scene: Scene, asked: str) -> None:
    socket = f"new WebSocket('{scene.service.origin.replace('http', 'ws')}/presence')"
    for host in HOSTS:
        visit(browser, scene, host, f"<script>s = {socket}; s.onopen = s.onerror = (event) => document.title = event.type</script>")
        browser.wait(lambda it: it.title != "waiting")
        assert browser.title == "error", host
    browser.open(asked)
    browser.run(f"s = {socket}; s.onopen = s.onerror = (event) => document.title = event.type")
    browser.wait(lambda it: it.title in ("open", "error"))
    assert browser.title == "open", "a page of the service itself may"
