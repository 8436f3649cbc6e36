"""The directory's outbox and the revision of an account, written in the transaction of a change (decision 0012)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, literal, select, text, update

from ....model import Grant
from ...sql.rows import Rows
from ...sql.tables import accounts, grants, outbox
from .. import OutboxEntry, OutboxKind

ENTRIES = Rows(outbox, OutboxEntry)
_AFTER = bindparam("after", type_=outbox.c.id.type)
_NEXT = ENTRIES.prepare(outbox.c.id > _AFTER, order_by=(outbox.c.id,), limit=bindparam("most"))  # every sweep reads it
_RAISE = update(accounts).values(revision=accounts.c.revision + 1).returning(accounts.c.revision)

_LAST = {
    "sqlite": text("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'"),
    "postgresql": text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outbox_id_seq"),
}


def raise_revision(connection: Connection, user: str) -> int:
    """Increment the revision of an account, whose row the caller has locked, and return it; 0 if the account does not exist."""
    return connection.scalar(_RAISE.where(accounts.c.id == user)) or 0


def add(connection: Connection, owner: str, kind: OutboxKind, user: str = "", appid: str = "", detail: str = "", revision: int = 0) -> None:
    """Add one entry; see ``OutboxEntry``."""
    values = {"owner": owner, "kind": kind, "user": user, "appid": appid, "detail": detail, "revision": revision}
    connection.execute(insert(outbox).values(values))


def add_change_of_grant(connection: Connection, kind: OutboxKind, grant: Grant) -> None:
    """Increment the revision of a grant's user, whose account the caller has locked, and add the change of the grant."""
    add(connection, grant.user, kind, grant.user, grant.appid, grant.puid, raise_revision(connection, grant.user))


def add_revoked_entries(connection: Connection, owner: str, *which: ColumnElement[bool]) -> None:
    """Add a ``revoked`` entry for each matching grant. Must be called before the grants are deleted."""
    ended = select(literal(owner), literal("revoked"), grants.c.user, grants.c.appid, grants.c.puid, literal(0)).where(*which)
    columns = ("owner", "kind", "user", "appid", "detail", "revision")
    connection.execute(insert(outbox).from_select(columns, ended.order_by(grants.c.puid)))


def add_ended_family(connection: Connection, user: str, family: str, device: str | None = None, revision: int = 0) -> None:
    """Add the entry for a ticket family that ended; see ``OutboxEntry.ended_family``."""
    add(connection, user, "ticket", user, detail=f"{family} {device}" if device else family, revision=revision)


def read(connection: Connection, owners: Collection[str] | None, after: int, limit: int) -> Sequence[OutboxEntry]:
    """Return up to ``limit`` entries with an id greater than ``after``, oldest first."""
    if owners is None:
        return _NEXT.all(connection, after=after, most=limit)
    return ENTRIES.all(connection, outbox.c.id > after, outbox.c.owner.in_(owners), order_by=outbox.c.id, limit=limit)


def count(connection: Connection, limit: int) -> int:
    """Return the number of entries, at most ``limit``."""
    return len(connection.scalars(select(outbox.c.id).where(outbox.c.id > 0).order_by(outbox.c.id).limit(limit)).all())


def last(connection: Connection) -> int:
    """Return the id of the latest entry ever added, 0 before the first one. Backups contain it."""
    return connection.scalar(_LAST[connection.dialect.name]) or 0


def remove(connection: Connection, ids: Iterable[int]) -> None:
    """Delete entries."""
    connection.execute(delete(outbox).where(outbox.c.id.in_(list(ids))))
