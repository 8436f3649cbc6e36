"""The clients for programs without asyncio: each runs the asyncio client in an event loop in a thread of its own."""

from __future__ import annotations

import queue
import ssl
import threading
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Sequence, Union

from . import aio
from .account_values import AnyNotification
from .core import log
from .credentials import Credentials
from .errors import ClientClosed, Refused
from .stores import Store, Tickets
from .sync_client import Client
from .table import Table
from .values import Change, Delivery, Notification, Outcome, Outgoing


async def _in_loop(work: Callable[[], None]) -> None:
    work()


class AppService(Client[aio.AppService]):
    """An application's service. Its parameters and errors are those of ``dpresence_client.aio.AppService``."""

    def __init__(
        self,
        url: str,
        appid: str,
        key: str,
        *,
        store: Store | None = None,
        on_outcome: Callable[[Outcome], Any] | None = None,
        on_current: Callable[[bool], Any] | None = None,
        context: ssl.SSLContext | None = None,
        open_seconds: float = aio.OPEN_SECONDS,
        answer_seconds: float = 30.0,
        save_seconds: float = 1.0,
    ) -> None:
        times: Dict[str, Any] = {"open_seconds": open_seconds, "answer_seconds": answer_seconds, "save_seconds": save_seconds}
        super().__init__(
            aio.AppService(url, appid, key, store=store, on_outcome=on_outcome, on_current=on_current, context=context, **times)
        )

    @property
    def table(self) -> Table:
        """The status of every user who granted access, by PUID, up to the last change that was iterated."""
        return self._client.table

    @property
    def current(self) -> bool:
        """True if the client is connected and the table has everything: the snapshot or what was missed, and each change since then."""
        return self._client.current

    def __iter__(self) -> Iterator[Change]:
        """Return the changes as they come; the iteration ends when the client is closed.

        A change is processed when the next one is asked for. Only then its cursor is stored, so that a change that was being processed
        during a crash comes again. Use one iteration at a time.

        :raises PresenceError: the service refused the client for good.
        """
        saver, inbox = self._client.saver, self._inbox()
        while True:
            yield from saver.changes
            while saver.outcomes:
                self._client.process(saver.outcomes[0])
                saver.outcomes.popleft()
            while saver.notices:
                self._client.process_notice(saver.notices[0])
                saver.notices.popleft()
            saver.processed()
            saver.save_if_due()
            try:
                batch = inbox.get(saver.seconds_left)
            except queue.Empty:
                continue
            if batch is None:
                self._client.end_of_iteration()
                return
            saver.apply(batch)

    def _inbox(self) -> Any:
        if self._thread is None:
            raise ClientClosed("this client is not started")
        return self._client.inbox

    def notify(
        self,
        puid: str,
        message: str = "",
        *,
        action: str = "",
        source: str | None = None,
        ttl: int | None = None,
        topic: str | None = None,
        idempotency: str | None = None,
        urgency: str | None = None,
        outcome: bool = False,
    ) -> Delivery:
        """Send a notification to one user; see ``Outgoing`` for the values.

        :raises Refused: the service refused it, for example ``NotFound`` after the grant was revoked, ``InvalidField``, ``SlowDown``.
        :raises NotConnected: there was no connection within ``answer_seconds``. Nothing was sent.
        :raises OutcomeUnknown: it was sent, and the connection ended before the answer, or there was none within ``answer_seconds``.
            It is not sent again, because it might then come twice. With a key in ``idempotency`` the program can send it again.
        """
        outgoing = Outgoing(puid, message, action, source, ttl, topic, idempotency, urgency, outcome)
        return self.running_thread().call(self._client.notify(**outgoing._asdict()))

    def notify_many(self, notifications: Sequence[Outgoing]) -> List[Union[Delivery, Refused]]:
        """Send notifications to several users; return a ``Delivery`` or ``NotFound`` for each, in the same order.

        :raises PresenceError: as in ``notify``. More than 100 are sent in several frames; those before the refused one were accepted.
        """
        return self.running_thread().call(self._client.notify_many(notifications))

    def cancel(self, notification: Delivery) -> None:
        """Cancel a notification; see ``dpresence_client.aio.AppService.cancel`` for the errors, ``ProtocolError`` among them."""
        self.running_thread().call(self._client.cancel(notification))


