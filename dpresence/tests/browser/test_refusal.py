"""A websocket that does not open: presence.js asks the service why, and the page says so (docs/protocol.md, section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from dpresence.demo import free_port
from dpresence.tests.live.clients import Device, Person
from dpresence.tests.live.proxies import installed, nginx
from dpresence.tests.live.service import Process
from dpresence.tests.live.warm import WarmService, running

from .conftest import Scene, Steps
from .support import Browser
from .test_presence_js import connect

PROXY = "a proxy on the way has to pass Upgrade and Connection on"
FAIL = "for (let n = 0; n < %d; n++) { await end(1006); if (channel.state.state === 'waiting') await pass(channel.state.seconds); }"


def test_the_first_failure_may_be_chance_and_the_service_is_asked_ever_more_rarely(steps: Steps) -> None:
    script = f"proofs.push('A'); channel.start(); await settle(); {FAIL % 17} return [fetched, states.at(-1).state]"
    fetched, _ = steps(script)
    assert fetched == ["http://x/presence?origin=https%3A%2F%2Fpage.example"] * 4, "after 2, 4, 8 and 16"


def test_an_origin_that_is_not_allowed_ends_it_in_the_words_of_the_service(steps: Steps) -> None:
    script = f"""
        answers.push({{result: "KO", errno: 121, error: "Origin x: not in channels.origins"}});
        proofs.push("A"); channel.start(); await settle(); {FAIL % 2} await pass(99); return [channel.state, sockets.length, timers()];
    """
    state = {"state": "stopped", "code": 1006, "reason": "Origin x: not in channels.origins", "errno": 121}
    assert steps(script) == [state, 2, 0]


def test_a_proxy_that_drops_the_upgrade_is_named_while_it_goes_on_trying(steps: Steps) -> None:
    script = f"""
        answers.push({{result: "KO", errno: 108, error: "Upgrade: websocket is missing"}});
        proofs.push("A"); channel.start(); await settle(); await end(1006); const first = channel.state.reason;
        await pass(channel.state.seconds); await end(1006); const {{state, errno, reason}} = channel.state;
        await pass(9); await end(1006); const still = channel.state.reason; await pass(10); await signed();
        await end(1006); return [first, state, errno, reason.includes("{PROXY}"), reason === still, channel.state.reason];
    """
    lost = "the connection was lost"
    assert steps(script) == [lost, "waiting", 108, True, True, lost]


def test_the_wait_that_the_service_asks_for_is_obeyed_though_a_browser_hides_it(steps: Steps) -> None:
    script = f"""
        answers.push({{result: "KO", errno: 201, error: "too many new channels", retry_after: 40}});
        proofs.push("A"); channel.start(); await settle(); {FAIL % 1} await end(1006);
        const {{seconds, reason}} = channel.state; await pass(39); const early = sockets.length; await pass(6);
        return [seconds > 40, reason, early, sockets.length];
    """
    assert steps(script) == [True, "too many new channels", 2, 3]


def test_the_times_that_a_full_service_assigns_are_kept_without_a_longer_backoff(steps: Steps) -> None:
    script = f"""
        for (const wait of [4, 9, 2]) answers.push({{errno: 201, error: "too many new channels", retry_after: wait}});
        proofs.push("A"); channel.start(); await settle(); {FAIL % 1}
        const waits = [];
        for (const wait of [4, 9, 2]) {{
          await end(1006); waits.push(channel.state.seconds);
          await pass(wait - 0.1); await back(); waits.push(channel.state.state); await pass(0.6);
        }}
        return [waits, sockets.length, fetched.length];
    """
    assert steps(script) == [[5, "waiting", 10, "waiting", 3, "waiting"], 5, 3]


def test_a_client_stopped_while_it_asked_stays_stopped(steps: Steps) -> None:
    script = f"""
        proofs.push("A"); channel.start(); await settle(); {FAIL % 1}
        answers.push({{errno: 108}}); last().onclose({{code: 1006}}); channel.stop(); await pass(99);
        return [channel.state.reason, timers()];
    """
    assert steps(script) == ["stopped", 0]


# -- the service


@pytest.mark.slow
def test_the_service_says_without_an_upgrade_what_a_handshake_would_be_refused_with(tmp_path: Path) -> None:
    with running(tmp_path, channels__unsigned_per_address=1, channels__origins="https://pages.example") as service:

        def ask(**options: Any) -> tuple[int, int, str]:
            answer = requests.get(f"{service.origin}/presence", timeout=10, **options)
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            return answer.status_code, answer.json()["errno"], answer.json()["error"]

        refused = "Origin https://evil.example: neither identity.audience nor in channels.origins"
        assert ask(params={"origin": "https://evil.example"}) == (403, 121, refused)
        assert ask(headers={"Origin": "https://evil.example"}) == (403, 121, refused)
        for allowed in ({}, {"params": {"origin": "https://pages.example"}}, {"params": {"origin": service.origin}}):
            assert ask(**allowed)[:2] == (400, 108)
        with Device(Person(service.origin, "vic@example.org")):
            assert ask()[:2] == (429, 117)


# -- in a browser


@pytest.mark.slow
@pytest.mark.browser
def test_a_page_of_another_origin_may_import_it_and_learns_which_setting_lets_it_connect(browser: Browser, scene: Scene) -> None:
    scene.site.pages["/client"] = "<!doctype html><title>client</title>"
    browser.open(f"{scene.site.origin}/client")
    connect(browser, Person(scene.service.origin, "quinn@example.org"))
    browser.wait(lambda it: it.run("return channel.state.state") == "stopped")
    reason = browser.run("return channel.state.reason")
    assert reason == f"Origin {scene.site.origin}: neither identity.audience nor in channels.origins"
    browser.open("about:blank")
    browser.assert_quiet("WebSocket connection to", "403")


SITE = """
server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{service}; proxy_set_header Host $http_host; }}
}}
"""


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[str]:
    """A service behind nginx that does not pass Upgrade on."""
    installed("nginx")
    port = free_port()
    service = WarmService(tmp_path, {"identity.audience": f"http://127.0.0.1:{port}"})
    service.start()
    proxy = Process(nginx(tmp_path, SITE.format(port=port, service=service.port)), tmp_path / "proxy.log", port)
    proxy.start()
    yield f"http://127.0.0.1:{port}"
    proxy.kill()
    service.kill()


@pytest.mark.slow
@pytest.mark.browser
def test_behind_a_proxy_that_does_not_pass_upgrade_the_page_says_so(browser: Browser, behind: str) -> None:
    browser.enter(behind, "ugo@example.org", "/sidebar")
    browser.wait(lambda it: it.find("#connection").text == "Connection blocked")
    assert "Your network blocks the connection that this page needs" in browser.text()
    browser.open("about:blank")
    browser.assert_quiet("WebSocket connection to", "400")
