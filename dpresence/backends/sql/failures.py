"""Failures of calls to a database: counted, logged without values, and raised as what the caller can handle."""

from __future__ import annotations

import logging

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ...clock import Clock
from ...errors import BackendUnavailable
from ...limits import TokenBucket
from ...measures import StoreMeasures
from ...secret_files import driver_message, without_url_values
from . import postgresql

log = logging.getLogger(__name__)

_WARNINGS_PER_SECOND, _WARNINGS_AT_ONCE = 0.2, 10
"""Limit of the warnings that a call had no answer: an account whose calls wait for each other could cause thousands. All are counted."""


class Failures:
    """Makes the exceptions of one database.

    :param url: of the database; its values are removed from messages of the driver; see ``without_url_values``.
    """

    def __init__(self, engine: Engine, url: str, measures: StoreMeasures, clock: Clock) -> None:
        self._engine = engine
        self._url = url
        self._measures = measures
        self._clock = clock
        self._warnings = TokenBucket(_WARNINGS_PER_SECOND, _WARNINGS_AT_ONCE)

    def no_answer(self, seconds: float | None) -> BackendUnavailable:
        """Return the exception of a call that had no answer within its deadline."""
        self._measures.errors += 1
        if not self._warnings.take(now=self._clock.monotonic()):
            log.warning("database: no answer within %s s", seconds)
        return _unavailable()

    def of(self, error: Exception) -> Exception:
        """Return the exception for the caller of what has raised ``error``, and log the driver's message."""
        driver = self._engine.dialect.loaded_dbapi
        if not isinstance(error, SQLAlchemyError | driver.Error):
            return error
        self._measures.errors += 1
        log.warning("database: %s: %s", type(error).__name__, without_url_values(driver_message(error), self._url))
        failure = _unavailable(postgresql.reason_of(error))
        failure.__cause__ = error
        return failure


def _unavailable(reason: str = "") -> BackendUnavailable:
    error = BackendUnavailable()
    error.backend, error.reason = "directory.url: the database", reason
    return error
