"""The sidebar of a user in a browser, with an application they have granted: for the tests of what it shows."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed

from dpresence.tests.live.clients import Application, AppService, Person

from .support import WAIT_SECONDS, Browser

if TYPE_CHECKING:
    from .conftest import Scene

MARKUP = "<img src=x onerror=pwn()>{{7*7}}"
SAID = "{}: \u2068{}\u2069: \u2068{}\u2069"
LOST = ("WebSocket connection to", "net::ERR_CONNECTION_REFUSED")
BACKOFF_SECONDS = 60
names = (f"sue{number}@example.org" for number in itertools.count())
SPY = """
    window.changed = true;
    [window.shown, window.put_away, window.icons] = [[], [], []];
    const spy = function (title, { body, tag, icon }) {
      shown.push([title, body]);
      icons.push(icon);
      this.close = () => put_away.push(tag);
    };
    window.Notification = Object.assign(spy,
      {permission: Notification.permission, requestPermission: async () => (window.Notification.permission = "granted")});
"""


AS_OPENED = """
    const shown = (selector) => [...document.querySelectorAll(selector)].filter((it) => it.checkVisibility()).map((it) => it.innerText);
    return window.changed ? null : [
      document.getElementById("me")?.dataset.email, shown("#connection, #seen, [aria-pressed=true], #stale, #desktop-notifications"),
      shown("#notifications li, dialog, details[open], .note").length, shown("#devices li").length, shown("#grants h3").length,
      shown("#grants").join().includes("Paused"),
    ];
"""
"""State of a page without any user action. Scripts that change the page in another way set ``changed``."""


class Stage:
    """Sue with the sidebar open, and an application that has their grant, whose service is signed in."""

    def __init__(self, browser: Browser, scene: Scene, name: str = "Chess club") -> None:
        self.browser, self.scene = browser, scene
        self.origin = scene.service.origin
        self.sue = Person(self.origin, next(names))
        self.application: Application = scene.application(name)
        self.puid = self.sue.grant(self.application)
        self.service: AppService = self.application.service()
        browser.enter(self.origin, self.sue.email, "/sidebar")
        self.wait_connected()
        assert self.updates() == [("online", "explicit")]
        browser.wait(lambda it: it.find("#seen").text == "Applications see you as online.")
        self._opened = browser.run(AS_OPENED)

    def is_as_opened(self) -> bool:
        """Return whether another test can begin here: the page, the person and the application are as they were in the beginning."""
        try:
            self.service.socket.ping().wait(WAIT_SECONDS)
        except ConnectionClosed:
            return False
        browser = self.browser
        return browser.tabs == 1 and browser.url == f"{self.origin}/sidebar" and browser.run(AS_OPENED) == self._opened

    def wait_connected(self, seconds: float = WAIT_SECONDS) -> None:
        self.browser.wait(lambda it: self.connection == "Connected" and it.count("#devices li") > 0, seconds)

    @property
    def connection(self) -> str:
        return str(self.browser.find("#connection").text)

    def part(self, name: str) -> str:
        """Return the words of a list."""
        return str(self.browser.find(f"#{name}").text)

    def wait_for(self, name: str, holds: Callable[[str], bool]) -> None:
        self.browser.wait(lambda it: holds(self.part(name)))

    def pressed(self) -> str:
        """Return which status is chosen."""
        return str(self.browser.find(".choice [aria-pressed=true]").text)

    def updates(self, count: int = 1) -> list[tuple[str, str]]:
        """Return (status, reason) of the next updates the application's service is sent about them."""
        return [(status, reason) for puid, status, reason in self.service.next_updates(count) if puid == self.puid]
