"""Named locks that serialize transactions where there is no row to lock."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from sqlalchemy import ARRAY, BigInteger, Connection, bindparam, func, select, text

_TAKE = text("SELECT pg_advisory_xact_lock(key) FROM unnest(:keys) AS key").bindparams(bindparam("keys", type_=ARRAY(BigInteger)))


def lock_names(connection: Connection, kind: str, names: Iterable[str]) -> None:
    """Acquire locks on some names; they are held until the transaction ends.

    Locks are acquired in a fixed order, so that two transactions cannot deadlock. SQLite needs no locks: its transactions
    are exclusive.

    :param kind: namespace of the names.
    """
    keys = sorted({_key(kind, name) for name in names})
    if keys and connection.dialect.name == "postgresql":
        connection.execute(_TAKE, {"keys": keys})


def try_lock_name(connection: Connection, kind: str, name: str) -> bool:
    """Acquire the lock on a name for the session, of PostgreSQL, unless it is held; return whether it was acquired."""
    return bool(connection.scalar(select(func.pg_try_advisory_lock(_key(kind, name)))))


def unlock_name(connection: Connection, kind: str, name: str) -> None:
    """Release a lock of ``try_lock_name``."""
    connection.execute(select(func.pg_advisory_unlock(_key(kind, name))))


def _key(kind: str, name: str) -> int:
    return int.from_bytes(blake2b(f"{kind} {name}".encode(), digest_size=8).digest(), signed=True)
