"""A call to the database: usually one transaction, which is rolled back if its caller has stopped waiting."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from inspect import isgenerator
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from . import postgresql

T = TypeVar("T")

ATTEMPTS = 5
"""Maximum number of attempts at a transaction that the server aborts because of a conflict with another one."""
_RETRIED = ("40001", "40P01", postgresql.READ_ONLY)
"""SQLSTATEs of a transaction that the server has rolled back and that may succeed when repeated: serialization failure, deadlock, .."""


class _Abandoned(Exception):
    """Raised to roll back a call that has no waiting caller."""


class Call(Generic[T]):
    """One transaction in progress. A caller that stops waiting sets ``abandoned``."""

    __slots__ = ("abandoned", "engine", "error", "result", "work")

    result: T

    def __init__(self, engine: Engine, work: Callable[[Connection], T]) -> None:
        self.engine = engine
        self.work = work
        self.error: Exception | None = None
        self.abandoned = False

    def execute(self) -> None:
        """Run the transaction, retrying when the server aborts it. Raises nothing, as gevent would print it in the SQL thread."""
        for _ in range(ATTEMPTS):
            self.error = self._attempt()
            if getattr(getattr(self.error, "orig", None), "sqlstate", None) not in _RETRIED:
                return

    def _attempt(self) -> Exception | None:
        handled = sys.exception()
        try:
            self._check_wanted()
            with self.engine.begin() as connection:
                self.result = self.work(connection)
                self._check_wanted()
        except Exception as error:  # re-raised in the caller's greenlet
            if isinstance(error, SQLAlchemyError | self.engine.dialect.loaded_dbapi.Error):
                _clear_frames(error)
                if interruption := postgresql.interruption(error, handled):
                    raise interruption from None
            return error
        except BaseException as error:  # raised in this greenlet by a caller that has stopped waiting
            _clear_frames(error)
            raise
        return None

    def _check_wanted(self) -> None:
        if self.abandoned:
            raise _Abandoned


class EngineCall(Call[T]):
    """Work that begins no transaction, such as a checkpoint of SQLite's write-ahead log."""

    __slots__ = ("_on_engine",)

    def __init__(self, engine: Engine, on_engine: Callable[[Engine], T]) -> None:
        super().__init__(engine, lambda connection: on_engine(engine))
        self._on_engine = on_engine

    def _attempt(self) -> Exception | None:
        try:
            self._check_wanted()
            self.result = self._on_engine(self.engine)
        except Exception as error:  # re-raised in the caller's greenlet
            return error
        return None


def _clear_frames(error: BaseException | None) -> None:
    """Clear the frames of an error: a half-open connection in them would otherwise stay open until garbage collection."""
    while error is not None:
        _close_generators(error)
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _close_generators(error: BaseException) -> None:
    """Close the generators in the frames of an error: one of psycopg's in a pipeline raises, as the connection is closed."""
    for frame, _line in traceback.walk_tb(error.__traceback__):
        for generator in filter(isgenerator, frame.f_locals.values()):
            with suppress(Exception):
                generator.close()
