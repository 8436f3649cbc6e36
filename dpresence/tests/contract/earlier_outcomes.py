"""Outcomes that were stored before revision 0030, when one sequence numbered those of all applications, and a process of that version."""

from __future__ import annotations

from alembic import command
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, insert, text

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import configuration, migrate
from dpresence.model.outcomes import NewFollowed

HOUR_MS = 3_600_000
OUTCOMES = Table(
    "outcomes",
    MetaData(),
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    *(Column(name, String, nullable=False) for name in ("appid", "id", "puid", "outcome")),
    Column("at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
"""The table as versions before know it."""


def publish_as_before(connection: Connection, appid: str, *ids: str) -> None:
    """Publish ``delivered`` of some notifications as a process of the previous version does."""
    at = 9_000_000_000_000
    connection.execute(insert(OUTCOMES), [{"appid": appid, "id": id_, "puid": "p", "outcome": "delivered", "at": at} for id_ in ids])


def _store(connection: Connection) -> None:
    command.upgrade(configuration(connection), "0029_since_0014")
    connection.execute(
        text("INSERT INTO accounts (id, email, issuer, subject, created_at, blocked) VALUES ('j', 'j@example.org', 'i', 's', 1, false)")
    )
    for appid in ("one", "two", "three"):
        columns = "(id, owner, name, domain, description, domain_key, created_at, active, failed_checks)"
        connection.execute(text(f"INSERT INTO applications {columns} VALUES ('{appid}', 'j', '', '', '', '', 1, true, 0)"))
    publish_as_before(connection, "one", "a")
    publish_as_before(connection, "two", "b", "c")
    publish_as_before(connection, "one", "d")
    publish_as_before(connection, "two", "e")
    connection.execute(text("DELETE FROM outcomes WHERE id = 'e'"))


def check_migrated_outcomes(database: Database) -> None:
    """Assert that positions and cursors stay, and that both versions continue in one order for each application."""
    database.run(_store)
    migrate(database)
    directory = SqlDirectory(database)

    def read(appid: str, after: int = 0) -> list[tuple[str, int]]:
        return [(each.id, each.position) for each in directory.outcomes(appid, after, 10)]

    assert read("one") == [("a", 1), ("d", 4)] and read("two", 2) == [("c", 3)] and read("three") == read("two", 5) == []
    directory.follow_outcomes("one", [NewFollowed(id_, "p", HOUR_MS, shown=True) for id_ in "fh"], HOUR_MS)
    directory.publish_outcomes("one", {"f": ["delivered"]})
    database.run(lambda connection: publish_as_before(connection, "one", "g"))
    database.run(lambda connection: publish_as_before(connection, "three", "i", "j"))
    directory.publish_outcomes("one", {"h": ["delivered", "opened"]})
    assert read("one", 4) == [("f", 6), ("g", 7), ("h", 8), ("h", 9)] and read("three") == [("i", 6), ("j", 7)]
