"""Counts on which days applications looked at users' statuses, for the users (docs/decisions/0036-looks.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..backends.directory import Directory, LookCount
from ..clock import Clock
from ..errors import BackendUnavailable
from ..model.looks import Via, day_of
from .scheduling import yield_to_loop

SECONDS = 10
"""Interval at which counts are stored."""
_MAX_USERS = 10_000
"""Maximum number of counts of single users in memory. With more, looks count as looks at all users: too many are shown, never too few."""
_BATCH = 100
"""Counts that are stored in one transaction."""

_Key = tuple[str, str, str, Via]


class Looks:
    """Counts looks in memory and stores the sums from time to time. What was not stored is lost with the process."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._counts: Counter[_Key] = Counter()
        self._of_users = 0  # counts of single users in ``_counts``
        self._day = ""
        self._daily: set[tuple[str, Via]] = set()  # applications that were counted on ``_day`` for a kind of look that counts once a day

    def record(self, appid: str, via: Via, puids: Sequence[str] = ()) -> None:
        """Count that an application was told statuses, or has read them. Does not block.

        :param puids: users whose status it was; none for all users of the application, in a page of them as well.
        """
        day = self._today()
        if via == "channel":
            self._daily.add((appid, via))
        if len(puids) > _MAX_USERS - self._of_users:
            puids = ()
        before = len(self._counts)
        self._counts.update((appid, puid, day, via) for puid in puids or ("",))
        if puids:
            self._of_users += len(self._counts) - before

    def record_daily(self, appid: str, via: Via) -> None:
        """Count an open channel, or the open page of the developer, once a day. Does not block."""
        self._today()
        if (appid, via) not in self._daily:
            self._daily.add((appid, via))
            self.record(appid, via)

    def _today(self) -> str:
        day = day_of(self._clock.steady.now())
        if day != self._day:
            self._day, self._daily = day, set()
        return day

    def store(self) -> None:
        """Store what was counted.

        :raises BackendUnavailable: the directory is unavailable; the counts that were not stored wait for the next call.
        """
        counts, self._counts, self._of_users = self._counts, Counter(), 0
        try:
            keys = sorted(counts)
            for batch in (keys[at : at + _BATCH] for at in range(0, len(keys), _BATCH)):
                self._directory.add_looks([LookCount(*key, counts[key]) for key in batch])
                for key in batch:
                    del counts[key]
                yield_to_loop()
        except BackendUnavailable:
            self._counts.update(counts)
            self._of_users = sum(1 for _, puid, *_ in self._counts if puid)
            raise
