"""PostgreSQL, for several processes. Waiting is cooperative once gevent has patched the standard library; a pool bounds connections."""

from __future__ import annotations

import logging
import math
import re
import select
from typing import Any

from gevent import monkey
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import ArgumentError, DisconnectionError

from ...errors import SettingError

log = logging.getLogger(__name__)

native_poll = monkey.get_original("select", "poll")

CONNECTIONS = 10
"""Connections of one process; further transactions wait for a free one."""
SLOTS = {"slots": CONNECTIONS, "reserved": 2, "each": 5, "urgent_each": 3}
"""Shares of the connections: two are reserved for urgent calls. The calls of one key hold five at most, and its urgent calls three more:
so the sign-in of somebody else finds a connection whatever one account does."""
DEADLINE_SECONDS = 2.5
"""Deadline in seconds of a call, so that a channel can be sent an error within 3 s when the database does not answer."""

READ_ONLY = "25006"
"""SQLSTATE of a write to a server that has become a standby or was set read-only."""
_CONNECTION_LOST = ("08", "25P03", "57P", READ_ONLY)
"""SQLSTATEs, or their prefixes, of a server that no longer serves this connection (PostgreSQL, appendix A)."""
_DENIED = "refuses this user: correct the user, the password or the rights"
_REASONS = {
    "28": _DENIED,
    "42501": _DENIED,
    "08004": "refuses connections: the log of PostgreSQL has the reason",
    READ_ONLY: "is read-only: let directory.url lead to the primary",
    "3D000": "is not there: create it, or correct its name",
    "53300": "has no free connection: raise max_connections of PostgreSQL, or the limit of the user",
}
"""Descriptions of refusals, each with its remedy, by SQLSTATE or its prefix."""
_SIGNS = {
    r"authentication failed|no password supplied|no pg_hba\.conf entry|permission denied|is not permitted to log in": "28",
    r"role \".*\" does not exist|not currently accepting|does not match|certificate authentication": "28",
    r"session is (not )?read-only|in hot standby": READ_ONLY,
    r"database \".*\" does not exist": "3D000",
    r"too many (clients|connections)|connection slots": "53300",
    r"failed: [^\s:]+:  ": "08004",  # the severity of a server's own message, in any language (lc_messages)
}
"""SQLSTATEs by patterns of an error text: libpq withholds the SQLSTATE of a connection that was refused."""
_PROBE = "UPDATE service SET mode = mode WHERE id = (SELECT id FROM service WHERE id = 1 FOR UPDATE SKIP LOCKED)"
NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
"""The server's time of day (ms), as an expression of a statement."""
_DURABILITY = "SELECT current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes')"
_MUST_BE_DURABLE = (
    "a database with synchronous_commit = on, or a crash of the server loses acknowledged changes; "
    "options=-c%20synchronous_commit%3Don in the URL sets it for this service"
)


def understands(url: URL) -> bool:
    """Return whether a URL names PostgreSQL with psycopg, which waits cooperatively. The URL may have libpq's options."""
    return url.drivername == "postgresql+psycopg"


def make_engine(url: URL, deadline_seconds: float) -> Engine:
    """Return an engine whose pool opens connections on demand and replaces those that the server has closed.

    Its isolation level is READ COMMITTED: a statement after a lock sees the changes of the transaction that held the lock before
    (docs/decisions/0008-postgresql-row-locks.md).

    :param deadline_seconds: time limit of a caller; the server cancels a statement earlier.
    :raises SettingError: psycopg is not installed.
    """
    options = {name: value for name, value in _options(deadline_seconds).items() if name not in url.query}
    try:
        engine = create_engine(
            url.update_query_dict({"options": f"{url.query.get('options', '')} {_limits(deadline_seconds)}".strip()}),
            isolation_level="READ COMMITTED",
            use_native_hstore=False,  # otherwise SQLAlchemy queries its type on each new connection
            connect_args=options,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=deadline_seconds,
            pool_use_lifo=True,
            hide_parameters=True,
        )
    except ImportError:
        raise SettingError("directory.url: needs psycopg: install dpresence[postgresql]") from None
    except ArgumentError:
        raise SettingError("directory.url: must have ports that are numbers, and as many as hosts") from None
    _check_options(engine)
    event.listen(engine, "checkout", _refuse_closed)
    event.listen(engine, "handle_error", _notice_gone)
    return engine


