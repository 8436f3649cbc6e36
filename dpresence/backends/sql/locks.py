"""Turns: what runs one after another by name, where there is no row to lock."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from sqlalchemy import ARRAY, BigInteger, Connection, bindparam, text

_TAKE = text("SELECT pg_advisory_xact_lock(key) FROM unnest(:keys) AS key").bindparams(bindparam("keys", type_=ARRAY(BigInteger)))


def take_turns(connection: Connection, kind: str, names: Iterable[str]) -> None:
    """Wait until no other transaction holds one of these names, and hold them until this one ends.

    Always in the same order, so that two that want the same names never wait for each other. SQLite needs nothing:
    there, a transaction that has begun is alone.

    :param kind: what the names are names of; those of another kind are others.
    """
    keys = sorted({_key(kind, name) for name in names})
    if keys and connection.dialect.name == "postgresql":
        connection.execute(_TAKE, {"keys": keys})


def _key(kind: str, name: str) -> int:
    return int.from_bytes(blake2b(f"{kind} {name}".encode(), digest_size=8).digest(), signed=True)
