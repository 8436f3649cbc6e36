"""An application's service, for asyncio."""

from __future__ import annotations

import asyncio
import inspect
import queue
import ssl
from functools import partial
from typing import Any, AsyncIterator, Callable, Dict, List, Sequence, Union
from urllib.parse import quote

from ..app_core import AppServiceCore
from ..core import Phase
from ..driver import RANDOM, Driver
from ..errors import NotConnected, OutcomeUnknown, PresenceError, Refused
from ..feed import Feed
from ..inbox import Inbox
from ..outputs import Answered, Deliver, DeliverOutcomes, Stopped
from ..requests import pages
from ..rest import Rest
from ..stores import MemoryStore, Store
from ..table import Table
from ..table_saver import TableSaver
from ..values import Change, Delivery, Lost, Outcome, Outgoing
from ..websocket import channel_url
from .client import OPEN_SECONDS, Client


class AppService(Client):
    """An application's service (docs/protocol.md, section 5).

    :param url: URL of the dpresence service, such as ``https://presence.example.org``.
    :param appid: id of the application.
    :param key: its API key.
    :param store: keeps the table together with its cursor, for example ``FileStore("table.json")``; None: in memory only.
    :param on_outcome: is called by the iteration, between changes, for each outcome of a notification that was sent with ``outcome``;
        it may be a coroutine function. ``store`` keeps the cursor of the outcomes as well. An error leaves the iteration, and the
        outcome comes again.
    :param on_current: is called by the iteration, between changes, with True when the table has become current (see ``current``), after
        the changes that made it so, and with False when the connection was lost; it may be a coroutine function. A program that shows
        statuses elsewhere shows after False that it does not know them.
    :param context: TLS settings; None for the default ones.
    :param open_seconds: longest wait of ``start`` for the first sign-in.
    :param answer_seconds: longest wait of ``notify``.
    :param save_seconds: least time between two saves of the table; with 0 it is saved after each batch of changes.
    :raises ValueError: the URL is not one of a service.
    :raises StoreError: the stored table cannot be used.
    """

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
        open_seconds: float = OPEN_SECONDS,
        answer_seconds: float = 30.0,
        save_seconds: float = 1.0,
    ) -> None:
        super().__init__(open_seconds)
        self._url = channel_url(url, f"/myapps/{appid}")
        self._appid, self._key, self._context = appid, key, context
        self._rest = Rest(url, {"Authorization": f"Bearer {key}"}, context)
        self._on_outcome, self._on_current = on_outcome, on_current
        self._answer_seconds = answer_seconds
        self._answers: Dict[int, asyncio.Future[Any]] = {}
        self.saver = TableSaver(store or MemoryStore(), appid, save_seconds)

    def __repr__(self) -> str:
        return f"<AppService {self._appid}>"

    @property
    def table(self) -> Table:
        """The status of every user who granted access, by PUID, up to the last change that was iterated."""
        return self.saver.table

    @property
    def current(self) -> bool:
        """True if the client is connected and the table has everything: the snapshot or what was missed, and each change since then."""
        return self.connected and self.saver.completed == self.core.connections

    def _make(self) -> None:
        outcomes = None if self._on_outcome is None else self.table.outcomes
        self.core = AppServiceCore(self._key, self.table.cursor, RANDOM, outcomes)
        self.inbox = Inbox(lambda: self.core.has_requests or self.core.phase is Phase.SIGNING_IN)
        handlers: Dict[type, Callable[[Any], None]] = {Deliver: self._deliver, DeliverOutcomes: self._deliver}
        handlers |= {Answered: self._answered, Stopped: self._stopped}
        self.driver = Driver(self.core, self._url, self._context, handlers, self.inbox.may_read, Feed, self._lost)

    def _deliver(self, output: Union[Deliver, DeliverOutcomes]) -> None:
        self.inbox.put(output.batch)

    def _lost(self) -> None:
        self.inbox.put(Lost())

    def _stopped(self, output: Stopped) -> None:
        self._lost()  # before the end, behind which nothing is taken
        self.inbox.end()
        self.driver.note_stopped()

    def _answered(self, output: Answered) -> None:
        future = self._answers.pop(output.number, None)
        if future is not None and not future.done():
            future.set_result(output.results)

    async def close(self) -> None:
        """Disconnect and store the table; return when no task and no thread of the client is left.

        :raises StoreError: the table cannot be stored.
        """
        await super().close()
        self.saver.close()

    async def __aiter__(self) -> AsyncIterator[Change]:
        """Return the changes as they come; the iteration ends when the client is closed.

        A change is processed when the next one is asked for. Only then its cursor is stored, so that a change that was being processed
        during a crash comes again. Use one iteration at a time.

        :raises PresenceError: the service refused the client for good.
        """
        saver = self.saver
        while True:
            for change in saver.changes:
                yield change
            while saver.outcomes:
                processed = self.process(saver.outcomes[0])
                if inspect.isawaitable(processed):
                    await processed
                saver.outcomes.popleft()
            while saver.notices:
                processed = self.process_notice(saver.notices[0])
                if inspect.isawaitable(processed):
                    await processed
                saver.notices.popleft()
            saver.processed()
            if saver.seconds_left == 0:
                await self._save()
            try:
                batch = await self.inbox.get_soon(saver.seconds_left)
            except queue.Empty:
                continue
            if batch is None:
                self.end_of_iteration()
                return
            saver.apply(batch)

    def process(self, outcome: Outcome) -> Any:
        """Call the function for outcomes; return its result."""
        return None if self._on_outcome is None else self._on_outcome(outcome)

    def process_notice(self, current: bool) -> Any:
        """Call the function that is told whether the table is current; return its result."""
        return None if self._on_current is None else self._on_current(current)

    async def _save(self) -> None:
        """Save the table if it is time, in a thread, as the file may be large."""
        if self.driver.stopped.is_set():
            self.saver.save_if_due()
        else:
            await asyncio.get_running_loop().run_in_executor(self.driver.threads, self.saver.save_if_due)

    async def notify(
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
        [result] = await self.notify_many([Outgoing(puid, message, action, source, ttl, topic, idempotency, urgency, outcome)])
        if isinstance(result, PresenceError):
            raise result
        return result

    async def notify_many(self, notifications: Sequence[Outgoing]) -> List[Union[Delivery, Refused]]:
        """Send notifications to several users; return a ``Delivery`` or ``NotFound`` for each, in the same order.

        More than 100 are sent in several frames. An error other than ``NotFound`` refuses a whole frame.

        :raises PresenceError: as in ``notify``; the frames before that one were accepted.
        """
        results: List[Union[Delivery, Refused]] = []
        for page in pages(notifications):
            results += await self._request(page)
        return results

    async def cancel(self, notification: Delivery) -> None:
        """Cancel a notification, so that it is not delivered any more. It makes no difference whether it was delivered before.

        :raises Refused: ``NotFound`` after the grant was revoked.
        :raises NotConnected: the service does not answer.
        :raises ProtocolError: the answer is not that of the service.
        """
        self.check_running()
        path = f"/myapps/{quote(self._appid)}/notifications/{quote(notification.id)}?puid={quote(notification.puid)}"
        call = partial(self._rest.call, "DELETE", path)
        await self.driver.spawn(asyncio.get_running_loop().run_in_executor(self.driver.threads, call))

    async def _request(self, page: List[Dict[str, Any]]) -> Any:
        self.check_running()
        number = self.core.notify(page)
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        self.inbox.hurry()
        self.driver.pump()
        try:
            results = await asyncio.wait_for(future, self._answer_seconds)
        except asyncio.TimeoutError:
            raise self._late(self.core.abandon(number)) from None
        finally:
            self._answers.pop(number, None)
            self.core.abandon(number)
        if isinstance(results, PresenceError):
            raise results
        return results

    def _late(self, sent: bool) -> PresenceError:
        if sent:
            return OutcomeUnknown(f"no answer within {self._answer_seconds:g} s: the notifications may have been accepted or not")
        return NotConnected(f"not connected within {self._answer_seconds:g} s: {self.core.reason or self.core.phase.value}")
