"""A page that was asleep asks at once whether its connection is alive (docs/clients.md), without a browser and in one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from dpresence.tests.live.clients import Person

from .conftest import Scene, Steps
from .support import Browser

QUIET_SECONDS = 12
"""Much less than the 75 s that a silence takes without waking up."""


@pytest.mark.parametrize("event", ["online", "pageshow", "visibilitychange", "resume"])
def test_an_event_that_resumes_a_page_makes_it_ask_once_and_give_up_soon(steps: Steps, event: str) -> None:
    script = f"""
        proofs.push("A"); channel.start(); await signed(); await pass(7); await happen("{event}"); await happen("online");
        const sent = last().sent.length; await pass(4.9); const early = channel.state.state; await pass(0.2);
        return [sent, early, channel.state.reason, most()];
    """
    assert steps(script) == [2, "connected", "no answer", 1]


def test_a_page_that_is_hidden_does_not_ask(steps: Steps) -> None:
    script = """
        proofs.push("A"); channel.start(); await signed(); document.hidden = true; await happen("visibilitychange");
        return last().sent.length;
    """
    assert steps(script) == 1


def test_waking_again_and_again_does_not_put_off_the_end(steps: Steps) -> None:
    script = """
        proofs.push("A"); channel.start(); await signed();
        for (let n = 0; n < 6; n++) { await happen("visibilitychange"); await pass(1); }
        return [sockets[0].sent.length, sockets[0].code];
    """
    assert steps(script) == [2, 1000]


def test_a_clock_that_has_jumped_makes_it_ask(steps: Steps) -> None:
    script = """
        proofs.push("A"); channel.start(); await signed(); await pass(15); sleep(3600); const before = last().sent.length;
        await pass(6); const then = last().sent.length; await say({result: "OK", id: "status"}); await pass(30);
        return [before, then, last().sent.length, channel.state.state];
    """
    assert steps(script) == [1, 2, 2, "connected"]


def test_it_listens_for_nothing_after_it_was_stopped(steps: Steps) -> None:
    script = """
        proofs.push("A"); channel.start(); await signed(); channel.stop(); const sent = last().sent.length;
        for (const event of ["online", "pageshow", "visibilitychange", "resume"]) await happen(event);
        return [sockets.length, last().sent.length - sent];
    """
    assert steps(script) == [1, 0]


# -- in a browser, behind a proxy that forgets


class Forgetful:
    """A TCP proxy that can fall silent: connections stay open, and nothing passes any more."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._silent: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def forget(self) -> None:
        """Let nothing pass on the connections that are open now."""
        self._silent |= self._open

    def close(self) -> None:
        for one in (self._listening, *self._open):
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, server = self._listening.accept()[0], socket.create_connection(self._to)
                self._open |= {client, server}
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if source not in self._silent:
                    target.sendall(data)
            if source not in self._silent:
                target.shutdown(socket.SHUT_WR)


CONNECT = """
    const done = arguments[arguments.length - 1];
    import("/static/presence.js").then(({PresenceChannel}) => {
      window.channel = new PresenceChannel({email: "%s", device: "page", signIn: async () => "%s", url: "ws://127.0.0.1:%d/presence"});
      window.connections = 0;
      channel.addEventListener("state", ({detail}) => (connections += detail.state === "connected"));
      channel.start(); done("");
    }, (error) => done(String(error)));
"""


@pytest.fixture
def proxied(browser: Browser, scene: Scene) -> Iterator[Forgetful]:
    """A page that is connected through a proxy."""
    proxy, person = Forgetful(int(scene.service.origin.rpartition(":")[2])), Person(scene.service.origin, "wanda@example.org")
    browser.open(f"{scene.service.origin}/login")
    browser.cdp("Page.setBypassCSP", enabled=True)  # the proxy has another port
    browser.open(f"{scene.service.origin}/login")
    assert browser.run_async(CONNECT % (person.email, person.assertion(), proxy.port)) == ""
    browser.wait(lambda it: it.run("return connections") == 1)
    yield proxy
    browser.cdp("Page.setBypassCSP", enabled=False)
    browser.open("about:blank")
    proxy.close()


def wakes_up(browser: Browser) -> None:
    browser.wait(lambda it: it.run("return connections") == 2, QUIET_SECONDS)


@pytest.mark.slow
@pytest.mark.browser
def test_a_tab_that_thaws_comes_back_when_the_proxy_has_forgotten_it(browser: Browser, proxied: Forgetful) -> None:
    browser.cdp("Page.setWebLifecycleState", state="frozen")
    proxied.forget()
    time.sleep(1)
    browser.cdp("Page.setWebLifecycleState", state="active")
    wakes_up(browser)


@pytest.mark.slow
@pytest.mark.browser
def test_a_hidden_tab_that_is_shown_again_comes_back_when_the_proxy_has_forgotten_it(browser: Browser, proxied: Forgetful) -> None:
    browser.tab()
    browser.open("about:blank")
    proxied.forget()
    browser.tab(0)
    assert browser.run("return document.hidden") is False
    wakes_up(browser)


@pytest.mark.browser
@pytest.mark.slow
def test_a_throttled_tab_comes_back_when_the_proxy_has_forgotten_it(browser: Browser, proxied: Forgetful) -> None:
    browser.cdp("Emulation.setCPUThrottlingRate", rate=20)
    proxied.forget()
    browser.run("dispatchEvent(new Event('online'))")
    wakes_up(browser)
    browser.cdp("Emulation.setCPUThrottlingRate", rate=1)


BUSY = "dispatchEvent(new Event('online')); const end = performance.now() + 6000; while (performance.now() < end);"


@pytest.mark.browser
@pytest.mark.slow
def test_a_page_that_was_too_busy_to_read_the_answer_keeps_its_connection(browser: Browser, proxied: Forgetful) -> None:
    browser.cdp("Emulation.setCPUThrottlingRate", rate=4)
    browser.run(BUSY)
    browser.run_async("setTimeout(arguments[0], 2000)")
    browser.cdp("Emulation.setCPUThrottlingRate", rate=1)
    assert browser.run("return [connections, channel.state.state]") == [1, "connected"]


LISTENING = """
    window.said = [];
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (text) { said.push([JSON.parse(text).id, document.hidden]); send.call(this, text); };
"""


@pytest.mark.slow
@pytest.mark.browser
def test_a_tab_that_opens_has_the_one_that_holds_the_connection_ask_whether_it_lives(browser: Browser, scene: Scene) -> None:
    browser.enter(scene.service.origin, "wilma@example.org", "/sidebar")
    browser.wait(lambda it: it.find("#connection").text == "Connected")
    browser.run(LISTENING)
    browser.tab()
    browser.open(f"{scene.service.origin}/sidebar")
    browser.wait(lambda it: it.find("#connection").text == "Connected")
    browser.tab(0)
    browser.wait(lambda it: ["status", True] in it.run("return said"))
