"""The tracker: who is where. Devices and their grace, each user's status, a feed per application, signals.

The tracker decides what an application is told: it merges a user's devices and, when the result changes, appends to the
feed of each application that may know, in one step. It holds no e-mail and no grant; the caller brings the grants.
One technology is one file beside this one; ``tests/contract/tracker.py`` runs against each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ...model import ERASED, Device, DirectoryVersion, Grant, GrantSet, Status, Update

Topic = Literal["feed", "mail", "grants", "account", "ticket", "device", "replaced", "application", "missed", "forgotten", "damaged"]
"""What a signal is about. Two come from the tracker itself, with an empty key: ``missed``, signals of any topic may have
been missed; ``forgotten``, the devices of this process may be forgotten, and have to be connected again. Two tell of damage in
the store: ``forgotten`` with a user whose devices are; ``damaged`` with an application whose feed is empty, and refuses to be
read until it shows everybody again and is ``rebuilt``.
"""
Listener = Callable[[Topic, str], None]

DROPPED_SECONDS = 600
"""For so long a dropped feed stays away: by then every process has heard that the application's grants are gone."""


@dataclass(frozen=True, slots=True)
class Connected:
    """What a new connection of a device led to.

    :param device: the device's name; one made here, starting with ``~``, for a nameless one.
    :param replaced: the connection it took the device from, if that was still open.
    """

    device: str
    replaced: str | None


class StaleGrants(Exception):
    """The grants of a call are older than a revision the tracker has seen; nothing was changed. Load them and call again."""


