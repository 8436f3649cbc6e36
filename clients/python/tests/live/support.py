"""Helpers of the live tests."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, Callable

from dpresence.tests.support import DEVELOPMENT_TOKEN

from dpresence_client import AppService, DevelopmentIssuer, Device

SECONDS = 30.0


def issuer(person: Any) -> DevelopmentIssuer:
    return DevelopmentIssuer(person.origin, person.email, DEVELOPMENT_TOKEN)


def device_of(person: Any, name: str = "desk", **options: Any) -> Device:
    return Device(options.pop("origin", person.origin), person.email, issuer(person), device=name, **options)


def service_of(application: Any, **options: Any) -> AppService:
    return AppService(options.pop("origin", application.origin), application.appid, application.key, **options)


def wait_until(holds: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Wait until a function returns something true, and return that."""
    until = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
    return value


class Follower:
    """Iterates over a client in a thread, as a program would; ``seen`` is what it got, ``copy`` the table that its changes lead to."""

    def __init__(self, client: Any) -> None:
        self.seen: list[Any] = []
        self.copy: dict[str, str] = {}
        self.error: BaseException | None = None
        self._client = client
        self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            for item in self._client:
                self.seen.append(item)
                self._follow(item)
                self._items.put(item)
        except Exception as error:
            self.error = error

    def _follow(self, item: Any) -> None:
        if hasattr(item, "puid"):
            self.copy[item.puid] = item.status
            if item.reason == "revoked":
                del self.copy[item.puid]

    def next(self) -> Any:
        return self._items.get(timeout=SECONDS)

    def join(self) -> None:
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
