"""The mailbox: live notifications waiting for a user, first in first out per user and application.

What ``push`` has answered survives a crash, until it is settled, expired, dropped for a newer one or purged.
One technology is one file beside this one; ``tests/contract/mailbox.py`` runs against each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ...model import Grant, Notification


class Mailbox(ABC):
    """Waiting notifications. Every method may raise ``BackendUnavailable`` and changes nothing then."""

    @abstractmethod
    def push(self, items: Sequence[tuple[str, Notification]], limit: int) -> Sequence[int]:
        """Keep notifications, all or none; where a queue holds more than ``limit``, its oldest are dropped.

        :param items: (user, notification), in the order they were sent.
        :param limit: how many may wait for one user from one application.
        :returns: for each item how many wait for that user from that application right after it.
        """

    @abstractmethod
    def pending(self, user: str, now: int) -> Sequence[Notification]:
        """Return everything that waits for a user and has not expired, oldest first."""

    @abstractmethod
    def waiting(self, user: str, appid: str, now: int) -> int:
        """Return how many unexpired notifications of an application wait for a user."""

    @abstractmethod
    def settle(self, user: str, ids: Sequence[str]) -> int:
        """Discard notifications of a user that she has; return how many were there."""

    @abstractmethod
    def purge(self, user: str) -> int:
        """Discard all that waits for a user; return how many."""

    @abstractmethod
    def purge_grants(self, grants: Sequence[Grant]) -> int:
        """Discard all that waits under the PUIDs of some grants, in one step; return how many."""

    @abstractmethod
    def sweep(self, now: int) -> int:
        """Discard what has expired; return how many."""

    @abstractmethod
    def ping(self) -> None:
        """Reach the store, or raise ``BackendUnavailable``."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held; nothing may be called after it."""
