"""A device of a user, for asyncio."""

from __future__ import annotations

import inspect
import secrets
import ssl
from functools import partial
from typing import Any, AsyncIterator, Callable, Dict, List

from ..account_values import AnyNotification
from ..core import log
from ..credentials import Credentials
from ..device_core import DeviceCore
from ..driver import RANDOM, DeviceDriver
from ..heartbeats import Heartbeats
from ..inbox import Inbox
from ..outputs import Cleared, Notified, Stopped, Unread
from ..stores import MemoryTickets, Tickets
from ..values import STATUSES, Notification
from ..websocket import channel_url
from .client import OPEN_SECONDS, Client


class Device(Client):
    """A device of a user (docs/protocol.md, section 3).

    :param url: URL of the dpresence service, such as ``https://presence.example.org``.
    :param email: e-mail address of the user.
    :param credentials: returns an assertion each time one is needed; see ``Credentials``.
    :param device: name of this device: 1 to 64 of ``A-Z a-z 0-9 . _ : -``. Two programs with one name replace each other.
    :param status: first status: ``online``, ``unavailable`` or ``offline``.
    :param tickets: keeps the ticket of the next connection, for example ``FileTickets("ticket")``; None: in memory only.
    :param label: what the user sees of this device, such as ``Kitchen lamp``, unless they rename it: 1 to 64 characters.
    :param kind: ``browser``, ``phone``, ``program``, ``terminal`` or ``other``.
    :param inbox: keep the number of unread notifications in ``unread``.
    :param on_cleared: is called with the ids of notifications that need not be shown any more, as they were read on another device,
        deleted, cancelled or replaced; it may be a coroutine function. One of them may not have been iterated yet.
    :param context: TLS settings; None for the default ones.
    :param open_seconds: longest wait of ``start`` for the first sign-in.
    :raises ValueError: the URL is not one of a service, or the status is none.
    :raises StoreError: the stored ticket cannot be used.
    """

    def __init__(
        self,
        url: str,
        email: str,
        credentials: Credentials,
        *,
        device: str | None = None,
        status: str = "online",
        tickets: Tickets | None = None,
        label: str | None = None,
        kind: str | None = None,
        inbox: bool = False,
        on_cleared: Callable[[List[str]], Any] | None = None,
        context: ssl.SSLContext | None = None,
        open_seconds: float = OPEN_SECONDS,
    ) -> None:
        super().__init__(open_seconds)
        self._url = channel_url(url, "/presence")
        self._email, self._credentials, self._context = email, credentials, context
        self._first = {"device": device, "label": label, "kind": kind, "inbox": inbox, "clears": on_cleared is not None}
        self._on_cleared = on_cleared
        self._status = _checked(status)
        self._tickets = tickets or MemoryTickets()
        self._ticket = self._tickets.load()
        self._unread = 0

    def __repr__(self) -> str:
        return f"<Device {self._first['device'] or 'without a name'}>"

    def _make(self) -> None:
        self.core = DeviceCore(self._email, self._status, self._ticket, RANDOM, self._first)
        self.inbox = Inbox(lambda: True)  # the service sends at most 500 notifications before they are acknowledged
        handlers: Dict[type, Callable[[Any], None]] = {Notified: self._notified, Unread: self._count, Stopped: self._stopped}
        handlers[Cleared] = self._cleared
        self.driver = DeviceDriver(
            self.core,
            self._credentials,
            self._tickets,
            url=self._url,
            context=self._context,
            handlers=handlers,
            may_read=self.inbox.may_read,
            fallback=partial(Heartbeats, str(self._first["device"] or f"heartbeat-{secrets.token_hex(6)}")),
        )

    def _notified(self, output: Notified) -> None:
        for notification in output.notifications:
            self.inbox.put(notification)

    def _count(self, output: Unread) -> None:
        self._unread = output.number

    def _cleared(self, output: Cleared) -> None:
        self.driver.spawn(self._call_with(output.ids))

    async def _call_with(self, ids: List[str]) -> None:
        try:
            result = self._on_cleared(ids) if self._on_cleared else None
            if inspect.isawaitable(result):
                await result
        except Exception:  # of the program's own code
            log.exception("cleared notifications could not be processed")

    def _stopped(self, output: Stopped) -> None:
        self.inbox.end()
        self.driver.note_stopped()

    @property
    def status(self) -> str:
        """The status that this device has or will have. It can be set at any time: the latest one is sent, now or once signed in.

        :raises ValueError: the new status is not ``online``, ``unavailable`` or ``offline``.
        :raises PresenceError: the client has stopped.
        """
        return self._status

    @status.setter
    def status(self, status: str) -> None:
        self._status = _checked(status)
        if self._started:
            self.check_running()
            self.driver.event("set_status", status)

    def set_override(self, status: str | None, until: int | None = None) -> None:
        """Set a status of the whole person, above those of all devices, or end it. The latest call is sent until the service answers.

        :param status: None ends it.
        :param until: when it ends by itself, milliseconds since the epoch; None: when it is ended.
        :raises ValueError: the status is not ``online``, ``unavailable``, ``offline`` or None.
        :raises PresenceError: the client has stopped, or was not started.
        """
        checked = None if status is None else _checked(status)
        self.check_running()
        self.driver.event("set_override", checked, until)

    @property
    def unread(self) -> int:
        """The number of unread notifications in the inbox of the user, as the service has sent it last; 0 without ``inbox``."""
        return self._unread

    def mark_read(self, *notifications: AnyNotification) -> None:
        """Mark notifications as read on all devices of the user: now, or once signed in.

        :raises PresenceError: the client has stopped.
        """
        self.check_running()
        self.driver.event("mark_read", [one.id for one in notifications])

    def report(self, outcome: str, *notifications: AnyNotification) -> None:
        """Say that notifications were ``shown``, or that the user has ``opened`` them, for senders that follow them (section 5).

        :raises ValueError: the outcome is another one.
        :raises PresenceError: the client has stopped.
        """
        if outcome not in ("shown", "opened"):
            raise ValueError(f"outcome: shown or opened; not {outcome!r}")
        self.check_running()
        self.driver.event("report", outcome, [one.id for one in notifications])

    async def wait_closed(self) -> None:
        """Wait until the client is closed.

        :raises PresenceError: the service refused the client for good, for example ``SignedOut`` or ``Replaced``.
        """
        await self.driver.stopped.wait()
        self.end_of_iteration()

    async def __aiter__(self) -> AsyncIterator[Notification]:
        """Return the notifications as they come, each once; the iteration ends when the client is closed.

        A notification is acknowledged when the next one is asked for. The last one of a loop that was left comes again with the next
        connection, and so does one that was being processed during a crash.

        :raises PresenceError: the service refused the client for good.
        """
        while True:
            notification = await self.inbox.get_soon(None)
            if notification is None or self.driver.stopped.is_set():  # what cannot be acknowledged any more comes again
                self.end_of_iteration()
                return
            try:
                yield notification
            except GeneratorExit:  # the program has left its loop
                self.failed(notification)
                raise
            self.acknowledge(notification)

    def acknowledge(self, notification: Notification) -> None:
        """Acknowledge a notification that the program has processed."""
        self.driver.event("acknowledge", [notification.id])

    def failed(self, notification: Notification) -> None:
        """Note that the program could not process a notification: it comes again with the next connection."""
        self.core.failed([notification.id])

    def on_notification(self, callback: Callable[[Notification], Any]) -> None:
        """Call a function, or a coroutine function, for each notification; it is acknowledged afterwards.

        If the function raises, the error is logged, and the notification comes again with the next connection. Use this or the
        iteration, not both.
        """
        self.check_running()
        self.driver.spawn(self._call(callback))

    async def _call(self, callback: Callable[[Notification], Any]) -> None:
        while True:
            notification = await self.inbox.get_soon(None)
            if notification is None or self.driver.stopped.is_set():
                return
            try:
                result = callback(notification)
                if inspect.isawaitable(result):
                    await result
            except Exception:  # of the program's own code
                log.exception("a notification could not be processed")
                self.failed(notification)
            else:
                self.acknowledge(notification)


def _checked(status: str) -> str:
    if status not in STATUSES:
        raise ValueError(f"status: one of {', '.join(STATUSES)}; not {status!r}")
    return status
