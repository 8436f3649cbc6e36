"""The part of the directory that stores outcomes of notifications."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence

from ...model.outcomes import Followed, NewFollowed, NotificationOutcome, PublishedOutcome

DAY_MS = 86_400_000
"""Milliseconds for which outcomes are stored, and a notification after its end."""


class OutcomeStore(ABC):
    """Outcomes; a part of ``Directory``. An outcome is *held* until its application may see it, then it is *published*: added to a log of
    the application, whose positions grow in the order in which its entries become readable. They depend on nothing of other applications,
    and none comes twice.
    """

    @abstractmethod
    def follow_outcomes(self, appid: str, new: Sequence[NewFollowed], check_ms: int) -> None:
        """Store notifications whose outcomes are recorded; they are due after ``check_ms``, or when they expire.

        :raises NotFound: the application was deleted.
        """

    @abstractmethod
    def unfollow_outcomes(self, appid: str, ids: Sequence[str]) -> None:
        """Delete notifications that are not to be stored."""

    @abstractmethod
    def place_followed(self, appid: str, positions: Mapping[str, int]) -> None:
        """Store the positions in the mailbox, by id."""

    @abstractmethod
    def hold_outcome(
        self, user: str, held_at: Mapping[str, int], ids: Sequence[str], outcome: NotificationOutcome, check_ms: int
    ) -> Sequence[Followed]:
        """Hold an outcome of those notifications of some PUIDs that have not ended, or that were delivered if it may follow that.

        :param user: the user who has the PUIDs.
        :param held_at: see ``Followed``, by PUID.
        :returns: those notifications, which are due after ``check_ms``, or when they were due anyway if that is at most twice as late.
        """

    @abstractmethod
    def held_outcomes(self, appid: str, puid: str, after: str, limit: int) -> Sequence[Followed]:
        """Return up to ``limit`` notifications to a PUID with held outcomes, in order of their ids, after an id."""

    @abstractmethod
    def publish_outcomes(self, appid: str, published: Mapping[str, Sequence[NotificationOutcome]]) -> int:
        """Add outcomes to the log, by the id of the notification, without those that may not follow earlier ones; return how many.

        What is published is held no more, and neither is what may not follow it. If a device has reported one meanwhile that may be
        published (``held_at`` is 0), that is published in place of ``dropped`` or ``expired``.
        """

    @abstractmethod
    def revoke_outcomes(self, puids: Mapping[str, str]) -> Collection[str]:
        """Delete everything that was published of some PUIDs, and publish ``revoked`` of their notifications that have not ended.

        :param puids: the application of each PUID.
        :returns: the applications whose outcomes changed.
        """

    @abstractmethod
    def outcomes(self, appid: str, after: int, limit: int, *, restart: bool = True) -> Sequence[PublishedOutcome]:
        """Return up to ``limit`` outcomes after a position.

        :param restart: return all that are stored if the position is after the last one, as it may be one of another database.
        """

    @abstractmethod
    def followed(self, appid: str, id_: str) -> tuple[Followed, Sequence[PublishedOutcome]] | None:
        """Return a notification and the outcomes that were published of it."""

    @abstractmethod
    def followed_waiting(self, puid: str, limit: int) -> Sequence[Followed]:
        """Return up to ``limit`` notifications of a PUID that have not ended, those sent first first."""

    @abstractmethod
    def outcomes_due(self) -> bool:
        """Return whether a notification is due."""

    @abstractmethod
    def claim_outcomes(self, limit: int, lease_ms: int, after: str | None) -> tuple[Sequence[Followed], int, str | None]:
        """Return up to ``limit`` notifications that are due, and the time. They are due again after ``lease_ms``, or when they expire.

        If more are due, they are equally many of each of the next applications, as one application must not delay the others.
        Those that ended a day ago are deleted.

        :param after: the application after which to continue; None at the beginning.
        :returns: the third value is the next ``after``; None after the last application.
        """

    @abstractmethod
    def postpone_outcomes(self, due_at: Mapping[str, int]) -> None:
        """Make notifications due at a time, by id, or when they expire if that is earlier."""

    @abstractmethod
    def trim_outcomes(self, appid: str, most: int) -> None:
        """Delete the oldest notifications and outcomes of an application, so that ``most`` of each remain."""
