"""One transaction on its way to the database: carried out where the database says, abandoned by whoever stops waiting."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from . import postgresql, sqlite

T = TypeVar("T")

ATTEMPTS = 5
"""How often a transaction may begin that the server broke off for another one's sake."""
_BROKEN_OFF = ("40001", "40P01", postgresql.READ_ONLY)  # SQLSTATE: serialization failure, deadlock; nothing was kept


class _Abandoned(Exception):
    """Nobody waits for this call any more: roll it back."""


class Call(Generic[T]):
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


class LogTruncation(Call[bool]):
    """The emptying of SQLite's write-ahead log, which is no transaction."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, lambda connection: False)

    def _attempt(self) -> Exception | None:
        try:
            self._wanted()
            self.result = sqlite.truncate_log(self.engine)
        except Exception as error:  # carried to the caller
            return error
        return None


def _let_go(error: BaseException | None) -> None:
    """Free what the frames below an error hold: a connection half made would else stay open until garbage is collected."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