class Tracker(ABC):
    """Who is where. Every method may raise ``BackendUnavailable`` and changes nothing then.

    Rules of status, grace and feed: docs/protocol.md, sections 4 and 5. ``grants`` are always all grants of the user. A
    method that takes them raises ``StaleGrants`` when the tracker has seen a newer revision of that user's account.
    A user's status changes reach applications at a limited rate (docs/protocol.md, section 4): each change that is not to
    ``offline`` takes a token of the user's bucket (``presence.status_rate``, ``presence.status_burst``). Where none is left,
    applications are told later what holds then, by ``tell_postponed``.
    An application is told only what is news to it: a status that is not the one its newest entry of the PUID has. The time
    of an entry is rounded down to the second and lies neither before its grant's ``since`` nor before the PUID's last entry.
    """

    waits: bool = False
    """Whether a method may wait for a store; what must not wait, as a callback of the hub, must not call it then."""

    remembers_since: int
    """Since when (milliseconds) this tracker knows who is where; what was before is forgotten."""

    # -- signals between processes

    @abstractmethod
    def subscribe(self, listener: Listener) -> None:
        """Call ``listener(topic, key)`` for each signal of any process; it must neither wait nor raise."""

    @abstractmethod
    def signal(self, topic: Topic, key: str) -> None:
        """Tell every process that something of ``topic`` changed for ``key``."""

    # -- devices

    @abstractmethod
    def connect(
        self, user: str, device: str | None, connection: str, status: Status, grants: GrantSet, limit: int, signed: int
    ) -> Connected:
        """Let ``connection`` speak for a device from now on, with ``status``.

        A device in grace is taken over unseen; without a name, a nameless device of the user that is in grace.

        :param limit: how many connected devices a user may have.
        :param signed: revision of the account when this connection signed in.
        :raises TooMany: the user has that many others connected.
        """

    @abstractmethod
    def update(self, user: str, device: str, connection: str, status: Status, grants: GrantSet, signed: int = 0) -> bool:
        """Change a device's status; False, and nothing happens, when another connection speaks for it by now.

        :param signed: revision of the account when the connection signed in again, 0 when it did not.
        """

    @abstractmethod
    def leave(self, user: str, device: str, connection: str) -> None:
        """End a connection: grace begins, or nothing happens when another connection speaks for the device."""

    @abstractmethod
    def remove(self, user: str, device: str, grants: GrantSet, before: int = ERASED) -> bool:
        """Sign a device out at once, whoever speaks for it; False when there is none of that name.

        :param before: only if it signed in before the account had this revision.
        """

    @abstractmethod
    def remove_all(self, user: str, grants: GrantSet, before: int = ERASED) -> None:
        """Sign every device of a user out at once that signed in before the account had the revision ``before``."""

    @abstractmethod
    def signed_out(self, connection: str) -> bool:
        """Return whether a connection that speaks for no device any more had it signed out, and not lost by the store."""

    @abstractmethod
    def due(self) -> Sequence[str]:
        """Return users with a device whose grace, or whose process's lease, is over."""

    @abstractmethod
    def expire(self, user: str, grants: GrantSet) -> None:
        """Drop those devices of a user that are due now, reading the state again; the change is ``lost``."""

    @abstractmethod
    def renew(self) -> None:
        """Renew the lease of this process's connections."""

    @abstractmethod
    def devices(self, user: str) -> Sequence[Device]:
        """Return a user's live devices by name."""

    @abstractmethod
    def status(self, user: str) -> Status:
        """Return a user's merged status."""

    @abstractmethod
    def told_status(self, user: str) -> Status:
        """Return the merged status that applications were told last; another one than ``status`` while a change is postponed."""

    # -- the rate of a user's changes

    @abstractmethod
    def charge(self, user: str) -> float:
        """Take a token for a change that the caller is about to make; return 0, or the seconds until there is one."""

    @abstractmethod
    def postponed(self) -> Sequence[str]:
        """Return users of whom applications may be told by now what was postponed; some of them where there are many."""

    @abstractmethod
    def tell_postponed(self, user: str, grants: GrantSet) -> None:
        """Tell applications a user's status if they do not know it, or postpone that again."""

    # -- feeds

    @abstractmethod
    def granted(self, grant: Grant, revision: int) -> None:
        """Tell an application of a new PUID, with the user's told status; nothing when that was its last news.

        It takes no token: the caller has charged the user, see ``charge``.

        :param revision: of the account when the grant was read; see ``StaleGrants``.
        """

    @abstractmethod
    def revoked(self, grant: Grant, revision: int = 0) -> None:
        """Tell an application that a PUID is dead; its earlier entries leave the log and none can follow.

        :param revision: of the account since the grant is gone, 0 when it is not known; never refused.
        """

    @abstractmethod
    def refresh(self, grant: Grant, revision: int) -> None:
        """Tell an application what it may see now that a grant was paused or resumed; nothing when it saw that.

        A status that is not ``offline`` takes a token or is postponed.

        :param revision: see ``granted``.
        """

    @abstractmethod
    def forget_revision(self, user: str) -> None:
        """Forget the newest revision that was seen of an account, so that older ones count again: the directory went back."""

    @abstractmethod
    def snapshot(self, appid: str) -> tuple[dict[str, Update], int]:
        """Return the newest entry of each PUID and the offset the feed stands at, both of one moment.

        A PUID that is not in it has been ``offline`` for as long as the tracker remembers.
        """

    @abstractmethod
    def latest(self, appid: str, puids: Sequence[str]) -> dict[str, Update]:
        """Return the newest entries of some PUIDs."""

    @abstractmethod
    def read(self, appid: str, offset: int, limit: int) -> Sequence[Update] | None:
        """Return up to ``limit`` entries after ``offset``, oldest first; None when the log does not reach back to it."""

    @abstractmethod
    def cursor(self, offset: int) -> str:
        """Return the wire form of an offset: ``epoch:offset``."""

    @abstractmethod
    def offset(self, appid: str, cursor: str) -> int | None:
        """Return the offset of a cursor the log still covers, else None: also for text that is no cursor."""

    @abstractmethod
    def applications(self, after: str, limit: int) -> Sequence[str]:
        """Return up to ``limit`` ids of applications that have a feed, in order, those after ``after``."""

    @abstractmethod
    def rebuilt(self, appid: str) -> None:
        """Let a feed be read again that was ``damaged`` and shows again what each PUID looks like."""

    @abstractmethod
    def trim(self, appid: str) -> bool:
        """Take out of a feed's log what is too old; return whether there may be more, since one call takes a bounded number."""

    @abstractmethod
    def drop(self, appid: str) -> None:
        """Forget the feed of an application that is gone. For ``DROPPED_SECONDS`` it does not come back by a late change."""

    # -- between processes

    @abstractmethod
    def publish(self, figures: str) -> None:
        """Let every process read a text of this one, in the place of its last; it ends with this process or its lease."""

    @abstractmethod
    def published(self) -> Sequence[str]:
        """Return what each process has published, in no order."""

    @abstractmethod
    def claim(self, task: str, seconds: float) -> bool:
        """Return True to the first of all processes that asks, and to none for so many seconds after that."""

    # -- the whole

    @abstractmethod
    def follows(self, version: DirectoryVersion) -> bool:
        """Note the newest version of the directory; False, and nothing is noted, when this one is older or another directory's."""

    @abstractmethod
    def begin_anew(self) -> None:
        """Forget everything: feeds get a new epoch, and every process connects its devices again."""

    @abstractmethod
    def ping(self) -> None:
        """Reach the store, or raise ``BackendUnavailable``."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held; nothing may be called after it."""