def _check_options(engine: Engine) -> None:
    """Refuse options that libpq does not know, before the first connection fails.

    :raises SettingError: names ``directory.url``.
    """
    driver: Any = engine.dialect.loaded_dbapi
    given = {name: value for name, value in engine.dialect.create_connect_args(engine.url)[1].items() if name != "context"}
    try:
        driver.conninfo.make_conninfo(**given)
    except driver.Error:
        raise SettingError("directory.url: must have no options but libpq's, such as ?sslmode=verify-full") from None


def give_time(connection: Connection, seconds: float) -> None:
    """Raise the statement timeout for the rest of this transaction."""
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {_milliseconds(seconds)}")


def probe_write(connection: Connection) -> None:
    """Update a row without a change, which the commit writes to disk. Skips the row if another transaction has locked it."""
    connection.exec_driver_sql(_PROBE)


def now(connection: Connection) -> int:
    """Return the server's time of day (ms)."""
    milliseconds: int = connection.exec_driver_sql(f"SELECT {NOW}").scalar_one()
    return milliseconds


def check_durable(connection: Connection) -> None:
    """Check at startup whether the server stores acknowledged commits durably.

    :raises SettingError: a crash of the server may lose acknowledged commits; names ``directory.url``.
    """
    commit, *ruinous = connection.exec_driver_sql(_DURABILITY).one()
    if commit == "off":
        raise SettingError(f"directory.url: must be {_MUST_BE_DURABLE}")
    reasons = [f"{name} = off" for name, value in zip(("fsync", "full_page_writes"), ruinous, strict=True) if value == "off"]
    if reasons:
        log.warning("a loss of power may undo acknowledged changes or corrupt the database: %s", ", ".join(reasons))


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Refuse a pooled connection with readable data: an idle one is readable only after it was closed. A query would cost a round trip."""
    waiting = native_poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if waiting.poll(0):
        raise DisconnectionError("closed by the server")


def _notice_gone(context: ExceptionContext) -> None:
    """Treat an error of a server that stops, recovers or became read-only as a disconnect: SQLAlchemy then replaces every connection.

    A new connection resolves the host name again, and refuses a server that is not writable (``target_session_attrs``). After
    an interruption only this connection is replaced, as answers are on their way.
    """
    error = context.original_exception
    if (getattr(error, "sqlstate", None) or "").startswith(_CONNECTION_LOST):
        context.is_disconnect = True
    elif interruption(error):
        context.is_disconnect, context.invalidate_pool_on_disconnect = True, False


def interruption(error: BaseException | None, handled: BaseException | None = None) -> BaseException | None:
    """Return what has ended a greenlet's wait, such as a deadline, if the driver has raised its own error instead; None otherwise.

    psycopg does so in the middle of several statements, as it cannot end its pipeline then.

    :param handled: the exception that the caller was handling already, which has interrupted something else.
    """
    while isinstance(error, Exception) and error is not handled:
        error = error.__cause__ or error.__context__
    return None if error is handled else error


def reason_of(error: Exception) -> str:
    """Return what a server that answers does, for the operator, "" if it does not answer or gives another error."""
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None) or next((state for sign, state in _SIGNS.items() if re.search(sign, str(cause))), "")
    return next((reason for prefix, reason in _REASONS.items() if state.startswith(prefix)), "")


def _options(deadline_seconds: float) -> dict[str, Any]:
    """Return the default options for libpq, which the URL may override."""
    return {
        "application_name": "dpresence",
        "connect_timeout": max(2, math.floor(deadline_seconds / 2)),  # for each host of the URL; 2 is psycopg's minimum
        "tcp_user_timeout": _milliseconds(deadline_seconds),
        "target_session_attrs": "read-write",  # not a standby: its data may be old and it accepts no writes
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }


def _limits(deadline_seconds: float) -> str:
    """Return the server's time limits: a statement ends before its caller's deadline, and a frozen process loses its locks."""
    statement, idle = _milliseconds(deadline_seconds * 0.8), _milliseconds(deadline_seconds * 2)
    return f"-c statement_timeout={statement} -c idle_in_transaction_session_timeout={idle}"


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)
