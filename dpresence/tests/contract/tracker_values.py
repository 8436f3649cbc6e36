"""Values and calls that the contract suites of the tracker share."""

from __future__ import annotations

from collections.abc import Iterable

from gevent.event import AsyncResult

from dpresence.backends.tracker import Connected, Tracker
from dpresence.model import FeedEntry, Grant, GrantSet, Status
from dpresence.settings import PresenceSettings
from dpresence.tests.support import EPOCH, view_and_head
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

SETTINGS = PresenceSettings(grace_seconds=15, feed_seconds=60, feed_entries=100, status_burst=10000)
RATED = PresenceSettings(grace_seconds=15, feed_seconds=3600, feed_entries=100, status_rate=0.5, status_burst=3)
"""Three status changes at once, and one every two seconds."""
LIMIT = 20
SECOND = EPOCH // 1000 * 1000
RUBBISH = [
    *["", ":", "1", ":1", "x:1", "\x00", "x{}:1", "{}x:1", "0" * 16 + ":0"],  # {} is the epoch of a cursor
    *["{}", "{}:", "{}:-1", "{}:+1", "{}: 1", "{}:1.0", "{}:1:1", "{}:1\n", "{}:1_0", "{}:0x1", "{}:\u0661", "{}:\u00b2"],
    *["{}:" + "9" * 19, "{}:" + "9" * 5000],
]


def grant(user: str = "jane", appid: str = "chess", since: int = EPOCH, paused: bool = False) -> Grant:
    return Grant(appid, f"{user}-in-{appid}", user, since, since, paused)


JANE = grant()
GO = grant(appid="go")


def connect(
    backend: Tracker,
    device: str | None = "phone",
    connection: str = "c1",
    status: Status = "online",
    grants: Iterable[Grant] = (JANE,),
    user: str = "jane",
    limit: int = LIMIT,
) -> Connected:
    return backend.connect(user, device, connection, status, GrantSet(0, tuple(grants)), limit, 0)


def update(backend: Tracker, status: Status, grants: Iterable[Grant] = (JANE,), device: str = "phone", connection: str = "c1") -> bool:
    return backend.update("jane", device, connection, status, GrantSet(0, tuple(grants)))


def begin_update(backend: Tracker, status: Status, connection: str = "c1", revision: int = 0, override: Status | None = None) -> object:
    """Update jane's phone without waiting, and wait for the result."""
    result = AsyncResult()
    backend.begin_update("jane", "phone", connection, status, GrantSet(revision, (JANE,), override), result.set)
    assert not result.ready()
    return result.get(timeout=PATIENCE_SECONDS)


def sweep(backend: Tracker, *grants: Grant) -> None:
    for user in backend.due():
        backend.expire(user, GrantSet(0, grants or (JANE,)))


def read(backend: Tracker, appid: str = "chess", offset: int = 0, limit: int = 1000) -> list[FeedEntry]:
    updates = backend.read(appid, offset, limit)
    assert updates is not None
    return list(updates)


def changes(backend: Tracker, appid: str = "chess", offset: int = 0) -> list[tuple[str, str]]:
    """Return the status and reason of each entry that an application was sent since an offset."""
    return [(one.status, one.reason) for one in read(backend, appid, offset)]


def head(backend: Tracker, appid: str = "chess") -> int:
    return view_and_head(backend, appid)[1]


def seen(backend: Tracker, appid: str = "chess") -> dict[str, Status]:
    return {puid: one.status for puid, one in view_and_head(backend, appid)[0].items()}


def flap(backend: Tracker, times: int, *grants: Grant) -> None:
    """Change the status of jane's phone that many times."""
    for n in range(times):
        assert update(backend, ("unavailable", "online")[n % 2], grants or (JANE,))


class SignalListener:
    """A listener; ``received`` waits for a mark that it sends after all earlier signals."""

    def __init__(self, backend: Tracker) -> None:
        self._backend = backend
        self._signals: list[tuple[str, str]] = []
        backend.subscribe(lambda topic, key: self._signals.append((topic, key)))

    def received(self) -> list[tuple[str, str]]:
        self._backend.signal("account", "mark")
        eventually(lambda: ("account", "mark") in self._signals)
        signals = self._signals[: self._signals.index(("account", "mark"))]
        self._signals.clear()
        return signals
