"""All data stored about a user, as one document (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeVar

from ..backends.directory import Directory, GrantWithApplication
from ..backends.mailbox import InboxEntry, Mailbox, Waiting
from ..backends.tracker import Tracker
from ..clock import Clock
from ..errors import SlowDown
from ..messages import (
    AccountBody,
    ApplicationBody,
    DeviceBody,
    InboxNotification,
    KnownDeviceBody,
    OwnedWebhook,
    PairedDeviceBody,
    PushSubscriptionBody,
    SessionBody,
    StoredGrant,
    StoredNotification,
    TicketBody,
)
from ..model import Account, Application, Status
from .scheduling import yield_to_loop

_PAGE = 100
_RETRY_SECONDS = 2
K = TypeVar("K", str, int)
T = TypeVar("T")
S = TypeVar("S")

Item = StoredGrant | ApplicationBody | OwnedWebhook | StoredNotification | InboxNotification
Pages = Iterator[Sequence[Item]]
"""The pages of a long list."""
Value = (
    AccountBody
    | Status
    | Sequence[SessionBody]
    | Sequence[TicketBody]
    | Sequence[PairedDeviceBody]
    | Sequence[DeviceBody]
    | Sequence[KnownDeviceBody]
    | Sequence[PushSubscriptionBody]
)
Document = Generator[tuple[str, Value | Pages]]
"""The fields of ``AccountDocument`` as (name, value)."""


class PersonalData:
    """Reads the data stored about users. Long lists are read in pages, and one reader per account is allowed at a time."""

    def __init__(self, directory: Directory, tracker: Tracker, mailbox: Mailbox, clock: Clock) -> None:
        self._directory = directory
        self._tracker = tracker
        self._mailbox = mailbox
        self._clock = clock
        self._reading: set[str] = set()

    def document(self, account: Account) -> Document:
        """Yield the fields of ``AccountDocument`` as (name, value); the value of a long part is an iterator of pages.

        Each part is read when it is requested. Another reader of the account is allowed once the iterator ends or is closed.

        :raises SlowDown: another reader of the account is active; raised at the first part.
        """
        if account.id in self._reading:
            raise SlowDown("account: one answer at a time", retry_after=_RETRY_SECONDS)
        self._reading.add(account.id)
        try:
            yield from self._small_parts(account)
            yield (
                "grants",
                _pages(
                    self._grants_of(account.id),
                    lambda item: item.grant.appid,
                    lambda item: StoredGrant.of(item.grant, item.last_looked, item.looks),
                    "",
                ),
            )
            yield "applications", _pages(self._applications_of(account.id), lambda item: item.id, ApplicationBody.of, "")
            yield "webhooks", self._webhooks_of(account.id)
            yield (
                "notifications",
                _pages(self._waiting_for(account.id), lambda item: item.position, _notification, 0),
            )
            yield "inbox", _pages(self._inbox_of(account.id), lambda item: item.position, _entry, 0)
        finally:
            self._reading.discard(account.id)

    def _small_parts(self, account: Account) -> list[tuple[str, Value]]:
        now, user = self._clock.steady.now(), account.id
        sessions, tickets = self._directory.sessions(user, now), self._directory.tickets(user, now)
        return [
            ("account", AccountBody.of(account)),
            ("sessions", [SessionBody(item.created_at, item.expires_at) for item in sessions]),
            ("tickets", [TicketBody(item.device, item.expires_at) for item in tickets]),
            ("paired", [PairedDeviceBody.of(item) for item in self._directory.credentials(user, now)]),
            ("devices", [DeviceBody.of(item) for item in self._tracker.devices(user)]),
            ("known_devices", [KnownDeviceBody.of(item) for item in self._directory.known_devices(user)]),
            ("push_subscriptions", [PushSubscriptionBody.of(item) for item in self._directory.push_subscriptions(user)]),
            ("status", self._tracker.status(user)),
        ]

    def _grants_of(self, user: str) -> Callable[[str], Sequence[GrantWithApplication]]:
        return lambda after: self._directory.grants_with_applications(user, after, _PAGE)

    def _applications_of(self, user: str) -> Callable[[str], Sequence[Application]]:
        return lambda after: self._directory.applications(user, after, _PAGE)

    def _webhooks_of(self, user: str) -> Pages:
        """Yield the webhooks of each page of the user's applications."""
        for page in _pages(self._applications_of(user), lambda item: item.id, lambda item: item, ""):
            found = [self._directory.webhook(item.id) for item in page]
            yield [OwnedWebhook.of(item, appid=item.appid) for item in found if item is not None]

    def _waiting_for(self, user: str) -> Callable[[int], Sequence[Waiting]]:
        return lambda after: self._mailbox.pending(user, after, _PAGE)

    def _inbox_of(self, user: str) -> Callable[[int], Sequence[InboxEntry]]:
        return lambda before: self._mailbox.inbox(user, before or None, _PAGE)


def _pages(read: Callable[[K], Sequence[T]], key: Callable[[T], K], show: Callable[[T], S], after: K) -> Iterator[list[S]]:
    """Yield pages until one is not full, and yield to the event loop after each."""
    while True:
        page = read(after)
        yield [show(item) for item in page]
        if len(page) < _PAGE:
            return
        after = key(page[-1])
        yield_to_loop()


def _notification(waiting: Waiting) -> StoredNotification:
    return StoredNotification.of(waiting.notification)


def _entry(entry: InboxEntry) -> InboxNotification:
    return InboxNotification.of(entry.notification, entry.domain, entry.read)
