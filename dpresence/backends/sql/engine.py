"""One database for every SQL backend of an app: transactions with a deadline that never block gevent's hub."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import gevent
from gevent import Timeout, monkey
from gevent.threadpool import ThreadPool
from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ...clock import JUMP_SECONDS, Clock
from ...errors import BackendUnavailable, SettingError
from ...private import without_lone_host
from . import postgresql, sqlite
from .calls import Call, LogTruncation
from .fair import FairQueue
from .file import DatabaseFile
from .proof import WriteProof

log = logging.getLogger(__name__)
T = TypeVar("T")
P = ParamSpec("P")

DEADLINE_SECONDS = 5.0
"""How long a call of SQLite may take."""
_PAUSES = (0.001, 0.005, 0.02, 0.1)
"""Seconds that a note waits for somebody else's writing, before it takes its turn in the SQL thread, which is slow when all do."""
_URLS = "a sqlite or postgresql+psycopg URL; in its password, : / ? # @ % are written as %3A %2F %3F %23 %40 %25"


class Database:
    """The database behind an SQLAlchemy URL. To be used from the native thread that made it, by any greenlet of it.

    SQLite: all work but ``read`` and ``note`` runs in one native thread of its own, on one connection. An fsync there stops nobody
    else, and no two native threads ever contend for the write lock. PostgreSQL: each call runs in its own greenlet, on a connection
    of a pool; the hub turns while it waits if gevent had patched the standard library before anything was imported.

    In a process that gevent has not patched, such as the operator's command, PostgreSQL has one native thread, too: what waits
    there for a server that says nothing cannot be woken, but its caller can.

    :param url: a SQLite URL (``sqlite://`` lives in memory) or a PostgreSQL one of psycopg's.
    :param deadline_seconds: how long one call may take, its wait for others included; None is what suits the database.
    :param waiting: how many calls may be under way or wait at the same time, and as many urgent ones.
    :param clock: the clock of this machine, which is SQLite's; None is the real one.
    :param alone: for SQLite, whether no other service may use the file; None for what is no service.
    :raises SettingError: another dialect, a missing driver, or a file that cannot be opened or is another service's; names
        ``directory.url``.
    """

    def __init__(
        self, url: str, deadline_seconds: float | None = None, waiting: int = 1000, clock: Clock | None = None, alone: bool | None = None
    ) -> None:
        parsed = _parse(url)
        at_server = postgresql.understands(parsed)
        self.deadline_seconds = deadline_seconds or (postgresql.DEADLINE_SECONDS if at_server else DEADLINE_SECONDS)
        self._url = url
        self._clock = clock or Clock()
        self._steady = self._clock.steady  # begins now
        self._thread: ThreadPool | None = None
        self._file: DatabaseFile | None = None
        self._reader: Engine | None = None
        self._noter: Engine | None = None
        if at_server:
            self._engine = postgresql.make_engine(parsed, self.deadline_seconds)
        else:
            path = sqlite.path_of(parsed)
            self._file = DatabaseFile(path, alone) if path else None
            # SQLite gives up on another process's lock before the caller gives up on SQLite
            self._engine = sqlite.make_engine(parsed, busy_seconds=self.deadline_seconds * 0.8)
            self._reader, self._noter = sqlite.make_reader(parsed), sqlite.make_noter(parsed)
        if not (at_server and monkey.is_module_patched("select")):
            self._thread = ThreadPool(1)
        slots = postgresql.SLOTS if at_server else sqlite.SLOTS
        self._queue = FairQueue(**slots, most=waiting)
        self._prove_write = postgresql.prove_write if at_server else sqlite.prove_write
        self._proof = WriteProof(lambda: self.run(self._prove_write, urgent=True), self._clock)
        self._closed = False

    def run(self, work: Callable[[Connection], T], deadline_seconds: float | None = None, *, key: str = "", urgent: bool = False) -> T:
        """Run ``work`` in one transaction and return its result; what it raises rolls back.

        A call that missed its deadline changes nothing, unless its commit was already under way.

        :param work: may run more than once, each time in a new transaction of which nothing was kept before.
        :param deadline_seconds: instead of the database's own.
        :param key: whose call it is, an account or an application: each has its turn, and the calls of one keep their order.
        :param urgent: it waits behind no other that is not.
        :raises BackendUnavailable: the driver failed, the deadline passed, or too many calls of this key wait.
        """
        return self._through_queue(Call(self._engine, work), deadline_seconds or self.deadline_seconds, key, urgent)

    def read(self, work: Callable[[Connection], T], *, key: str = "", urgent: bool = False) -> T:
        """Run ``work``, which writes nothing, in one transaction and return its result.

        SQLite: at once, on a connection of its own. A reader of a WAL waits for nobody, and while this thread is busy a
        visit to the SQL thread takes a hundred times as long as a short read: it needs the interpreter's lock again and again.

        :raises BackendUnavailable: see ``run``.
        """
        return self._at_once(self._reader, work, key, urgent)

    def write_nondurable(self, work: Callable[[Connection], T], *, key: str = "", urgent: bool = False) -> T:
        """Run ``work``, which writes little, in one transaction and return its result.

        SQLite: at once, as ``read``, or soon, if somebody else is writing. What it wrote outlives this process, but a loss of
        power may take it back: for what can be said again, such as the use of a ticket.

        :raises BackendUnavailable: see ``run``.
        """
        return self._at_once(self._noter, work, key, urgent)

    def now(self, connection: Connection) -> int:
        """Return the time of day (ms) by the store's own clock, which is one for all processes: what expires is deleted by it."""
        return postgresql.now(connection) if connection.dialect.name == "postgresql" else self._steady.now()

    def settled_now(self, connection: Connection) -> int:
        """Return the time of day (ms) up to which a sweep may delete, by the store's own clock; 0 while that is in doubt."""
        if connection.dialect.name != "postgresql":
            return self._steady.settled()
        now = postgresql.now(connection)
        ahead = (self._clock.now() - now) / 1000
        if abs(ahead) > JUMP_SECONDS:
            log.warning("database: the clock of this machine is %+d s off the database's: set both by NTP", ahead)
        return now

    def _at_once(self, engine: Engine | None, work: Callable[[Connection], T], key: str, urgent: bool) -> T:
        if engine is None:
            return self.run(work, key=key, urgent=urgent)
        self._refuse_lost()
        call = self._try(engine, work)
        if call is None:
            return self.run(work, key=key, urgent=urgent)
        if call.error is not None:
            raise self._refusal(call.error)
        return call.result

    def _try(self, engine: Engine, work: Callable[[Connection], T]) -> Call[T] | None:
        """Carry out a call in this thread; None while others write, and go on writing."""
        for pause in _PAUSES:
            call = Call(engine, work)
            call.execute()
            if not sqlite.is_locked(call.error):
                return call
            if self._queue.crowded:
                break
            gevent.sleep(pause)
        return None

    def prove(self) -> None:
        """Return when the store keeps what is written, by a write that is at most 5 s old.

        :raises BackendUnavailable: it does not: a full or read-only disk, a file that is gone or another one, a read-only server.
        """
        self._refuse_lost()
        self._proof.check()

    def scrub(self) -> None:
        """Take what was deleted out of SQLite's write-ahead log, too. What holds it back is no error: there is a next time."""
        if self._file is not None:
            with suppress(BackendUnavailable):
                if not self._through_queue(LogTruncation(self._engine), self.deadline_seconds, "", urgent=False):
                    log.info("database: somebody reads; its write-ahead log is emptied later")

    def _refuse_lost(self) -> None:
        if self._closed:
            raise BackendUnavailable
        if self._file is not None:
            self._file.check()

    def _through_queue(self, call: Call[T], seconds: float, key: str, urgent: bool) -> T:
        self._refuse_lost()
        try:
            return self._wait(call, seconds, key, urgent)
        finally:
            call.abandoned = True

    def _wait(self, call: Call[T], seconds: float, key: str, urgent: bool) -> T:
        with Timeout(seconds, False), self._queue.slot(key, urgent):
            self._carry_out(call.execute)
            if call.error is not None:
                raise self._refusal(call.error)
            return call.result
        log.warning("database: no answer within %s s", seconds)
        raise BackendUnavailable

    def _carry_out(self, function: Callable[[], None]) -> None:
        if self._thread is None:
            function()
        else:
            self._thread.spawn(function).get()

    def _refusal(self, error: Exception) -> Exception:
        """Return what a caller sees of an error; the log gets the driver's own words, which hold no values."""
        driver = self._engine.dialect.loaded_dbapi
        if not isinstance(error, SQLAlchemyError | driver.Error):
            return error
        log.warning("database: %s: %s", type(error).__name__, without_lone_host(_words(error), self._url))
        refusal = BackendUnavailable()
        refusal.__cause__ = error
        return refusal

    def close(self) -> None:
        """Close the connections and end the SQL thread, within the deadline; harmless when done before."""
        if self._closed:
            return
        self._closed = True
        with Timeout(self.deadline_seconds, False):
            self._carry_out(self._engine.dispose)
            for engine in (self._reader, self._noter):
                if engine is not None:
                    engine.dispose()
            if self._thread is not None:
                self._thread.kill()
        if self._file is not None:
            self._file.close()


