"""Frames of the websockets of a browser, as its DevTools report them, compared with the AsyncAPI document."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from selenium.webdriver import Chrome, ChromeOptions

from dpresence.tests.contract_check import check_client_frame, check_frame

CHANNEL = re.compile(r"/(presence|myapps/[^/]+)$")
TEXT = 1
"""Opcode of the frames that both channels have."""


def record(options: ChromeOptions) -> None:
    """Have a browser keep its console, and what its websockets send and receive."""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.set_capability("goog:perfLoggingPrefs", {"enableNetwork": True, "enablePage": False})


class Frames:
    """The frames of a browser in the order in which they came."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver
        self._paths: dict[str, str] = {}

    def compare(self) -> int:
        """Fail if a frame since the last time is not one of its channel; return how many there were."""
        events = [json.loads(entry["message"])["message"] for entry in self._driver.get_log("performance")]
        return sum(self._compare(event["method"], event["params"]) for event in events if "webSocket" in event["method"])

    def _compare(self, method: str, event: dict[str, Any]) -> bool:
        """Compare the frame of an event; return whether it has one."""
        if method == "Network.webSocketCreated":
            self._paths[event["requestId"]] = urlsplit(event["url"]).path
        path, frame = self._paths.get(event["requestId"], ""), event.get("response", {})
        if not CHANNEL.search(path) or frame.get("opcode") != TEXT:
            return False
        if method == "Network.webSocketFrameReceived":
            check_frame(path, json.loads(frame["payloadData"]))
        else:
            check_client_frame(path, frame["payloadData"])
        return True
