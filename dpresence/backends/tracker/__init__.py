"""The tracker stores users' presence: devices and their grace periods, each user's status, and a feed per application. It sends signals.

The tracker decides what an application is sent: it merges the statuses of a user's devices and, when the result changes, appends to the
feed of each application that has access, in one step. It stores no e-mail addresses and no grants; the caller passes the grants.
Each storage technology is one file of this package; ``tests/contract/tracker.py`` runs against every one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from ...measures import StoreMeasures
from ...model import ERASED, Device, DirectoryVersion, Grant, GrantSet, Status
from .feed_store import DROPPED_SECONDS, FeedStore
from .results import Connected, Lost, PublishedCounts, StaleGrants, Updated

__all__ = ["DROPPED_SECONDS", "Connected", "Listener", "Lost", "PublishedCounts", "StaleGrants", "Topic", "Tracker", "Updated"]

Topic = Literal[
    "feed", "mail", "inbox", "grants", "account", "ticket", "device", "replaced",
    "logout", "outcomes", "application", "changes", "missed", "forgotten", "damaged", "moved",
]  # fmt: skip
"""Topic of a signal; docs/architecture.md describes all of them. The tracker itself sends these:

- ``missed``, without a key: signals of any topic may have been lost.
- ``forgotten``, without a key: the devices of this process may have been lost, and must be connected again.
- ``forgotten``, with a user: that user's devices were lost.
- ``moved``, without a key: a partition may be at another server. A tracker in partitions handles it.
- ``damaged``, with an application: its feed was emptied. It cannot be read until every PUID was added to it again and it is ``rebuilt``.
"""
Listener = Callable[[Topic, str], None]


class Tracker(FeedStore):
    """Users' presence. Every method may raise ``BackendUnavailable`` and then changes nothing.

    Rules of status, grace and feeds: docs/protocol.md, sections 4 and 5. ``grants`` are always all grants of the user, with their
    override. A method that takes them raises ``StaleGrants`` if the tracker has seen a newer revision of that user's account.
    Status changes reach applications at a limited rate (docs/protocol.md, section 4): each change to a status other than
    ``offline`` takes a token from the user's bucket (``presence.status_rate``, ``presence.status_burst``). If the bucket is empty,
    the change is postponed, and ``append_postponed`` later sends the status of that time.
    An application is sent only changes: a status that differs from the newest entry of the PUID. The time of an entry is rounded
    down to the second and is not earlier than its grant's ``since`` or the PUID's previous entry.
    """

    is_remote: bool = False
    """True if methods may wait for a store. If so, code that must not block, such as a callback of the event loop, must not call them."""

    measures: Sequence[StoreMeasures] = ()
    """Counts of the calls to each store."""

    epoch: str
    """Identifies this tracker's data, which is deleted as a whole."""

    remembers_since: int
    """Start (milliseconds) of this tracker's data; anything earlier is lost."""

    # -- signals between processes

    @abstractmethod
    def subscribe(self, listener: Listener, reads: Callable[[str], bool] = lambda appid: False) -> None:
        """Call ``listener(topic, key)`` for each signal of any process. The listener must neither block nor raise.

        :param reads: returns whether the listener reads an application's feed after its signal, see ``read_now``.
        """

    @abstractmethod
    def signal(self, topic: Topic, key: str) -> None:
        """Signal to every process that something of ``topic`` changed for ``key``."""

    # -- devices

    @abstractmethod
    def connect(
        self, user: str, device: str | None, connection: str, status: Status, grants: GrantSet, limit: int, sign_in_revision: int
    ) -> Connected:
        """Connect a device with ``status``; ``connection`` owns the device from now on.

        A device in grace is taken over without a visible change. A connection without a name takes over a nameless device in grace.

        :param limit: maximum number of connected devices of a user.
        :param sign_in_revision: revision of the account when this connection signed in.
        :raises TooMany: the user already has ``limit`` other devices connected.
        """

    @abstractmethod
    def update(self, user: str, device: str, connection: str, status: Status, grants: GrantSet, sign_in_revision: int = 0) -> bool:
        """Change a device's status; return False without a change if the device has another connection, was signed out, or is not known.

        :param sign_in_revision: revision of the account when the connection signed in again, 0 if it did not.
        """

    @abstractmethod
    def begin_update(self, user: str, device: str, connection: str, status: Status, grants: GrantSet, done: Updated) -> None:
        """Start an ``update`` without waiting for its end.

        :raises BackendUnavailable: nothing was changed, and ``done`` is not called.
        """

    @abstractmethod
    def apply_override(self, user: str, grants: GrantSet) -> None:
        """Compute a user's status again, because their override has changed; the reason of the change is ``explicit``."""

    @abstractmethod
    def leave(self, user: str, device: str, connection: str) -> None:
        """End a connection: the device's grace period starts, unless another connection owns the device.

        A device that is ``offline`` is deleted instead, unless that would change the user's status, which an override determines.
        """

    @abstractmethod
    def remove(self, user: str, device: str, grants: GrantSet, before_revision: int = ERASED, connection: str = "") -> bool:
        """Sign a device out at once; return False if there is no such device.

        :param before_revision: only if the device signed in before the account had this revision.
        :param connection: only if this connection owns the device; "" for any connection or none.
        """

    @abstractmethod
    def remove_all(self, user: str, grants: GrantSet, before_revision: int = ERASED) -> None:
        """Sign out at once every device of a user that signed in before the account had the revision ``before_revision``."""

    @abstractmethod
    def signed_out(self, user: str, device: str, connection: str, sign_in_revision: int) -> bool:
        """Return whether a connection that does not own its device any more was signed out, and not lost with data of the store.

        :param sign_in_revision: revision of the account when this connection signed in: the device may have been swept before the sign-out.
        """

    @abstractmethod
    def due(self) -> Sequence[str]:
        """Return users who have a device whose grace period, or whose process's lease, has ended."""

    @abstractmethod
    def expire(self, user: str, grants: GrantSet) -> Lost:
        """Delete the devices of a user that are due, as read again now; the reason of the change is ``lost``."""

    @abstractmethod
    def renew(self) -> None:
        """Renew the lease of this process's connections."""

    @abstractmethod
    def devices(self, user: str) -> Sequence[Device]:
        """Return a user's live devices by name."""

    @abstractmethod
    def status(self, user: str) -> Status:
        """Return a user's status: the override, else the merged status of their devices; ``offline`` without a live device."""

    @abstractmethod
    def sent_status(self, user: str) -> Status:
        """Return the status that applications were last sent; it differs from ``status`` while a change is postponed."""

    # -- the rate of a user's changes

    @abstractmethod
    def charge(self, user: str) -> float:
        """Take a token for a change that the caller will make; return 0, or the seconds until a token is available."""

    @abstractmethod
    def postponed(self) -> Sequence[str]:
        """Return users whose postponed changes are due; only some of them if there are many."""

    @abstractmethod
    def append_postponed(self, user: str, grants: GrantSet) -> None:
        """Append a user's status to the feeds that do not show it, or postpone this again."""

    # -- changes of feeds

    @abstractmethod
    def append_grant(self, grant: Grant, revision: int) -> None:
        """Append a new PUID to an application's feed, with what the grant shows of ``sent_status``, unless its newest entry says the same.

        This takes no token: the caller has charged the user, see ``charge``.

        :param revision: revision of the account when the grant was read; see ``StaleGrants``.
        """

    @abstractmethod
    def append_revocation(self, grant: Grant, revision: int = 0) -> None:
        """Append the revocation of a PUID to an application's feed; its earlier entries are deleted and none can follow.

        :param grant: its ``user`` may be "" if nobody knows whose grant it was; then only a feed that shows the PUID is changed.
        :param revision: revision of the account since the grant was deleted, 0 if unknown; never refused as stale.
        """

    @abstractmethod
    def append_current_status(self, grant: Grant, revision: int) -> None:
        """Append what a changed grant shows, unless the feed already shows it.

        A status other than ``offline`` takes a token or is postponed.

        :param revision: see ``append_grant``.
        """

    @abstractmethod
    def forget_revision(self, user: str) -> None:
        """Forget the newest revision seen of an account and accept older ones: the directory was restored from a backup."""

    # -- between processes

    @abstractmethod
    def publish(self, report: str, counts: Mapping[str, float]) -> None:
        """Publish a text and counts of this process to all processes, replacing its previous ones.

        The text is deleted with this process or its lease. The counts are then added to those of other processes that have ended.
        """

    @abstractmethod
    def published(self) -> PublishedCounts:
        """Return what all processes have published, as of one moment."""

    @abstractmethod
    def claim(self, task: str, seconds: float) -> bool:
        """Return True to the first process that calls this, and False to all for so many seconds afterwards.

        Another one may get True as well while a part is unavailable: what is done twice must do no harm.
        """

    # -- the tracker as a whole

    @abstractmethod
    def record_version(self, version: DirectoryVersion) -> bool:
        """Record the directory's newest version; return False and record nothing if it is older, or is of another directory.

        Parts that are unavailable are left out, unless all are.
        """

    @abstractmethod
    def reset(self) -> None:
        """Delete all data: feeds get a new epoch, and every process connects its devices again."""

    @abstractmethod
    def ping(self) -> None:
        """Reach the store, or raise ``BackendUnavailable``."""

    @abstractmethod
    def close(self) -> None:
        """Release all resources. No method may be called afterwards."""
