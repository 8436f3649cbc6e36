"""Tickets that were stored before revision 0010, when 0 as the expiry of a used ticket said that it cannot be used again."""

from __future__ import annotations

from alembic import command
from sqlalchemy import text

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import configuration, migrate

NOW, END = 2_000_000_000_000, 9_000_000_000_000
ROWS = {
    "unused": (NOW + 60_000, False),
    "used": (NOW + 60_000, True),
    "ended": (0, True),
    "expired": (1, False),
    "used-in-family": (NOW + 60_000, True),
    "successor-in-family": (END, False),
}


def migrate_with_tickets(database: Database) -> SqlDirectory:
    """Store tickets with the schema of revision 0009 and migrate to the newest revision."""

    def store(connection):
        command.upgrade(configuration(connection), "0009")
        account = (
            "INSERT INTO accounts (id, email, issuer, subject, created_at, blocked) VALUES ('j', 'jane@example.org', 'i', 's', 1, false)"
        )
        connection.execute(text(account))
        ticket = (
            'INSERT INTO tickets (hash, family, "user", expires_at, session_ends_at, device, used)'
            " VALUES (:hash, :family, 'j', :expires_at, :ends, 'phone', :used)"
        )
        for name, (expires_at, used) in ROWS.items():
            family = "family" if name.endswith("family") else name
            values = {"hash": name.encode(), "family": family, "expires_at": expires_at, "ends": END, "used": used}
            connection.execute(text(ticket), values)

    database.run(store)
    migrate(database)
    return SqlDirectory(database)


def check_migrated_tickets(database: Database) -> None:
    """Assert that each ticket is as usable as before the migration."""
    directory = migrate_with_tickets(database)
    assert [ticket.hash for ticket in directory.tickets("j", NOW)] == [b"unused", b"successor-in-family"]
    assert directory.use_ticket(b"unused", NOW, "phone", b"a").good
    assert directory.use_ticket(b"used", NOW, "phone", b"b").good, "a ticket whose answer was lost"
    assert directory.use_ticket(b"expired", NOW, "phone", None) is None
    assert not directory.use_ticket(b"ended", NOW, "phone", None).good
    assert directory.use_ticket(b"successor-in-family", NOW, "phone", b"c").good
    assert not directory.use_ticket(b"used-in-family", NOW, "phone", None).good
    assert directory.use_ticket(b"c", NOW, "phone", None) is None, "the family was deleted"
    states = database.run(lambda connection: connection.execute(text("SELECT hash, state FROM tickets")).all())
    assert {bytes(name): state for name, state in states} == {
        b"unused": "used",
        b"a": "unused",
        b"used": "used",
        b"b": "unused",
        b"expired": "unused",
    }
