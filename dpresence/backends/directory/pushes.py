"""The part of the directory that stores subscriptions to Web Push, and the pushes that are to be sent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

from ...model import DuePush, PendingPush, PushSubscription
from .values import Requester

HOUR_MS = 3_600_000


class PushStore(ABC):
    """Subscriptions of users, and pending pushes; a part of ``Directory``.

    A push is deleted with its grant. What changes pushes survives the end of the process, but not a loss of power.
    """

    @abstractmethod
    def push_subscriptions(self, user: str) -> Sequence[PushSubscription]:
        """Return the subscriptions of a user that have not expired, oldest first."""

    @abstractmethod
    def put_push_subscription(self, new: PushSubscription, most: int, requester: Requester | None = None) -> PushSubscription:
        """Store a subscription and return it; of one that the user has, ``created_at`` stays. It replaces that of another user.

        :param most: maximum number of subscriptions of a user; the ones that were not stored again for longest are deleted.
        :raises SessionEnded: see ``Directory``.
        :raises NotFound: the account does not exist.
        """

    @abstractmethod
    def remove_push_subscription(self, user: str, id_: str, requester: Requester | None = None) -> bool:
        """Delete a subscription; return whether there was one.

        :raises SessionEnded: see ``Directory``.
        """

    @abstractmethod
    def add_pushes(self, appid: str, new: Sequence[PendingPush], delay_ms: int, most: int) -> None:
        """Store pushes, without those whose grant has ended; they are due after ``delay_ms``.

        :param most: maximum number of pushes of a grant that wait and were not attempted; the oldest are deleted.
        """

    @abstractmethod
    def pushes_due(self) -> bool:
        """Return whether a push is due."""

    @abstractmethod
    def claim_pushes(self, limit: int, lease_ms: int, per_hour: int, after: str | None) -> tuple[Sequence[DuePush], str | None]:
        """Return up to ``limit`` pushes that are due, each with one more attempt. They are due again after ``lease_ms``.

        If more are due, the applications take turns; ``after`` and the second result are as in ``OutcomeStore.claim_outcomes``.
        A push that is due is not returned but put off while its grant is paused, until ``release_pushes``, or its application is not
        active; and deleted if it has expired, its grant allows no pushes, or ``per_hour`` of its grant were attempted within the hour.
        """

    @abstractmethod
    def record_push_attempt(self, push: PendingPush, delay_ms: int | None, pushed: bool) -> None:
        """Store ``attempts`` and ``done`` of a push after an attempt.

        :param pushed: a push service accepted it in this attempt.
        :param delay_ms: after which it is due again; None if nothing is left to do.
        """

    @abstractmethod
    def release_pushes(self, puids: Collection[str]) -> None:
        """Make the pushes of some grants due that were put off because these were paused."""
