"""The limit on changes of status by one device (docs/protocol.md, section 3)."""

from __future__ import annotations

from math import ceil, inf

from ..errors import SlowDown
from ..limits import RateRule
from ..model import Status

_MAX_IGNORED_WAITS = 20
"""Maximum number of refused updates within the wait of a slow-down; more close the channel."""


class StatusLimit:
    """Counts changes of status. The newest change that was refused is pending: it is applied as soon as the rate allows it.

    Every ``now`` is ``Clock.monotonic()``.

    :ivar rule: the rate of changes.
    :ivar full_at: its state. ``rule.take`` returns the one after a change, and counts nothing: see ``accept``.
    :ivar pending: the status of the pending change, None without one.
    """

    __slots__ = ("_ignored_waits", "_pending_at", "_wait_ends_at", "full_at", "pending", "rule")

    def __init__(self, rule: RateRule) -> None:
        self.full_at = 0.0
        self.pending: Status | None = None
        self.rule = rule
        self._pending_at = 0.0
        self._ignored_waits = 0
        self._wait_ends_at = 0.0  # end of the last ``retry_after``

    @property
    def ignored(self) -> bool:
        """True if the device keeps ignoring the slow-down."""
        return self._ignored_waits >= _MAX_IGNORED_WAITS

    def accept(self, full_at: float) -> None:
        """Store the state after a change, and forget the pending one."""
        self.full_at = full_at
        self.pending, self._ignored_waits = None, 0

    def count(self, status: Status, now: float) -> None:
        """Count a change.

        :raises SlowDown: there are too many changes; this one is pending.
        """
        full_at = self.rule.take(self.full_at, now)
        if full_at:
            self.full_at = full_at
            return
        wait = self.rule.wait(self.full_at, now)
        self.pending, self._pending_at = status, now + wait
        self._ignored_waits += now < self._wait_ends_at
        self._wait_ends_at = now + ceil(wait)
        raise SlowDown("status: changes too quickly", retry_after=ceil(wait))

    def charge(self, name: str, now: float) -> None:
        """Count a change that is not of the device's own status, and is not made later.

        :param name: the field of the change.
        :raises SlowDown: there are too many changes.
        """
        full_at = self.rule.take(self.full_at, now)
        if not full_at:
            raise SlowDown(f"{name}: changes too quickly", retry_after=ceil(self.rule.wait(self.full_at, now)))
        self.full_at = full_at

    def supersede(self) -> None:
        """Forget the pending change: a newer update was accepted."""
        self.pending, self._ignored_waits = None, 0

    @property
    def due_at(self) -> float:
        """Time at which the pending change is due; infinity without one."""
        return inf if self.pending is None else self._pending_at

    def take_due(self, now: float) -> bool:
        """Return whether the pending change is due; if so, count it."""
        if self.pending is None or now < self._pending_at:
            return False
        self.full_at = self.rule.take(self.full_at, now) or self.full_at
        return True
