"""Outcomes of notifications whose sender asked for them (docs/protocol.md, section 5)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

NotificationOutcome = Literal["pushed", "delivered", "shown", "opened", "expired", "dropped", "replaced", "cancelled", "revoked"]
NotificationState = Literal["waiting", "pushed", "delivered", "shown", "opened", "expired", "dropped", "replaced", "cancelled", "revoked"]

ENDS: frozenset[NotificationOutcome] = frozenset(("delivered", "expired", "dropped", "replaced", "cancelled", "revoked"))
"""Outcomes after which a notification waits no more. A notification has one of them."""
_AFTER_DELIVERY: frozenset[NotificationOutcome] = frozenset(("shown", "opened"))
FOLLOWED_PREFIX = "o_"
"""Beginning of the ids of notifications whose outcomes are recorded: others cost no look-up."""


def may_follow(published: Collection[str], outcome: NotificationOutcome) -> bool:
    """Return whether an outcome may be published after others of the same notification; each is published once."""
    if outcome in published:
        return False
    return "delivered" in published if outcome in _AFTER_DELIVERY else ENDS.isdisjoint(published)


@dataclass(frozen=True, slots=True)
class Followed:
    """A notification whose outcomes are recorded. Times are milliseconds by the clock of the store, except ``held_at``.

    :param shown: the application's feed showed the user as reachable when it was sent.
    :param due_at: when to check it again; after its end, when to delete it.
    :param position: position in the user's mailbox; None until it is stored there.
    :param held: outcomes that may not be published yet, in order, separated by spaces.
    :param held_at: when the last of them happened, by the clock of the feed: they may be published once the feed has shown the user as
        reachable after that; 0 if it did so when the last one happened; None without any.
    :param ended_at: when the outcome that ended it was published.
    """

    id: str
    appid: str
    puid: str
    shown: bool
    sent_at: int
    expires_at: int
    due_at: int
    position: int | None = None
    held: str = ""
    held_at: int | None = None
    ended_at: int | None = None


@dataclass(frozen=True, slots=True)
class NewFollowed:
    """A notification that is about to be stored; see ``Followed``."""

    id: str
    puid: str
    ttl_ms: int
    shown: bool


@dataclass(frozen=True, slots=True)
class PublishedOutcome:
    """An outcome that the application was sent or may read.

    :param position: order in the application's outcomes.
    :param id: id of the notification.
    :param at: when it became readable, milliseconds.
    """

    position: int
    appid: str
    id: str
    puid: str
    outcome: NotificationOutcome
    at: int
