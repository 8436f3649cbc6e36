"""One database for every SQL backend of an app: transactions with a deadline that never block gevent's hub."""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

import gevent
from gevent import Timeout, monkey
from gevent.threadpool import ThreadPool
from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ...clock import JUMP_SECONDS, Clock, SettledClock
from ...errors import BackendUnavailable, SettingError
from . import postgresql, sqlite

log = logging.getLogger(__name__)
T = TypeVar("T")
P = ParamSpec("P")

DEADLINE_SECONDS = 5.0
"""How long a call of SQLite may take."""
_PAUSES = (0.001, 0.005, 0.02, 0.1)
"""Seconds that a note waits for somebody else's writing, before it takes its turn in the SQL thread, which is slow when all do."""
ATTEMPTS = 5
"""How often a transaction may begin that the server broke off for another one's sake."""
_URLS = "a sqlite or postgresql+psycopg URL; in its password, : / ? # @ % are written as %3A %2F %3F %23 %40 %25"
_BROKEN_OFF = ("40001", "40P01", postgresql.READ_ONLY)  # SQLSTATE: serialization failure, deadlock; nothing was kept


class _Abandoned(Exception):
    """Nobody waits for this call any more: roll it back."""


class _Call(Generic[T]):
    """One transaction on its way; ``abandoned`` is set by a caller that stopped waiting."""

    __slots__ = ("abandoned", "engine", "error", "result", "work")

    result: T

    def __init__(self, engine: Engine, work: Callable[[Connection], T]) -> None:
        self.engine = engine
        self.work = work
        self.error: Exception | None = None
        self.abandoned = False

    def execute(self) -> None:
        """Run the transaction, again when it was broken off. Nothing is raised: gevent would print it in the SQL thread."""
        for _ in range(ATTEMPTS):
            self.error = self._attempt()
            if getattr(getattr(self.error, "orig", None), "sqlstate", None) not in _BROKEN_OFF:
                return

    def _attempt(self) -> Exception | None:
        try:
            self._wanted()
            with self.engine.begin() as connection:
                self.result = self.work(connection)
                self._wanted()
        except Exception as error:  # carried to the caller, who raises it
            if isinstance(error, SQLAlchemyError):
                _let_go(error)
            return error
        except BaseException as error:  # thrown by the caller, who has stopped waiting
            _let_go(error)
            raise
        return None

    def _wanted(self) -> None:
        if self.abandoned:
            raise _Abandoned


