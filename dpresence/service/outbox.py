"""The transactional outbox: applies the effects of stored changes to the other backends (docs/decisions/0012-outbox.md).

A change and its entries are written in one transaction of the directory. The process that made the change applies them at once. If
a backend is unavailable or the process ends, any process applies them in a sweep. An entry is deleted after it was applied, so it
may be applied twice, and handlers must be idempotent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby

from gevent.lock import BoundedSemaphore

from ..backends.directory import Directory, OutboxEntry, OutboxKind
from ..errors import BackendUnavailable
from ..tasks import on_behalf_of
from .scheduling import map_concurrently, yield_to_loop

log = logging.getLogger(__name__)

EntryHandler = Callable[[Sequence[OutboxEntry]], None]
_Applied = tuple[Sequence[OutboxEntry], bool]
"""The entries that were applied, and whether a backend was unavailable for others."""

_PAGE = 200
"""Maximum number of entries that are applied before yielding to the event loop. They take a few milliseconds."""
_FAILURES = 3
"""Number of failed calls after which a sweep ends early."""


class Outbox:
    """Applies the entries of the directory's outbox.

    :ivar handlers: functions by kind of entry. Each receives entries of that kind in order and may raise ``BackendUnavailable``.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.handlers: dict[OutboxKind, EntryHandler] = {}
        self._one_sweep = BoundedSemaphore(1)
        self._newest_seen = 0
        self._after = 0
        self._logged: set[int] = set()  # ids of entries whose failure was logged

    def apply_now(self, *owners: str) -> None:
        """Apply the entries of accounts or applications now, those of one in order. A sweep retries those that fail."""
        after = 0
        with suppress(BackendUnavailable), on_behalf_of(next(iter(owners), "")):
            while entries := self._directory.outbox(owners, after, _PAGE):
                if self._apply(entries, only_until_failure=True) or len(entries) < _PAGE:
                    return
                after = entries[-1].id
                yield_to_loop()

    def sweep(self) -> None:
        """Apply the entries that existed at the last sweep. The process that wrote newer entries applies them itself, unless it is the
        operator's command, which has neither tracker nor channels and asks a service for ``apply_all``.

        :raises BackendUnavailable: a backend is unavailable. The next sweep continues after the entries that failed.
        """
        with self._one_sweep:  # a recovery sweeps too; an entry that both applied would be published twice
            self._sweep()

    def _sweep(self) -> None:
        known, failures = self._newest_seen, 0
        while entries := self._directory.outbox(None, self._after, _PAGE):
            due = [entry for entry in entries if entry.id <= known]
            self._newest_seen = max(self._newest_seen, entries[-1].id)
            failures += self._apply(due)
            self._after = entries[-1].id
            if failures >= _FAILURES:
                raise BackendUnavailable
            yield_to_loop()
        self._after = 0
        if failures:
            raise BackendUnavailable

    def apply_all(self) -> None:
        """Apply all entries now, because the operator's command has written some.

        An entry that another greenlet or process is applying is applied twice.
        """
        after = 0
        with self._one_sweep:
            while entries := self._directory.outbox(None, after, _PAGE):
                self._apply(entries)
                after = entries[-1].id
                yield_to_loop()

    def flush(self) -> int:
        """Apply all entries once, at the end of the process; return how many remain, up to ``_PAGE``."""
        with suppress(BackendUnavailable):
            for _ in range(2):  # the second sweep applies the entries that the first one sees
                self._after = 0
                self.sweep()
        return len(self._directory.outbox(None, 0, _PAGE))

    def _apply(self, entries: Sequence[OutboxEntry], only_until_failure: bool = False) -> int:
        """Apply entries in order, by groups of one kind; return how many groups failed because a backend is unavailable.

        Applied entries are deleted at the end: while they are, other greenlets run, and would see a half of the effects.
        """
        applied: list[OutboxEntry] = []
        failures = 0
        for kind, group in groupby(entries, lambda entry: entry.kind):
            if kind not in self.handlers:  # of a newer version, whose processes apply them
                continue
            done, unavailable = self._apply_group(list(group), only_until_failure)
            applied += done
            failures += unavailable
            if unavailable and only_until_failure:
                break
        if applied:
            self._directory.clear_outbox(applied)
        return failures

    def _apply_group(self, entries: Sequence[OutboxEntry], only_until_failure: bool) -> _Applied:
        """Apply entries of one kind together. If that fails, apply those of each user and application on their own.

        One that always fails must not keep the others from being applied.
        """
        try:
            self.handlers[entries[0].kind](entries)
        except Exception as error:
            unavailable = isinstance(error, BackendUnavailable)
            if unavailable and only_until_failure:
                return (), True
            parts = _by_subject(entries)
            if len(parts) > 1:
                results = map_concurrently(partial(self._apply_group, only_until_failure=only_until_failure), parts)
                return [entry for done, _ in results for entry in done], any(failed for _, failed in results)
            if not unavailable:  # a bug in this service: the entries stay in the outbox and must not stop the others
                self._log_once(entries[0])
            return (), unavailable
        return entries, False

    def _log_once(self, entry: OutboxEntry) -> None:
        """Log the present exception, once for each entry."""
        if entry.id not in self._logged:
            self._logged.add(entry.id)
            log.exception("an outbox entry cannot be applied: %s, number %d", entry.kind, entry.id)


def _by_subject(entries: Sequence[OutboxEntry]) -> Sequence[Sequence[OutboxEntry]]:
    """Return the entries of each user and application, in order."""
    parts: dict[tuple[str, str, str], list[OutboxEntry]] = {}
    for entry in entries:
        parts.setdefault((entry.owner, entry.user, entry.appid), []).append(entry)
    return list(parts.values())
