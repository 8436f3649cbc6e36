"""PostgreSQL: the database of several processes. Connections wait cooperatively once gevent has patched; a pool bounds them."""

from __future__ import annotations

import logging
import math
import select
from typing import Any

from gevent import monkey
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import DisconnectionError

from ...errors import SettingError

log = logging.getLogger(__name__)

native_poll = monkey.get_original("select", "poll")

CONNECTIONS = 10
"""Connections of one process; further transactions wait for one of them."""
SLOTS = {"slots": CONNECTIONS, "reserved": 2, "each": 5}
"""How the connections are shared: some are for urgent calls alone, and nobody's calls hold more than so many."""
DEADLINE_SECONDS = 2.5
"""A caller gives up in time to tell a channel within 3 s that the database is away."""

READ_ONLY = "25006"
"""SQLSTATE of a write at a server that has become a standby or was set read-only."""
_GONE = ("08", "25P03", "57P", READ_ONLY)
"""SQLSTATEs, or their beginnings, of a server that does not serve this connection any more (PostgreSQL, appendix A)."""
_PROOF = "UPDATE service SET mode = mode WHERE id = (SELECT id FROM service WHERE id = 1 FOR UPDATE SKIP LOCKED)"
_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_DURABILITY = "SELECT current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes')"
_HASTY = (
    "a database with synchronous_commit = on, or a crash of the server takes back what was answered; "
    "options=-c%20synchronous_commit%3Don in the URL sets it for this service"
)


def understands(url: URL) -> bool:
    """Return whether a URL names PostgreSQL and the one driver that waits cooperatively; its options are libpq's."""
    return url.drivername == "postgresql+psycopg"


def make_engine(url: URL, deadline_seconds: float) -> Engine:
    """Return an engine whose pool opens connections as they are needed, and replaces those that the server has closed.

    READ COMMITTED: each statement sees what was committed before it, so one that follows a lock sees what the lock
    waited for (docs/decisions/0008-postgresql-row-locks.md).

    :param deadline_seconds: how long a caller waits; the server gives up on a statement before.
    :raises SettingError: psycopg is not installed.
    """
    options = {name: value for name, value in _options(deadline_seconds).items() if name not in url.query}
    try:
        engine = create_engine(
            url.update_query_dict({"options": f"{url.query.get('options', '')} {_limits(deadline_seconds)}".strip()}),
            isolation_level="READ COMMITTED",
            use_native_hstore=False,  # would ask for it on each new connection
            connect_args=options,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=deadline_seconds,
            pool_use_lifo=True,
            hide_parameters=True,
        )
    except ImportError:
        raise SettingError("directory.url: needs psycopg: install dpresence[postgresql]") from None
    _check_options(engine)
    event.listen(engine, "checkout", _refuse_closed)
    event.listen(engine, "handle_error", _notice_gone)
    return engine


def _check_options(engine: Engine) -> None:
    """Refuse options that libpq does not know, before it refuses each connection.

    :raises SettingError: names ``directory.url``.
    """
    driver: Any = engine.dialect.loaded_dbapi
    given = {name: value for name, value in engine.dialect.create_connect_args(engine.url)[1].items() if name != "context"}
    try:
        driver.conninfo.make_conninfo(**given)
    except driver.Error:
        raise SettingError("directory.url: must have no options but libpq's, such as ?sslmode=verify-full") from None


def give_time(connection: Connection, seconds: float) -> None:
    """Let each statement of this transaction take longer than a caller usually waits."""
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {_milliseconds(seconds)}")


def prove_write(connection: Connection) -> None:
    """Change a row as it is: it goes to the disk with the commit. One that somebody else is just changing is left to them."""
    connection.exec_driver_sql(_PROOF)


def now(connection: Connection) -> int:
    """Return the time of day (ms) at the server."""
    milliseconds: int = connection.exec_driver_sql(_NOW).scalar_one()
    return milliseconds


def check_durable(connection: Connection) -> None:
    """Look once, at the start, whether the server keeps what it acknowledges.

    :raises SettingError: a crash of the server would take it back; names ``directory.url``.
    """
    commit, *ruinous = connection.exec_driver_sql(_DURABILITY).one()
    if commit == "off":
        raise SettingError(f"directory.url: must be {_HASTY}")
    reasons = [f"{name} = off" for name, value in zip(("fsync", "full_page_writes"), ruinous, strict=True) if value == "off"]
    if reasons:
        log.warning("a loss of power may take back what was answered, or ruin the database: %s", ", ".join(reasons))


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Refuse a connection on which something has arrived: at rest that is its end. A query that asks would cost a round trip."""
    waiting = native_poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if waiting.poll(0):
        raise DisconnectionError("closed by the server")


def _notice_gone(context: ExceptionContext) -> None:
    """Take a server that stops, recovers or has become read-only for lost: SQLAlchemy then replaces every connection.

    A new connection resolves the name anew, and is refused where the server is not writable (``target_session_attrs``).
    """
    if (getattr(context.original_exception, "sqlstate", None) or "").startswith(_GONE):
        context.is_disconnect = True


def _options(deadline_seconds: float) -> dict[str, Any]:
    """Return what libpq is told; the URL may say otherwise."""
    return {
        "application_name": "dpresence",
        "connect_timeout": max(2, math.floor(deadline_seconds / 2)),  # of each host the URL names; 2 is psycopg's least
        "tcp_user_timeout": _milliseconds(deadline_seconds),
        "target_session_attrs": "read-write",  # not a standby: what it says is old, and it keeps nothing
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }


def _limits(deadline_seconds: float) -> str:
    """Return what the server is told: let no statement outlive its caller, and no lock a process that froze."""
    statement, idle = _milliseconds(deadline_seconds * 0.8), _milliseconds(deadline_seconds * 2)
    return f"-c statement_timeout={statement} -c idle_in_transaction_session_timeout={idle}"


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)
