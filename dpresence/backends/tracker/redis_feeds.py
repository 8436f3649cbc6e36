"""Reading the feeds of the tracker on Redis."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ...errors import BackendUnavailable
from ...model import Update
from ..redis.line import Line
from . import DROPPED_SECONDS, Tracker
from .redis_values import Known, updates


class RedisFeeds(Tracker):
    """The feeds of applications as operations of ``redis/feed.lua``; ``RedisTracker`` makes the line to the server."""

    _line: Line
    _known: Known

    def snapshot(self, appid: str) -> tuple[dict[str, Update], int]:
        offset, text = self._line.call("snapshot", appid)
        return {update.puid: update for update in self._read(appid, text)}, offset

    def latest(self, appid: str, puids: Sequence[str]) -> dict[str, Update]:
        return {update.puid: update for update in self._read(appid, self._line.call("latest", appid, puids))}

    def read(self, appid: str, offset: int, limit: int) -> Sequence[Update] | None:
        text = self._line.call("read", appid, offset, limit)
        return None if text is False else self._read(appid, text)

    def _read(self, appid: str, text: str) -> list[Update]:
        """Read entries; a feed of which one cannot be read is begun anew.

        :raises BackendUnavailable: it is one.
        """
        try:
            return updates(text)
        except ValueError:
            self._line.call("damaged", appid)
            raise BackendUnavailable from None

    def rebuilt(self, appid: str) -> None:
        self._line.call("rebuilt", appid)

    def cursor(self, offset: int) -> str:
        return f"{self._known.epoch}:{offset}"

    def offset(self, appid: str, cursor: str) -> int | None:
        epoch, _, digits = cursor.partition(":")
        if epoch != self._known.epoch or not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            return None
        return int(digits) if self._line.call("covers", appid, int(digits)) else None

    def applications(self, after: str, limit: int) -> Sequence[str]:
        return cast("list[str]", self._line.call("applications", after, limit))

    def trim(self, appid: str) -> bool:
        return bool(self._line.call("trim", appid))

    def drop(self, appid: str) -> None:
        self._line.call("drop", appid, DROPPED_SECONDS)
