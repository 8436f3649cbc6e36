"""Reads the feeds of the tracker in Redis."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from ...errors import BackendUnavailable
from ...model import FeedEntry
from . import DROPPED_SECONDS, Tracker
from .redis_values import Epochs, decode_entries


class RedisFeeds(Tracker):
    """Operations on feeds, implemented in ``lua/feeds.lua`` and ``lua/reading.lua``; ``RedisTracker`` executes them."""

    _epochs: Epochs

    @abstractmethod
    def _call(self, name: str, *arguments: Any) -> Any:
        """Execute an operation and return its result."""

    def head(self, appid: str) -> int:
        epoch, number = self._call("head", appid, "")
        return self._epochs.start_of(epoch) + int(number)

    def view(self, appid: str) -> Iterator[Mapping[str, FeedEntry]]:
        """See ``Tracker``.

        :raises BackendUnavailable: also if Redis has lost its data since the first page.
        """
        epoch, _ = self._call("head", appid, "")
        cursor = ""
        while cursor != "0":
            page = self._call("view", appid, epoch, cursor or "0")
            if page is False:
                raise BackendUnavailable
            text, cursor = page
            yield {update.puid: update for update in self._read(appid, text, self._epochs.start_of(epoch))}

    def latest(self, appid: str, puids: Sequence[str]) -> dict[str, FeedEntry]:
        return {update.puid: update for update in self._read(appid, self._call("latest", appid, puids), self._epochs.start)}

    def latest_of(self, user: str, grants: Sequence[tuple[str, str]]) -> dict[str, FeedEntry]:
        if not grants:
            return {}
        texts = self._call("latest_of", *map(list, zip(*grants, strict=True)))
        found = [self._read(appid, text, self._epochs.start) for (appid, _), text in zip(grants, texts, strict=True)]
        return {entry.puid: entry for entries in found for entry in entries}

    def read(self, appid: str, offset: int, limit: int) -> Sequence[FeedEntry] | None:
        found: list[FeedEntry] = []
        epoch, number = self._epochs.split(offset)
        after: int | Literal[False] = number
        while after is not False and len(found) < limit:
            answer = self._call("read", appid, epoch, after, limit - len(found))
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
            self._call("damaged", appid)
            raise BackendUnavailable from None

    def rebuilt(self, appid: str) -> None:
        self._call("rebuilt", appid)

    def cursor(self, offset: int) -> str:
        return self._epochs.cursor(offset)

    def length(self, offset: int) -> int:
        return self._epochs.split(offset)[1]

    def offset(self, appid: str, cursor: str) -> int | None:
        epoch, start = self._epochs.current, self._epochs.start
        number, run = self._epochs.parse(cursor)
        return start + number if number is not None and self._call("covers", appid, epoch, number, run) else None

    def assumed_offset(self, cursor: str) -> int | None:
        number, _ = self._epochs.parse(cursor)
        return None if number is None else self._epochs.start + number

    @property
    def epoch(self) -> str:  # type: ignore[override]
        return self._epochs.current

    def applications(self, after: str, limit: int, allow_missing: bool = False) -> Sequence[str]:
        return cast("list[str]", self._call("applications", after, limit))

    def trim(self, appid: str) -> bool:
        return bool(self._call("trim", appid))

    def drop(self, appid: str) -> None:
        self._call("drop", appid, DROPPED_SECONDS)
