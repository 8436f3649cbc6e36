"""Chromium as somebody clicks it, and web sites that remember who asked for what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from selenium.common.exceptions import ElementNotInteractableException, NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import ActionChains, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from dpresence.tests.live.service import Site
from dpresence.tests.support import DEVELOPMENT_TOKEN, WITH_TOKEN

from .elements import Window
from .frames import Frames, record

WAIT_SECONDS = 60
POLL_SECONDS = 0.1
GONE = (NoSuchElementException, StaleElementReferenceException)
"""Errors of a look at a page while the browser replaces it by another one."""
NOT_CLICKABLE = (*GONE, ElementNotInteractableException)
"""Errors of a click on an element that does not exist yet, or is still hidden."""
BUILD = Path(__file__).parents[3] / "build"
# The last four lines halve the CPU time of a page that is opened: few processes and threads, and no new ones for each page.
FLAGS = """
    --headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage --no-proxy-server --disable-lcd-text
    --in-process-gpu --renderer-process-limit=1 --process-per-site --disable-site-isolation-trials
    --num-raster-threads=1 --enable-features=NetworkServiceInProcess2
    --disable-features=SpareRendererForSitePerProcess,BackForwardCache,RenderDocument,PaintHolding,Translate,OptimizationHints,MediaRouter
"""
# What a page's policy refused goes to the console under this word, whether the browser says it there or not.
REPORT = "policy report:"
INSTALLING = (
    "Banner not shown: beforeinstallpromptevent.preventDefault() called.",
    "Error while trying to use the following icon from the Manifest:",
)
"""What Chromium says when a page offers its installation itself, and when it is left while Chromium loads the icons of the manifest."""
COLLECTOR = f"""
    addEventListener("securitypolicyviolation", ({{effectiveDirective, blockedURI}}) =>
      console.error("{REPORT}", effectiveDirective, blockedURI));
"""
# The second in which the buttons of a page are dead (static/click-guard.js) passes at once, but not on pages that ask for a consent: there,
# the service measures that second as well.
HASTE = """
    const wait = setTimeout;
    const measured = /^\\/(grant\\/|pair$)/.test(location.pathname);
    const passes = (milliseconds) => milliseconds === 1000 && !measured && Error().stack.includes("/click-guard.js");
    globalThis.setTimeout = (run, milliseconds, ...rest) => wait(run, passes(milliseconds) ? 0 : milliseconds, ...rest);
"""
SETTLED = """
    const [done] = arguments;
    const dead = () => document.readyState !== "complete" || document.querySelector(".settling, .refocused");
    const moves = () => dead() || document.getAnimations().length;
    const look = () => moves() ? setTimeout(look, 50) : done();
    look();
