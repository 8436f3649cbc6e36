"""The statuses of the members, live: follows dpresence in a thread, and tells the pages that are open."""

from __future__ import annotations

import json
import logging
import queue
from collections.abc import Iterator, Sequence

from dpresence_client import AppService, PresenceError
from members import Members

ALIVE_SECONDS = 15  # after this silence a comment is sent, which shows whether the browser is still there
MAX_WAITING = 100

log = logging.getLogger(__name__)


class Live:
    """Follows one ``AppService``.

    :param presence: not started yet.
    """

    def __init__(self, presence: AppService, members: Members) -> None:
        self._presence, self._members = presence, members
        self._pages: set[queue.Queue[str | None]] = set()

    def run(self) -> None:
        """Follow the changes, and forget the PUIDs that were revoked; return when dpresence has refused the application for good."""
        try:
            with self._presence:
                for change in self._presence:
                    name = self._members.name(change.puid)
                    if change.reason == "revoked":
                        self._members.forget(change.puid)
                    if name is not None:
                        self.publish(name)
        except PresenceError as error:
            log.critical("the club does not see its members any more: %s", error)

    def status(self, name: str) -> str | None:
        """Return the status of a member; None for one who does not let the club see it, ``unknown`` while dpresence does not tell."""
        puid = self._members.puid(name)
        if puid is None:
            return None
        if not self._presence.current:
            return "unknown"
        entry = self._presence.table.get(puid)
        return entry.status if entry else "offline"

    def publish(self, name: str | None) -> None:
        """Send the status of a member, or of all, to all pages. One that does not read is cut off: its browser begins anew."""
        for page in self._pages.copy():
            try:
                page.put_nowait(name)
            except queue.Full:
                self._pages.discard(page)

    def stream(self) -> Iterator[str]:
        """Yield events for one page: the statuses of all members by name, then those that change."""
        page: queue.Queue[str | None] = queue.Queue(MAX_WAITING)
        self._pages.add(page)
        try:
            yield self._all()
            while page in self._pages:
                try:
                    name = page.get(timeout=ALIVE_SECONDS)
                except queue.Empty:
                    yield ": still here\n\n"
                else:
                    yield self._all() if name is None else self._event("change", [name])
        finally:
            self._pages.discard(page)

    def _all(self) -> str:
        return self._event("all", self._members.names())

    def _event(self, kind: str, names: Sequence[str]) -> str:
        return f"event: {kind}\ndata: {json.dumps({name: self.status(name) for name in names})}\n\n"
