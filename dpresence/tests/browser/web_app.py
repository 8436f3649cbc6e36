"""My presence as an app in Chromium: somebody who has it open, and pushes to its service worker."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import requests
import websocket

from dpresence.tests.live.clients import Application, Person, activate
from dpresence.tests.live.service import Service, Site
from dpresence.tests.live.warm import running
from dpresence.tests.push_service import key_file

from .support import Browser

ACTIVE = """
    const [done] = arguments;
    navigator.serviceWorker.ready.then(({ active }) => {
      const look = () => active.state === "activated" ? done(true) : setTimeout(look, 50);
      look();
    });
"""
SHOWN = """
    const [done] = arguments;
    navigator.serviceWorker.ready.then((it) => it.getNotifications())
      .then((all) => done(Object.fromEntries(all.map(({ title, body, tag }) => [tag, [title, body]]))));
"""
# Chromium subscribes at a server of Google, which cannot be reached here; the endpoint is one that the service accepts, and is never used.
SUBSCRIBING = """
    const decoded = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (it) => it.charCodeAt(0)).buffer;
    const endpoint = "https://fcm.googleapis.com/fcm/send/1";
    const subscription = (key) => key && ({
      endpoint,
      options: { applicationServerKey: decoded(key) },
      toJSON: () => ({ endpoint, keys: { p256dh: key, auth: "A".repeat(22) } }),
      unsubscribe: async () => localStorage.removeItem("subscribed") ?? true,
    });
    PushManager.prototype.getSubscription = async () => subscription(localStorage.getItem("subscribed"));
    PushManager.prototype.subscribe = async ({ applicationServerKey: key }) => localStorage.setItem("subscribed", key) ?? subscription(key);
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with keys for Web Push."""
    folder = tmp_path_factory.mktemp("app")
    with running(folder, push__key_file=key_file(folder)) as service:
        yield service


@pytest.fixture(scope="module")
def application(service: Service) -> Iterator[Application]:
    with Site("localhost") as site:
        yield activate(service.origin, site, "owner@example.org", "Chess club")


@pytest.fixture
def sue(service: Service, application: Application, browser: Browser, request: pytest.FixtureRequest) -> Person:
    """Somebody who has My presence open, with an active service worker, and whose browser allows notifications."""
    name = request.node.name
    person = Person(service.origin, re.sub(r"\W", "-", f"{name[5:30]}{name[-9:-1]}") + "@example.org")
    person.grant(application)
    browser.begin_pages_with(SUBSCRIBING)
    browser.enter(service.origin, person.email, "/sidebar")
    browser.allow("notifications")
    browser.open(f"{service.origin}/sidebar")
    assert browser.run_async(ACTIVE)
    browser.wait(lambda it: it.find("#connection").text == "Connected" and it.count("#grants > li") == 1)
    return person


def notify(application: Application, person: Person, **options: object) -> str:
    """Send a notification; return its id."""
    with application.service() as service:
        return str(service.notify({"puid": person.grant(application), "message": "Your move", **options})[0]["id"])


def registration_of(connection: websocket.WebSocket, origin: str) -> str:
    """Return the id of the registration of a service worker. It is in an event, and WebDriver passes no events on."""
    connection.send(json.dumps({"id": 1, "method": "ServiceWorker.enable"}))
    while True:
        for one in json.loads(connection.recv()).get("params", {}).get("registrations", ()):
            if one["scopeURL"] == f"{origin}/" and not one["isDeleted"]:
                return str(one["registrationId"])


def push(browser: Browser, origin: str, content: dict[str, str]) -> None:
    """Hand a push to the service worker, as a browser does that has decrypted it."""
    with closing(debugged(browser, "page")) as page:
        number = registration_of(page, origin)
        parameters = {"origin": origin, "registrationId": number, "data": json.dumps(content)}
        page.send(json.dumps({"id": 2, "method": "ServiceWorker.deliverPushMessage", "params": parameters}))
        while json.loads(page.recv()).get("id") != 2:
            pass


def deliver(browser: Browser, origin: str, content: dict[str, str]) -> list[str]:
    """Hand a push to the service worker; return title and text that are shown."""
    push(browser, origin, content)
    browser.wait(lambda it: content["id"] in it.run_async(SHOWN))
    found: list[str] = browser.run_async(SHOWN)[content["id"]]
    return found


def turn_on(sue: Person, browser: Browser) -> None:
    """Turn Web Push on in this browser."""
    browser.click("Notify this browser while the page is closed")
    browser.wait(lambda it: it.count("#push-browsers li") == 1)


def debugged(browser: Browser, kind: str) -> websocket.WebSocket:
    """Return a connection to the page or the service worker in the DevTools protocol."""
    targets = requests.get(f"http://{browser.devtools}/json/list", timeout=60).json()
    [url] = [one["webSocketDebuggerUrl"] for one in targets if one["type"] == kind]
    return websocket.create_connection(url, suppress_origin=True, timeout=60)


def evaluate(worker: websocket.WebSocket, script: str) -> Any:
    """Return the value of a script in the service worker."""
    worker.send(json.dumps({"id": 1, "method": "Runtime.evaluate", "params": {"expression": script, "returnByValue": True}}))
    while (answer := json.loads(worker.recv())).get("id") != 1:
        pass
    return answer["result"]["result"].get("value")