"""


class Browser:
    """One Chromium with a profile of its own; nothing of it goes beyond this machine."""

    def __init__(self, chromium: str, driver: str, profile: Path, extension: Path | None = None) -> None:
        options = ChromeOptions()
        options.binary_location = chromium
        extensions = f"--load-extension={extension}" if extension else "--disable-extensions"
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}", extensions):
            options.add_argument(flag)
        record(options)
        self._driver = Window(options, Driver(driver))
        self.frames = Frames(self._driver)
        self._scripts: dict[str, str] = {}
        self._prepare(COLLECTOR + HASTE)
        self._first = self._driver.current_window_handle

    def cdp(self, command: str, **parameters: Any) -> Any:
        """Send a command of the DevTools protocol."""
        return self._driver.execute_cdp_cmd(command, parameters)

    def _prepare(self, script: str) -> None:
        """Run a script, and no other one of ours, before those of every page that this tab opens from now on."""
        tab = self._driver.current_window_handle
        if before := self._scripts.pop(tab, ""):
            self.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=before)
        self._scripts[tab] = self.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)["identifier"]

    def keep_dead_buttons(self) -> None:
        """Let the buttons of the pages that this tab opens be dead for their second."""
        self._prepare(COLLECTOR)

    def begin_pages_with(self, script: str) -> None:
        """Run a script before those of every page that this tab opens from now on."""
        self._prepare(COLLECTOR + HASTE + script)

    @property
    def devtools(self) -> str:
        """Host and port at which this browser is debugged."""
        return str(self._driver.capabilities["goog:chromeOptions"]["debuggerAddress"])

    def _size(self, width: int, height: int) -> None:
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def close(self) -> None:
        """End the browser."""
        self._driver.quit()

    def forget(self) -> None:
        """Be as new: one tab, no cookie, nothing stored, nothing on the console, wide and light."""
        for tab in self._driver.window_handles:
            if tab != self._first:
                self._driver.switch_to.window(tab)
                self._driver.close()
        self._driver.switch_to.window(self._first)
        if (url := self.url).startswith("http"):
            self.run("sessionStorage.clear()")
            self._driver.get("about:blank")  # a service worker with an open page would live on
            self.cdp("Storage.clearDataForOrigin", origin="/".join(url.split("/")[:3]), storageTypes="all")
        self.cdp("Network.clearBrowserCookies")
        self.cdp("Browser.resetPermissions")
        self._prepare(COLLECTOR + HASTE)
        self._driver.get("about:blank")
        self.look()
        self.console()

    def open(self, url: str) -> None:
        """Go somewhere."""
        self._driver.get(url)

    @property
    def url(self) -> str:
        """Address of the present page."""
        return str(self._driver.current_url)

    @property
    def title(self) -> str:
        return str(self._driver.title)

    def text(self) -> str:
        """Return what somebody can read."""
        return self.find("body").text

    def count(self, selector: str) -> int:
        """Return how many elements there are."""
        return len(self._driver.find_elements(By.CSS_SELECTOR, selector))

    def settled(self) -> None:
        """Wait until the buttons of a page of ours are alive (``static/click-guard.js``)."""
        self.run_async(SETTLED)

    def click(self, words: str) -> None:
        """Click the button or link that says so, once it is alive."""
        self.settled()
        self._click(By.XPATH, f"//*[self::button or self::a][normalize-space()='{words}' or @aria-label='{words}']")

    def click_on(self, selector: str) -> None:
        """Click the first element of a selector, once there is one that can be clicked."""
        self._click(By.CSS_SELECTOR, selector)

    def _click(self, by: str, selector: str) -> None:
        """Click an element once it can be clicked. It may still be hidden, or be replaced by an equal one after it was found."""
        wait = WebDriverWait(self._driver, WAIT_SECONDS, POLL_SECONDS, NOT_CLICKABLE)
        wait.until(lambda driver: driver.find_element(by, selector).click() or True, f"{selector} cannot be clicked")

    def confirm(self) -> None:
        """Answer the dialog with yes, once its button is alive."""
        self.settled()
        self._click(By.CSS_SELECTOR, "#question-yes")

    def find(self, selector: str) -> WebElement:
        """Return the first element, for what this class has no word for."""
        return self._driver.find_element(By.CSS_SELECTOR, selector)

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is, once buttons are alive."""
        self.settled()
        ActionChains(self._driver).send_keys(*keys).perform()

    def write(self, field: str, text: str) -> None:
        """Write into a field."""
        self._driver.find_element(By.NAME, field).send_keys(text)

    def run(self, script: str) -> Any:
        """Run a script in the page and return its value."""
        return self._driver.execute_script(script)

    def run_async(self, script: str) -> Any:
        """Run a script in the page and return what it calls its last argument with."""
        return self._driver.execute_async_script(script)

    def count_in_frame(self, selector: str) -> int:
        """Return how many elements there are in the first frame of the page."""
        self._driver.switch_to.frame(self._driver.find_element(By.TAG_NAME, "iframe"))
        found = self.count(selector)
        self._driver.switch_to.default_content()
        return found

    def wait(self, arrived: Callable[[Browser], bool], seconds: float = WAIT_SECONDS) -> None:
        """Wait until something is so."""
        WebDriverWait(self._driver, seconds, POLL_SECONDS, GONE).until(lambda _: arrived(self), f"still at {self.url}: {self.title}")

    def console(self) -> list[str]:
        """Return what the console said since the last time: refusals of the content security policy among it."""
        lines = [str(entry["message"]) for entry in self._driver.get_log("browser")]
        return [line for line in lines if not any(words in line for words in INSTALLING)]

    def tab(self, number: int | None = None) -> None:
        """Go to a tab, counted from 0; to a new one without a number."""
        if number is None:
            self._driver.switch_to.new_window("tab")
            self._prepare(COLLECTOR + HASTE)
        else:
            self._driver.switch_to.window(self._driver.window_handles[number])
        self.cdp("Page.bringToFront")  # with the focus, as for somebody who clicks its title

    @property
    def tabs(self) -> int:
        """Number of tabs and windows."""
        return len(self._driver.window_handles)

    def leave(self) -> None:
        """Close this tab and go to the first of those that are left."""
        self._driver.close()
        self.tab(0)
        self._first = self._driver.current_window_handle

    def allow(self, *permissions: str) -> None:
        """Allow the present page something, as a person does when the browser asks them."""
        self.cdp("Browser.grantPermissions", origin=self.run("return location.origin"), permissions=permissions)

    def look(self, width: int = 1440, dark: bool = False, height: int = 900) -> None:
        """Look through a window of this size (CSS pixels), in light or dark."""
        self._size(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.cdp("Emulation.setEmulatedMedia", features=[scheme, {"name": "prefers-reduced-motion", "value": "reduce"}])

    def screenshot(self, name: str) -> None:
        """Keep a picture of the whole page as ``build/pages/<name>.png``, 1024 pixels wide at most."""
        folder = BUILD / "pages"
        folder.mkdir(parents=True, exist_ok=True)
        width = min(1024, self.run("return innerWidth"))
        self._size(width, 400)
        self._size(width, min(3000, self.run("return document.documentElement.scrollHeight")))
        self.settled()
        (folder / f"{name}.png").write_bytes(self._driver.get_screenshot_as_png())

    def assert_quiet(self, *expected: str) -> None:
        """Fail when the console said anything since the last time, or the policy refused anything.

        :param expected: lines that hold one of these are no news; a report of the policy always is.
        """
        news = [line for line in self.console() if REPORT in line or not any(word in line for word in expected)]
        assert not news, news

    def enter(self, origin: str, email: str, path: str = "/") -> None:
        """Sign in without the page, and open a path of the service."""
        url = f"{origin}/__dev__/assertion"
        assertion = requests.post(url, json={"email": email}, headers=WITH_TOKEN, timeout=WAIT_SECONDS).json()["assertion"]
        answer = requests.post(f"{origin}/login", json={"assertion": assertion}, timeout=WAIT_SECONDS)
        for one in answer.cookies:
            attributes = {"httpOnly": one.has_nonstandard_attr("HttpOnly"), "sameSite": one.get_nonstandard_attr("SameSite")}
            self.cdp("Network.setCookie", name=one.name, value=one.value, url=origin, **attributes)
        self.open(origin + path)

    def hold_token(self) -> None:
        """Have the cookie that the link of the start sets, for the service that is open."""
        name = f"dpresence-development-{urlsplit(self.url).port}"
        self.cdp("Network.setCookie", name=name, value=DEVELOPMENT_TOKEN, url=self.url, httpOnly=True, sameSite="Lax")

    def sign_in(self, email: str) -> None:
        """Sign in on the development issuer's page, where it is, as who has opened the link of the start."""
        self.wait(lambda it: "/login" in it.url and it.count("#development") == 1)
        self.hold_token()
        self.write("email", email)
        self.click("Sign in")
        self.wait(lambda it: "/login" not in it.url)


class Website(Site):
    """A web site as a browser visits it, under one of its names."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.pages["/favicon.ico"] = "none"
        self.origin = f"http://{self.domain}"

    def under(self, host: str) -> str:
        """Return its origin under another of this machine's names."""
        return f"http://{host}:{self.port}"


def query(url: str) -> dict[str, str]:
    """Return the query of an URL."""
    return dict(parse_qsl(urlsplit(url).query))
