"""People whose partition is on a server that dies, and the others, who must notice nothing of it."""

from __future__ import annotations

from collections.abc import Collection
from zlib import crc32

from sqlalchemy import select

from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.tables import accounts

from .crowd import Crowd
from .support import Figures


def people_in(url: str, partitions: int, chosen: Collection[int]) -> set[str]:
    """Return the e-mails of the users of some partitions.

    :param url: URL of the database.
    :param partitions: number of all partitions.
    """
    database = Database(url)
    try:
        found = database.read(lambda connection: connection.execute(select(accounts.c.id, accounts.c.email)).all())
    finally:
        database.close()
    return {email for user, email in found if crc32(user.encode()) % partitions in chosen}


def compare_refused(all_: Crowd, away: Collection[str], figures: Figures, name: str) -> None:
    """Check that only people whose server was away were refused."""
    refused = all_.fleet.refused_people
    assert refused & set(away), "the load reached the server that was away"
    assert set(all_.fleet.refused) == {201}, all_.fleet.refused
    figures.count(name, "people refused whose server stayed", len(refused - set(away)), 0)