def _words(error: Exception) -> str:
    """Return what a driver says of an error, without PostgreSQL's DETAIL, which repeats values."""
    cause = getattr(error, "orig", None) or error
    return getattr(getattr(cause, "diag", None), "message_primary", None) or str(cause).partition("\n")[0]


def _parse(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise SettingError(f"directory.url: must be {_URLS}") from None
    if not (sqlite.understands(url) or postgresql.understands(url)) or "@" in (url.host or ""):
        raise SettingError(f"directory.url: must be {_URLS}")
    return url


class HasDatabase(Protocol):
    """A backend that keeps its rows in a ``Database``.

    Whose call it is, for the queue in front of the database, is said by the first argument of a method: an account or an
    application by its id, or what belongs to one. Methods named in ``urgent``, if the class has it, wait behind no others;
    after those named in ``erasing`` nothing of what was deleted is left in a file.
    """

    database: Database


B = TypeVar("B", bound=HasDatabase)
Method = Callable[Concatenate[B, Connection, P], T]
Caller = Callable[Concatenate[B, P], T]


def transaction(method: Method[B, P, T]) -> Caller[B, P, T]:
    """Make a backend's method one transaction: its body gets the connection, its callers do not see it."""
    return _in_transaction(method, Database.run)


def transaction_of(key: Callable[P, str]) -> Callable[[Method[B, P, T]], Caller[B, P, T]]:
    """Make a backend's method one transaction of an account or application that ``key`` finds in its arguments."""
    return lambda method: _in_transaction(method, Database.run, key)


def reading(method: Method[B, P, T]) -> Caller[B, P, T]:
    """Make a backend's method one transaction that writes nothing; see ``Database.read``."""
    return _in_transaction(method, Database.read)


def nondurable(method: Method[B, P, T]) -> Caller[B, P, T]:
    """Make a backend's method one transaction that writes little; see ``Database.write_nondurable``."""
    return _in_transaction(method, Database.write_nondurable)


def _in_transaction(method: Method[B, P, T], carry_out: Callable[..., Any], key: Callable[P, str] | None = None) -> Caller[B, P, T]:
    @functools.wraps(method)
    def run(self: B, /, *args: P.args, **kwargs: P.kwargs) -> T:
        whose = key(*args, **kwargs) if key else owner_of(args)
        urgent = method.__name__ in getattr(self, "urgent", ())
        result: T = carry_out(self.database, lambda connection: method(self, connection, *args, **kwargs), key=whose, urgent=urgent)
        if method.__name__ in getattr(self, "erasing", ()):
            self.database.scrub()
        return result

    return run


def owner_of(args: Sequence[object]) -> str:
    """Return the account or application that the first argument of a call is, or belongs to; empty where there is none."""
    first = args[0] if args else ""
    if isinstance(first, Sequence) and not isinstance(first, str | bytes):
        first = first[0] if first else ""
    if isinstance(first, str):
        return first
    return next((getattr(first, name) for name in ("user", "owner", "appid", "email") if hasattr(first, name)), "")
