"""One database for every SQL backend of an app: transactions with a deadline that never block gevent's hub."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from gevent import Timeout
from gevent.threadpool import ThreadPool
from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ...errors import BackendUnavailable, SettingError
from . import sqlite

log = logging.getLogger(__name__)
T = TypeVar("T")
P = ParamSpec("P")


class _Abandoned(Exception):
    """Nobody waits for this call any more: roll it back."""


class _Call(Generic[T]):
    """One transaction on its way through the SQL thread; ``abandoned`` is set by a caller that stopped waiting."""

    __slots__ = ("abandoned", "engine", "error", "result", "work")

    result: T

    def __init__(self, engine: Engine, work: Callable[[Connection], T]) -> None:
        self.engine = engine
        self.work = work
        self.error: Exception | None = None
        self.abandoned = False

    def execute(self) -> None:
        """Run in the SQL thread. Nothing is raised there: gevent would print it."""
        try:
            self._wanted()
            with self.engine.begin() as connection:
                self.result = self.work(connection)
                self._wanted()
        except Exception as error:  # carried to the caller, who raises it
            self.error = error

    def _wanted(self) -> None:
        if self.abandoned:
            raise _Abandoned


class Database:
    """The database behind an SQLAlchemy URL. To be used from the native thread that made it, by any greenlet of it.

    All work runs in one native thread of its own, on one connection: an fsync there stops nobody else, and no two
    native threads ever contend for SQLite's write lock. A server database would have a pool of cooperative connections
    instead; it would be a second module beside ``sqlite``, chosen here by the URL's dialect.

    :param url: a SQLite URL; ``sqlite://`` lives in memory.
    :param deadline_seconds: how long one call may take, its wait for others included.
    :param waiting: how many calls may be under way or wait at the same time.
    :raises SettingError: another dialect, or a file that cannot be opened; names ``directory.url``.
    """

    def __init__(self, url: str, deadline_seconds: float = 5.0, waiting: int = 1000) -> None:
        parsed = _parse(url)
        self.url = url
        self.deadline_seconds = deadline_seconds
        self.waiting = waiting
        # SQLite gives up on another process's lock before the caller gives up on SQLite
        self._engine = sqlite.make_engine(parsed, busy_seconds=deadline_seconds * 0.8)
        self._thread = ThreadPool(1)
        self._calls = 0
        self._closed = False

    def run(self, work: Callable[[Connection], T], deadline_seconds: float | None = None) -> T:
        """Run ``work`` in one transaction in the SQL thread and return its result; what it raises rolls back.

        A call that missed its deadline changes nothing, unless its commit was already under way.

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

    def _wait(self, call: _Call[T], seconds: float) -> T:
        with Timeout(seconds, False):
            self._thread.spawn(call.execute).get()
            if call.error is not None:
                raise self._refusal(call.error)
            return call.result
        log.warning("database: no answer within %s s", seconds)
        raise BackendUnavailable

    def _refusal(self, error: Exception) -> Exception:
        """Return what a caller sees of an error; the log gets the driver's own words, which hold no values."""
        driver = self._engine.dialect.loaded_dbapi
        if not isinstance(error, SQLAlchemyError | driver.Error):
            return error
        log.warning("database: %s: %s", type(error).__name__, getattr(error, "orig", None) or error)
        refusal = BackendUnavailable()
        refusal.__cause__ = error
        return refusal

    def close(self) -> None:
        """Close the connection and end the SQL thread, within the deadline; harmless when done before."""
        if self._closed:
            return
        self._closed = True
        with Timeout(self.deadline_seconds, False):
            self._thread.spawn(self._engine.dispose).get()
            self._thread.kill()


def _parse(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise SettingError(f"directory.url = {text.partition(':')[0]}..: must be a sqlite URL") from None
    if not sqlite.understands(url):
        raise SettingError(f"directory.url = {url.render_as_string() if url.password else text}: must be a sqlite URL")
    return url


class HasDatabase(Protocol):
    """A backend that keeps its rows in a ``Database``."""

    database: Database


B = TypeVar("B", bound=HasDatabase)


def transaction(method: Callable[Concatenate[B, Connection, P], T]) -> Callable[Concatenate[B, P], T]:
    """Make a backend's method one transaction: its body gets the connection, its callers do not see it."""

    @functools.wraps(method)
    def run(self: B, /, *args: P.args, **kwargs: P.kwargs) -> T:
        def work(connection: Connection) -> Any:
            return method(self, connection, *args, **kwargs)

        result: T = self.database.run(work)
        return result

    return run
