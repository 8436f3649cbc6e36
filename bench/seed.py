"""People by the thousand and an application, written straight into a service's database: an account, grants and a ticket for each."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from dpresence.backends.directory.sql import ACCOUNTS, APPLICATIONS, GRANTS, KEYS, TICKETS
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.rows import Rows
from dpresence.clock import Clock
from dpresence.identity.development import NAME
from dpresence.model import Account, ApiKey, Application, Grant, Ticket, digest_of
from dpresence.service.api_keys import KEY_PREFIX

DAY_MS = 86_400_000
CHUNK = 5_000
"""Rows of one transaction, which has a deadline."""
SECONDS = 60.0
"""Deadline of one transaction that writes test data, on a machine that does other work."""


def register(database: Path | str, number: int = 0) -> tuple[str, str]:
    """Make an application that is active, and its owner; return its id and key. ``number`` tells several apart."""
    now, key_id, secret = Clock().now(), secrets.token_urlsafe(9), secrets.token_urlsafe(32)
    owner = _account(f"dev{number}@example.org", now)
    made = Application(
        secrets.token_urlsafe(12),
        owner.id,
        "Chess club",
        f"chess{number}.example.org",
        "",
        "",
        now,
        "https",
        active=True,
        check_at=now + DAY_MS,
    )
    key = ApiKey(key_id, made.id, digest_of(secret), now)
    _write(database, (ACCOUNTS, [owner]), (APPLICATIONS, [made]), (KEYS, [key]))
    return made.id, f"{KEY_PREFIX}{key_id}_{secret}"


def seed(database: Path | str, appids: list[str], count: int, prefix: str = "user", device: str | None = None) -> list[list[str]]:
    """Make people who granted some applications, each with a ticket; return [e-mail, ticket] of each.

    :param database: file or URL of the database of a service that has started once; it may be running, as it knows nobody of them yet.
    :param device: the device that got the ticket at its last sign-in; None for one that any device may use.
    """
    now = Clock().now()
    people = [_account(f"{prefix}{number}@example.org", now) for number in range(count)]
    proofs = [f"ticket:{secrets.token_urlsafe(32)}" for _ in people]
    granted = [Grant(appid, secrets.token_urlsafe(16), person.id, now, now) for person in people for appid in appids]
    tickets = [_ticket(proof, person, now + DAY_MS, device) for proof, person in zip(proofs, people, strict=True)]
    _write(database, (ACCOUNTS, people), (GRANTS, granted), (TICKETS, tickets))
    return [[person.email, proof] for proof, person in zip(proofs, people, strict=True)]


def puids_of(database: Path | str, appid: str) -> list[str]:
    """Return the PUIDs of an application."""
    with closing(_open(database)) as opened:
        asked = select(GRANTS.table.c.puid).where(GRANTS.table.c.appid == appid)
        return opened.read(lambda connection: list(connection.scalars(asked)))


def _account(email: str, now: int) -> Account:
    return Account(secrets.token_urlsafe(16), email, NAME, email, now)


def _ticket(proof: str, person: Account, ends: int, device: str | None) -> Ticket:
    return Ticket(digest_of(proof), secrets.token_urlsafe(12), person.id, ends, ends, device=device)


def _write(database: Path | str, *what: tuple[Rows[Any], Sequence[Any]]) -> None:
    with closing(_open(database)) as opened:
        for rows, items in what:
            for start in range(0, len(items), CHUNK):
                opened.run(partial(_insert, rows, items[start : start + CHUNK]))


def _open(database: Path | str) -> Database:
    return Database(database if isinstance(database, str) else f"sqlite:///{database}", deadline_seconds=SECONDS)


def _insert(rows: Rows[Any], items: Sequence[Any], connection: Connection) -> None:
    connection.execute(insert(rows.table), [rows.values(item) for item in items])