class Device(Client[aio.Device]):
    """A device of a user. Its parameters and errors are those of ``aio.Device``.

    :param on_cleared: a function, not a coroutine function. It is called in a thread that ends with ``close``, and may use the device.
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
        open_seconds: float = aio.OPEN_SECONDS,
    ) -> None:
        options: Dict[str, Any] = {"device": device, "status": status, "tickets": tickets, "label": label, "kind": kind, "inbox": inbox}
        self._on_cleared = on_cleared
        self._cleared: queue.SimpleQueue[List[str] | None] = queue.SimpleQueue()
        options["on_cleared"] = self._cleared.put if on_cleared is not None else None
        super().__init__(aio.Device(url, email, credentials, **options, context=context, open_seconds=open_seconds))
        self._callbacks: List[threading.Thread] = []

    def start(self) -> None:
        """Connect; return when the client has signed in, or after ``open_seconds``, when it keeps trying by itself.

        :raises PresenceError: the service refused the client for good, for example ``InvalidCredentials``.
        """
        super().start()
        if self._on_cleared is not None:
            self._start_thread(self._call_cleared, self._on_cleared)

    @property
    def status(self) -> str:
        """The status that this device has or will have. It can be set at any time: the latest one is sent, now or once signed in.

        :raises ValueError: the new status is not ``online``, ``unavailable`` or ``offline``.
        :raises PresenceError: the client has stopped.
        """
        return self._client.status

    @status.setter
    def status(self, status: str) -> None:
        if self._thread is None:
            self._client.status = status
        else:
            self.running_thread().call(_in_loop(partial(setattr, self._client, "status", status)))

    def set_override(self, status: str | None, until: int | None = None) -> None:
        """Set or end a status of the whole person; see ``dpresence_client.aio.Device.set_override``."""
        self.running_thread().call(_in_loop(partial(self._client.set_override, status, until)))

    @property
    def unread(self) -> int:
        """See ``aio.Device.unread``."""
        return self._client.unread

    def mark_read(self, *notifications: AnyNotification) -> None:
        """See ``aio.Device.mark_read``."""
        self.running_thread().loop.call_soon_threadsafe(self._client.mark_read, *notifications)

    def report(self, outcome: str, *notifications: AnyNotification) -> None:
        """See ``aio.Device.report``."""
        self.running_thread().call(_in_loop(partial(self._client.report, outcome, *notifications)))

    def wait_closed(self) -> None:
        """Wait until the client is closed.

        :raises PresenceError: the service refused the client for good, for example ``SignedOut`` or ``Replaced``.
        """
        self.running_thread().call(self._client.wait_closed())

    def __iter__(self) -> Iterator[Notification]:
        """Return the notifications as they come, each once; the iteration ends when the client is closed.

        A notification is acknowledged when the next one is asked for. The last one of a loop that was left comes again with the next
        connection, and so does one that was being processed during a crash.

        :raises PresenceError: the service refused the client for good.
        """
        while (notification := self._next()) is not None:
            try:
                yield notification
            except GeneratorExit:  # the program has left its loop
                self._post(self._client.failed, notification)
                raise
            self._post(self._client.acknowledge, notification)
        self._client.end_of_iteration()

    def on_notification(self, callback: Callable[[Notification], Any]) -> None:
        """Call a function for each notification, in a thread that ends with ``close``; the notification is acknowledged afterwards.

        If the function raises, the error is logged, and the notification comes again with the next connection. Use this or the
        iteration, not both.
        """
        self.running_thread()
        self._start_thread(self._call, callback)

    def _start_thread(self, work: Callable[[Any], None], callback: Callable[[Any], Any]) -> None:
        thread = threading.Thread(target=work, args=(callback,), name="dpresence-notifications", daemon=True)
        self._callbacks.append(thread)
        thread.start()

    def _call(self, callback: Callable[[Notification], Any]) -> None:
        while (notification := self._next()) is not None:
            try:
                callback(notification)
            except Exception:  # of the program's own code
                log.exception("a notification could not be processed")
                self._post(self._client.failed, notification)
            else:
                self._post(self._client.acknowledge, notification)

    def _call_cleared(self, callback: Callable[[List[str]], Any]) -> None:
        while (ids := self._cleared.get()) is not None:
            try:
                callback(ids)
            except Exception:  # of the program's own code
                log.exception("cleared notifications could not be processed")

    def _next(self) -> Notification | None:
        """Return the next notification; None at the end. What cannot be acknowledged any more comes again."""
        found: Notification | None = self._client.inbox.get(None)
        return None if self._client.driver.stopped.is_set() else found

    def _post(self, work: Callable[[Notification], None], notification: Notification) -> None:
        if self._thread is not None and not self._thread.loop.is_closed():
            self._thread.loop.call_soon_threadsafe(work, notification)

    def close(self) -> None:
        """Disconnect; return when no thread of the client is left. A function that is being called is waited for.

        The device keeps its status for the grace of the service (15 s), unless ``status`` was set to ``offline`` before.
        """
        super().close()
        self._cleared.put(None)
        for thread in self._callbacks:
            if thread is not threading.current_thread():
                thread.join()
