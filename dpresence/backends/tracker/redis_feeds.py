"""Reads the feeds of the tracker in Redis."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from ...errors import BackendUnavailable
from ...model import FeedEntry
from ..redis.client import BatchingClient
from . import DROPPED_SECONDS, Tracker
from .redis_values import Epochs, decode_entries

_ATTEMPTS = 3
"""Maximum number of snapshots started before the caller must retry; each reads a few seconds of the log at most."""
_READ_ENTRIES = 500
"""Entries read by one call."""


class RedisFeeds(Tracker):
    """Operations on feeds, implemented in ``lua/feeds.lua`` and ``lua/reading.lua``; ``RedisTracker`` creates the client."""

    _client: BatchingClient
    _epochs: Epochs

    def snapshot(self, appid: str) -> tuple[dict[str, FeedEntry], int]:
        for _ in range(_ATTEMPTS):
            view, offset = self._view(appid)
            if offset is not None:
                return view, offset
        raise BackendUnavailable

    def _view(self, appid: str) -> tuple[dict[str, FeedEntry], int | None]:
        """Read the view in pages and then the changes since; the offset is None if the log no longer covers those."""
        epoch, head, text, cursor = self._client.call("snapshot", appid, "", "0")
        start = self._epochs.start_of(epoch)
        view, offset = {update.puid: update for update in self._read(appid, text, start)}, start + head
        if cursor == "0":
            return view, offset
        while cursor != "0":
            page = self._client.call("snapshot", appid, epoch, cursor)
            if page is False:
                return view, None
            *_, text, cursor = page
            view |= {update.puid: update for update in self._read(appid, text, start)}
        return view, self._catch_up(appid, view, offset)

    def _catch_up(self, appid: str, view: dict[str, FeedEntry], offset: int) -> int | None:
        """Apply to a view the entries after an offset, and return the offset that the view then has; None if the log lacks entries."""
        while updates := self.read(appid, offset, _READ_ENTRIES):
            for update in updates:
                view[update.puid] = update
                if update.reason == "revoked":
                    del view[update.puid]
            offset = updates[-1].offset
        return None if updates is None else offset

    def latest(self, appid: str, puids: Sequence[str]) -> dict[str, FeedEntry]:
        return {update.puid: update for update in self._read(appid, self._client.call("latest", appid, puids), self._epochs.start)}

    def read(self, appid: str, offset: int, limit: int) -> Sequence[FeedEntry] | None:
        found: list[FeedEntry] = []
        epoch, number = self._epochs.split(offset)
        after: int | Literal[False] = number
        while after is not False and len(found) < limit:
            answer = self._client.call("read", appid, epoch, after, limit - len(found))
            if answer is False:
                return None
            text, after = answer
            found += self._read(appid, text, offset - number)
        return found

    def _read(self, appid: str, text: str, start: int) -> list[FeedEntry]:
        """Decode entries; report a feed with an undecodable entry as damaged.

        :raises BackendUnavailable: an entry cannot be decoded.
        """
        try:
            return decode_entries(text, start)
        except ValueError:
            self._client.call("damaged", appid)
            raise BackendUnavailable from None

    def rebuilt(self, appid: str) -> None:
        self._client.call("rebuilt", appid)

    def cursor(self, offset: int) -> str:
        return self._epochs.cursor(offset)

    def length(self, offset: int) -> int:
        return self._epochs.split(offset)[1]

    def offset(self, appid: str, cursor: str) -> int | None:
        epoch, start = self._epochs.current, self._epochs.start
        number, run = self._epochs.parse(cursor)
        return start + number if number is not None and self._client.call("covers", appid, epoch, number, run) else None

    def assumed_offset(self, cursor: str) -> int | None:
        number, _ = self._epochs.parse(cursor)
        return None if number is None else self._epochs.start + number

    @property
    def epoch(self) -> str:  # type: ignore[override]
        return self._epochs.current

    def applications(self, after: str, limit: int) -> Sequence[str]:
        return cast("list[str]", self._client.call("applications", after, limit))

    def trim(self, appid: str) -> bool:
        return bool(self._client.call("trim", appid))

    def drop(self, appid: str) -> None:
        self._client.call("drop", appid, DROPPED_SECONDS)
