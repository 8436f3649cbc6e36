"""The directory stores durable facts: accounts, browser sessions, tickets, applications, API keys and grants.

A result that a method has returned survives a crash. Every method may raise ``BackendUnavailable``; it then changes nothing.
The interface is divided by subject, and so is each folder that implements it for one storage technology (``sql``).
``tests/contract/directory.py`` runs against every implementation.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence

from ...measures import StoreMeasures
from ...model import DirectoryVersion
from .accounts import AccountStore
from .applications import ApplicationStore
from .grants import GrantStore
from .known_devices import KnownDeviceStore
from .looks import LookStore
from .outcomes import OutcomeStore
from .pairings import PairedDevice, PairingStore
from .partitions import PartitionStore
from .provider_logouts import ProviderLogoutStore
from .pushes import PushStore
from .schedule import ScheduleStore
from .sessions import SessionStore
from .tickets import TicketStore
from .values import GrantWithApplication, LookCount, OutboxEntry, OutboxKind, PartitionMove, Redeemed, Requester, SignedIn
from .webhooks import WebhookStore

__all__ = [
    "Directory",
    "GrantWithApplication",
    "LookCount",
    "OutboxEntry",
    "OutboxKind",
    "PairedDevice",
    "PartitionMove",
    "Redeemed",
    "Requester",
    "SignedIn",
]


class Directory(
    AccountStore,
    SessionStore,
    TicketStore,
    ProviderLogoutStore,
    PairingStore,
    KnownDeviceStore,
    ApplicationStore,
    GrantStore,
    PushStore,
    LookStore,
    OutcomeStore,
    ScheduleStore,
    PartitionStore,
    WebhookStore,
):
    """Durable facts. Times are milliseconds since the epoch.

    A ``now`` argument determines what is returned, never what is deleted: a process with a wrong clock may miss existing rows,
    but deletes nothing. Expired rows are deleted by the clock of the store.

    Entries that the tracker and the mailbox must apply are written to the outbox in the transaction of the change that causes them.
    A change of a user's own grants or of their override, and each sign-out, increments the revision of their account.

    A method that takes ``requester`` makes the change only if the proof still holds in the transaction of the change: the account exists,
    is not blocked and has the same pin, and the session, if there is one, has not ended. Otherwise the method raises ``SessionEnded``.
    None skips this check; the service and the operator pass it for their own changes.
    """

    measures: StoreMeasures | None = None
    """Counts of the calls to the store."""

    @abstractmethod
    def ping(self) -> None:
        """Reach the store and verify that it accepts writes; a successful write may be a few seconds old.

        :raises BackendUnavailable: the store is unreachable, full, read-only or has been replaced by another one.
        """

    @abstractmethod
    def claim_mode(self, mode: str) -> str:
        """Write ``mode`` (``production`` or ``development``) to a store that has no mode yet; return the stored mode."""

    @abstractmethod
    def version(self) -> DirectoryVersion:
        """Return the version of this directory. It only ever grows, unless the store is restored from a backup."""

    @abstractmethod
    def sweep(self) -> int:
        """Delete all rows that have expired: sessions, tickets, pairings, device credentials, used assertions, logouts
        of providers, retired keys, outcomes and old attempts of webhooks.

        :returns: the number of deleted rows.
        """

    @abstractmethod
    def close(self) -> None:
        """Release all resources. No method may be called afterwards."""

    @abstractmethod
    def outbox(self, owners: Collection[str] | None, after: int, limit: int) -> Sequence[OutboxEntry]:
        """Return up to ``limit`` entries with an id greater than ``after``, oldest first.

        :param owners: return only the entries of these accounts or applications; None for all.
        """

    @abstractmethod
    def count_outbox(self, limit: int) -> int:
        """Return the number of entries of the outbox, at most ``limit``."""

    @abstractmethod
    def note(self, text: str, owner: str) -> int:
        """Add an entry to the outbox that a running service writes to its log; return the id of the entry.

        :param owner: the account or application that the operator has changed.
        """

    @abstractmethod
    def counts(self) -> dict[str, int]:
        """Return the number of accounts, applications and grants, by the names of these lists."""

    @abstractmethod
    def clear_outbox(self, entries: Sequence[OutboxEntry]) -> None:
        """Delete entries that have been applied. Entries that do not exist are ignored."""