class Database:
    """The database behind an SQLAlchemy URL. To be used from the native thread that made it, by any greenlet of it.

    SQLite: all work but ``read`` and ``note`` runs in one native thread of its own, on one connection. An fsync there stops nobody
    else, and no two native threads ever contend for the write lock. PostgreSQL: each call runs in its own greenlet, on a connection
    of a pool; the hub turns while it waits if gevent had patched the standard library before anything was imported.

    In a process that gevent has not patched, such as the operator's command, PostgreSQL has one native thread, too: what waits
    there for a server that says nothing cannot be woken, but its caller can.

    :param url: a SQLite URL (``sqlite://`` lives in memory) or a PostgreSQL one of psycopg's.
    :param deadline_seconds: how long one call may take, its wait for others included; None is what suits the database.
    :param waiting: how many calls may be under way or wait at the same time.
    :param clock: the clock of this machine, which is SQLite's; None is the real one.
    :raises SettingError: another dialect, a missing driver, or a file that cannot be opened; names ``directory.url``.
    """

    def __init__(self, url: str, deadline_seconds: float | None = None, waiting: int = 1000, clock: Clock | None = None) -> None:
        parsed = _parse(url)
        at_server = postgresql.understands(parsed)
        self.deadline_seconds = deadline_seconds or (postgresql.DEADLINE_SECONDS if at_server else DEADLINE_SECONDS)
        self.waiting = waiting
        self._clock = clock or Clock()
        self._settled = SettledClock(self._clock)
        self._thread: ThreadPool | None = None
        self._reader: Engine | None = None
        self._noter: Engine | None = None
        if at_server:
            self._engine = postgresql.make_engine(parsed, self.deadline_seconds)
        else:
            # SQLite gives up on another process's lock before the caller gives up on SQLite
            self._engine = sqlite.make_engine(parsed, busy_seconds=self.deadline_seconds * 0.8)
            self._reader, self._noter = sqlite.make_reader(parsed), sqlite.make_noter(parsed)
        if not (at_server and monkey.is_module_patched("select")):
            self._thread = ThreadPool(1)
        self._calls = 0
        self._closed = False

    def run(self, work: Callable[[Connection], T], deadline_seconds: float | None = None) -> T:
        """Run ``work`` in one transaction and return its result; what it raises rolls back.

        A call that missed its deadline changes nothing, unless its commit was already under way.

        :param work: may run more than once, each time in a new transaction of which nothing was kept before.
        :param deadline_seconds: instead of the database's own.
        :raises BackendUnavailable: the driver failed, the deadline passed, or too many calls wait.
        """
        if self._closed or self._calls >= self.waiting:
            raise BackendUnavailable
        call = _Call(self._engine, work)
        self._calls += 1
        try:
            return self._wait(call, deadline_seconds or self.deadline_seconds)
        finally:
            self._calls -= 1
            call.abandoned = True

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which writes nothing, in one transaction and return its result.

        SQLite: at once, on a connection of its own. A reader of a WAL waits for nobody, and while this thread is busy a
        visit to the SQL thread takes a hundred times as long as a short read: it needs the interpreter's lock again and again.

        :raises BackendUnavailable: see ``run``.
        """
        return self._at_once(self._reader, work)

    def note(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which writes little, in one transaction and return its result.

        SQLite: at once, as ``read``, or soon, if somebody else is writing. What it wrote outlives this process, but a loss of
        power may take it back: for what can be said again, such as the use of a ticket.

        :raises BackendUnavailable: see ``run``.
        """
        return self._at_once(self._noter, work)

    def now(self, connection: Connection) -> int:
        """Return the time of day (ms) by the store's own clock, which is one for all processes: what expires is deleted by it."""
        return postgresql.now(connection) if connection.dialect.name == "postgresql" else self._clock.now()

    def settled_now(self, connection: Connection) -> int:
        """Return the time of day (ms) up to which a sweep may delete, by the store's own clock; 0 while that is in doubt."""
        if connection.dialect.name != "postgresql":
            return self._settled.now()
        now = postgresql.now(connection)
        ahead = (self._clock.now() - now) / 1000
        if abs(ahead) > JUMP_SECONDS:
            log.warning("database: the clock of this machine is %+d s off the database's: set both by NTP", ahead)
        return now

    def _at_once(self, engine: Engine | None, work: Callable[[Connection], T]) -> T:
        if engine is None:
            return self.run(work)
        if self._closed:
            raise BackendUnavailable
        for pause in _PAUSES:
            call = _Call(engine, work)
            call.execute()
            if not sqlite.is_locked(call.error):
                break
            gevent.sleep(pause)
        else:
            return self.run(work)
        if call.error is not None:
            raise self._refusal(call.error)
        return call.result

    def _wait(self, call: _Call[T], seconds: float) -> T:
        with Timeout(seconds, False):
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
        log.warning("database: %s: %s", type(error).__name__, _words(error))
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


def _let_go(error: BaseException | None) -> None:
    """Free what the frames below an error hold: a connection half made would else stay open until garbage is collected."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


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
    """A backend that keeps its rows in a ``Database``."""

    database: Database


B = TypeVar("B", bound=HasDatabase)


def transaction(method: Callable[Concatenate[B, Connection, P], T]) -> Callable[Concatenate[B, P], T]:
    """Make a backend's method one transaction: its body gets the connection, its callers do not see it."""
    return _in_transaction(method, Database.run)


def reading(method: Callable[Concatenate[B, Connection, P], T]) -> Callable[Concatenate[B, P], T]:
    """Make a backend's method one transaction that writes nothing; see ``Database.read``."""
    return _in_transaction(method, Database.read)


def noting(method: Callable[Concatenate[B, Connection, P], T]) -> Callable[Concatenate[B, P], T]:
    """Make a backend's method one transaction that writes little; see ``Database.note``."""
    return _in_transaction(method, Database.note)


def _in_transaction(method: Callable[Concatenate[B, Connection, P], T], carry_out: Callable[..., Any]) -> Callable[Concatenate[B, P], T]:
    @functools.wraps(method)
    def run(self: B, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = carry_out(self.database, lambda connection: method(self, connection, *args, **kwargs))
        return result

    return run
