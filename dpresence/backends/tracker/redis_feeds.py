"""Reading the feeds of the tracker on Redis."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from ...errors import BackendUnavailable
from ...model import Update
from ..redis.client import BatchingClient
from . import DROPPED_SECONDS, Tracker
from .redis_values import Known, updates

_ATTEMPTS = 3
"""Snapshots that are begun before the caller has to come back; each reads a few seconds of a log at the most."""
_MANY = 500
"""Entries read at once."""


class RedisFeeds(Tracker):
    """The feeds of applications as operations of ``redis/feed.lua``; ``RedisTracker`` makes the line to the server."""

    _client: BatchingClient
    _known: Known

    def snapshot(self, appid: str) -> tuple[dict[str, Update], int]:
        for _ in range(_ATTEMPTS):
            view, offset = self._view(appid)
            if offset is not None:
                return view, offset
        raise BackendUnavailable

    def _view(self, appid: str) -> tuple[dict[str, Update], int | None]:
        """Read the view in pages, then what changed meanwhile; the offset is None if the log does not tell that any more."""
        offset, text, cursor = self._client.call("snapshot", appid, "0")
        view = {update.puid: update for update in self._read(appid, text)}
        if cursor == "0":
            return view, offset
        while cursor != "0":
            _, text, cursor = self._client.call("snapshot", appid, cursor)
            view |= {update.puid: update for update in self._read(appid, text)}
        return view, self._catch_up(appid, view, offset)

    def _catch_up(self, appid: str, view: dict[str, Update], offset: int) -> int | None:
        """Apply to a view what followed an offset, and return the offset that it shows then."""
        while updates := self.read(appid, offset, _MANY):
            for update in updates:
                view[update.puid] = update
                if update.reason == "revoked":
                    del view[update.puid]
            offset = updates[-1].offset
        return None if updates is None else offset

    def latest(self, appid: str, puids: Sequence[str]) -> dict[str, Update]:
        return {update.puid: update for update in self._read(appid, self._client.call("latest", appid, puids))}

    def read(self, appid: str, offset: int, limit: int) -> Sequence[Update] | None:
        found: list[Update] = []
        after: int | Literal[False] = offset
        while after is not False and len(found) < limit:
            answer = self._client.call("read", appid, after, limit - len(found))
            if answer is False:
                return None
            text, after = answer
            found += self._read(appid, text)
        return found

    def _read(self, appid: str, text: str) -> list[Update]:
        """Read entries; a feed of which one cannot be read is begun anew.

        :raises BackendUnavailable: it is one.
        """
        try:
            return updates(text)
        except ValueError:
            self._client.call("damaged", appid)
            raise BackendUnavailable from None

    def rebuilt(self, appid: str) -> None:
        self._client.call("rebuilt", appid)

    def cursor(self, offset: int) -> str:
        return f"{self._known.epoch}:{offset}"

    def offset(self, appid: str, cursor: str) -> int | None:
        epoch, _, digits = cursor.partition(":")
        if epoch != self._known.epoch or not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            return None
        return int(digits) if self._client.call("covers", appid, int(digits)) else None

    def applications(self, after: str, limit: int) -> Sequence[str]:
        return cast("list[str]", self._client.call("applications", after, limit))

    def trim(self, appid: str) -> bool:
        return bool(self._client.call("trim", appid))

    def drop(self, appid: str) -> None:
        self._client.call("drop", appid, DROPPED_SECONDS)
