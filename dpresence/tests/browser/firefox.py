"""Firefox as somebody clicks it, by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), which it speaks without a driver."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import connect

from dpresence.tests.live.clients import SOCKET
from dpresence.tests.support import DEVELOPMENT_TOKEN
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

POLL_SECONDS = 0.1
FLAGS = "--headless --no-remote --remote-debugging-port=0 --remote-allow-system-access"
"""The last one is for the pages of extensions."""
PREFERENCES: dict[str, Any] = {
    "remote.prefs.recommended": True,  # nothing is asked, updated or reported
    "network.proxy.type": 0,
    "extensions.webextOptionalPermissionPrompts": False,  # what an extension asks for is permitted
    "dom.ipc.processCount": 1,
    "fission.autostart": False,
    "layers.acceleration.disabled": True,
}
NAMED = "//*[self::button or self::a][normalize-space()={0} or @aria-label={0}]"
SETTLED = "document.readyState === 'complete' && !document.querySelector('.settling, .refocused')"
UNSEEN = "(element) => !element.checkVisibility()"
IN_VIEW = "(element) => element.scrollIntoView({block: 'center', behavior: 'instant'})"


class NotDone(AssertionError):
    """Firefox did not do what a command says."""


class Firefox:
    """One Firefox with a profile of its own, and one tab in it.

    :param extensions: the UUID of each extension by its id; otherwise Firefox makes one, which no page can find out.
    """

    def __init__(self, program: str, profile: Path, extensions: dict[str, str] | None = None) -> None:
        preferences = PREFERENCES | {"extensions.webextensions.uuids": json.dumps(extensions or {})}
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in preferences.items()]
        (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
        self._command = [program, *FLAGS.split(), "--profile", str(profile), "about:blank"]
        self._server = profile / "WebDriverBiDiServer.json"
        self._open = ExitStack()
        self._number = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            process = stack.enter_context(subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            stack.callback(process.terminate)
            server = eventually(lambda: json.loads(self._server.read_text(encoding="utf-8")), also=(ValueError,))
            url = f"ws://{server['ws_host']}:{server['ws_port']}/session"
            self._socket = stack.enter_context(connect(url, max_size=None, **SOCKET))
            self.command("session.new", capabilities={})
            self._tab = self.command("browsingContext.getTree")["contexts"][0]["context"]
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def command(self, method: str, **parameters: Any) -> Any:
        """Send a command; return its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE_SECONDS))
            if answer.get("id") == self._number:
                break
        if answer["type"] != "success":
            raise NotDone(f"{method}: {answer['error']}: {answer['message']}")
        return answer["result"]

    def install(self, extension: Path) -> None:
        """Install an extension from its folder."""
        self.command("webExtension.install", extensionData={"type": "path", "path": str(extension)})

    def open(self, url: str) -> None:
        self.command("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def run(self, expression: str) -> Any:
        """Return the value of an expression in the page; of a promise, what it resolves to."""
        text = f"Promise.resolve({expression}).then((value) => JSON.stringify(value ?? null))"
        answer = self.command("script.evaluate", expression=text, target={"context": self._tab}, awaitPromise=True)
        if answer["type"] != "success":
            raise NotDone(f"{expression}: {answer['exceptionDetails']['text']}")
        return json.loads(answer["result"]["value"])

    @property
    def url(self) -> str:
        return str(self.run("location.href"))

    def text(self, selector: str = "body") -> str:
        """Return what somebody can read there, nothing if it is not there."""
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def wait(self, arrived: Callable[[Self], object]) -> None:
        """Wait until something is so; pages may be replaced meanwhile."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            with suppress(NotDone):
                if arrived(self):
                    return
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"still at {self.url}: {self.text()}")

    def wait_for(self, *words: str) -> None:
        """Wait until somebody can read these words."""
        self.wait(lambda it: all(word in it.text() for word in words))

    def click(self, words: str) -> None:
        """Click the button or link that says so, once it is alive."""
        self.click_at({"type": "xpath", "value": NAMED.format(json.dumps(words))})

    def click_at(self, locator: dict[str, str]) -> None:
        """Click an element, as soon as it is there and alive."""
        self.wait(lambda it: it.run(SETTLED))
        nodes: list[Any] = []

        def there(_: object) -> bool:
            nodes[:] = self.command("browsingContext.locateNodes", context=self._tab, locator=locator)["nodes"]
            nodes[:] = [node for node in nodes if not self._of(node, UNSEEN)]
            return bool(nodes)

        self.wait(there)
        self._of(nodes[0], IN_VIEW)
        moved = {"type": "pointerMove", "x": 0, "y": 0, "origin": {"type": "element", "element": {"sharedId": nodes[0]["sharedId"]}}}
        self._perform("pointer", moved, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0})

    def _of(self, node: Any, function: str) -> Any:
        """Return the value of a function of an element."""
        call = {"functionDeclaration": function, "arguments": [{"sharedId": node["sharedId"]}]}
        return self.command("script.callFunction", target={"context": self._tab}, awaitPromise=False, **call)["result"].get("value")

    def write(self, selector: str, text: str) -> None:
        """Write into a field."""
        self.click_at({"type": "css", "value": selector})
        self._perform("key", *({"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")))

    def _perform(self, kind: str, *actions: dict[str, Any]) -> None:
        self.command("input.performActions", context=self._tab, actions=[{"type": kind, "id": kind, "actions": actions}])

    def sign_in(self, email: str) -> None:
        """Sign in on the development issuer's page, where it is, as who has opened the link of the start."""
        self.wait(lambda it: it.text("#development"))
        port = self.run("location.port")
        cookie = {"name": f"dpresence-development-{port}", "value": {"type": "string", "value": DEVELOPMENT_TOKEN}, "domain": "127.0.0.1"}
        self.command("storage.setCookie", cookie=cookie | {"httpOnly": True, "sameSite": "lax"})
        self.write("[name=email]", email)
        self.click("Sign in")
        self.wait(lambda it: "/login" not in it.url)
