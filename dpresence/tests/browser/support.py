"""Chromium as somebody clicks it, and web sites that remember who asked for what."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

WAIT_SECONDS = 10
FLAGS = """
    --headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage --no-proxy-server
"""


class Browser:
    """One Chromium with a profile of its own; nothing of it goes beyond this machine."""

    def __init__(self, chromium: str, driver: str, profile: Path) -> None:
        options = ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self._driver = Chrome(options, Driver(driver))

    def close(self) -> None:
        """End the browser."""
        self._driver.quit()

    def forget(self) -> None:
        """Forget every cookie and what is on the console."""
        self._driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self._driver.get("about:blank")
        self.console()

    def open(self, url: str) -> None:
        """Go somewhere."""
        self._driver.get(url)

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._driver.current_url)

    @property
    def title(self) -> str:
        return str(self._driver.title)

    def text(self) -> str:
        """Return what somebody can read."""
        return str(self._driver.find_element(By.TAG_NAME, "body").text)

    def count(self, selector: str) -> int:
        """Return how many elements there are."""
        return len(self._driver.find_elements(By.CSS_SELECTOR, selector))

    def click(self, words: str) -> None:
        """Click the button that says so."""
        self._driver.find_element(By.XPATH, f"//button[normalize-space()='{words}']").click()

    def write(self, field: str, text: str) -> None:
        """Write into a field."""
        self._driver.find_element(By.NAME, field).send_keys(text)

    def run(self, script: str) -> Any:
        """Run a script in the page and return its value."""
        return self._driver.execute_script(script)

    def count_in_frame(self, selector: str) -> int:
        """Return how many elements there are in the first frame of the page."""
        self._driver.switch_to.frame(self._driver.find_element(By.TAG_NAME, "iframe"))
        found = self.count(selector)
        self._driver.switch_to.default_content()
        return found

    def wait(self, arrived: Callable[[Browser], bool]) -> None:
        """Wait until something is so."""
        WebDriverWait(self._driver, WAIT_SECONDS, 0.05).until(lambda _: arrived(self), f"still at {self.url}: {self.title}")

    def console(self) -> list[str]:
        """Return what the console said since the last time: refusals of the content security policy among it."""
        return [str(entry["message"]) for entry in self._driver.get_log("browser")]

    def sign_in(self, email: str) -> None:
        """Sign in on the development issuer's page, where it is."""
        self.wait(lambda it: "/login" in it.url and it.count("#development") == 1)
        self.write("email", email)
        self.click("Sign in")
        self.wait(lambda it: "/login" not in it.url)


class Website:
    """A web site on loopback, under one of its names; ``pages`` is what it serves, by path."""

    def __init__(self, host: str) -> None:
        pages = self.pages = {"/favicon.ico": "none"}
        seen = self.seen = list[str]()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append(self.path)
                body = pages.get(self.path.partition("?")[0], "").encode()
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.domain = f"{host}:{self._server.server_port}"
        self.origin = f"http://{self.domain}"

    def under(self, host: str) -> str:
        """Return its origin under another of this machine's names."""
        return f"http://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def query(url: str) -> dict[str, str]:
    """Return the query of an URL."""
    return dict(parse_qsl(urlsplit(url).query))
