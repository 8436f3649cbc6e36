"""Carries out what follows from changes that are stored: the transactional outbox (docs/decisions/0012-outbox.md).

A change and its entries are one transaction of the directory. The process that made the change carries them out at once;
what it could not, because a backend was away or the process ended, any process carries out in a sweep. An entry is deleted
after it was carried out, so it may be carried out twice, and handlers are idempotent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby

from ..backends.directory import Directory
from ..errors import BackendUnavailable
from ..model import OutboxEntry, OutboxKind
from .turns import give_way

log = logging.getLogger(__name__)

Handler = Callable[[Sequence[OutboxEntry]], None]

_PAGE = 200
"""Entries carried out in one go: a few milliseconds, then everybody else has a turn."""
_FAILURES = 3
"""Unavailable backends in one pass after which the rest is left to the next one."""


class Outbox:
    """The entries of the directory's outbox, and who carries them out.

    :ivar handlers: by kind of entry; each gets entries of that kind in their order and may raise ``BackendUnavailable``.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.handlers: dict[OutboxKind, Handler] = {}
        self._seen = 0
        self._after = 0
        self._failed: set[int] = set()  # logged already

    def work(self, owner: str) -> None:
        """Carry out now what follows from changes of an account or application; what fails is left to a sweep."""
        with suppress(BackendUnavailable):
            after = 0
            while entries := self._directory.outbox(owner, after, _PAGE):
                self._carry_out(entries)
                after = entries[-1].id
                if len(entries) < _PAGE:
                    return
                give_way()

    def sweep(self) -> None:
        """Carry out what was there at the last sweep already: what is newer, its own process is about to carry out.

        :raises BackendUnavailable: one is away; the next sweep goes on behind what failed.
        """
        known, failures = self._seen, 0
        while entries := self._directory.outbox(None, self._after, _PAGE):
            due = [entry for entry in entries if entry.id <= known]
            self._seen = max(self._seen, entries[-1].id)
            for _, some in groupby(due, lambda entry: entry.kind):
                failures += not self._attempt(list(some))
            self._after = entries[-1].id
            if failures >= _FAILURES:
                raise BackendUnavailable
            give_way()
        self._after = 0
        if failures:
            raise BackendUnavailable

    def flush(self) -> int:
        """Carry out all that is there, once, at the end of the process; return how many entries are left for others."""
        with suppress(BackendUnavailable):
            for _ in range(2):  # what a first sweep sees, a second carries out
                self._after = 0
                self.sweep()
        return len(self._directory.outbox(None, 0, _PAGE))

    def _carry_out(self, entries: Sequence[OutboxEntry]) -> None:
        for _, some in groupby(entries, lambda entry: entry.kind):
            if not self._attempt(list(some)):
                raise BackendUnavailable

    def _attempt(self, entries: Sequence[OutboxEntry]) -> bool:
        """Carry out entries of one kind; return whether every backend was there."""
        try:
            self.handlers[entries[0].kind](entries)
            self._directory.clear_outbox([entry.id for entry in entries])
        except BackendUnavailable:
            return False
        except Exception:  # ours: it stays, and the others are carried out all the same
            if entries[0].id not in self._failed:
                self._failed.add(entries[0].id)
                log.exception("an entry of the outbox cannot be carried out: %s", entries[0].kind)
        return True
