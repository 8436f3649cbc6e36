"""The inboxes in an SQL database: one row for each entry, in order of user and position."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, case, delete, func, insert, or_, select, tuple_, update

from ....model import Notification
from ...sql.engine import Database
from ...sql.locks import lock_names
from ...sql.rows import Rows
from ...sql.tables import inbox as table
from ...sql.transactions import reading, transaction
from .. import QueuedNotification
from ..inbox import Inbox, InboxEntry, InboxLimits, InboxRecord

_ENTRIES = Rows(table, Notification)
_PAGE = 500
"""Maximum number of rows of one page of a backup, and of one transaction of the sweep."""
_TRIMMED = 100
"""Maximum number of users whose inboxes one transaction trims."""
_SHOWN = table.c.held_until.is_(None)


def _add() -> Any:
    """Return the insert of an entry: its position is the time in microseconds, or follows the last one of the user."""
    last, now = func.max(table.c.position), bindparam("now", type_=BigInteger)
    follows = select(case((last >= now, last + 1), else_=now)).where(table.c.user == bindparam("owner"))
    return insert(table).values(position=follows.scalar_subquery(), user=bindparam("owner"))


def _trim() -> Any:
    """Return the delete of everything beyond the limits of one user."""
    rank = func.row_number().over(partition_by=case((_SHOWN, ""), else_=table.c.puid), order_by=table.c.position.desc())
    ranked = select(table.c.position, table.c.held_until, rank.label("rank")).where(table.c.user == bindparam("owner")).subquery()
    shown = ranked.c.held_until.is_(None)
    over = or_(shown & (ranked.c.rank > bindparam("most")), ~shown & (ranked.c.rank > bindparam("most_held")))
    return delete(table).where(table.c.user == bindparam("owner"), table.c.position.in_(select(ranked.c.position).where(over)))


_ADD, _TRIM = _add(), _trim()


class SqlInbox(Inbox):
    """The part of ``SqlMailbox`` that reads and changes inboxes."""

    database: Database
    limits: InboxLimits

    def _add_entries(self, connection: Connection, items: Sequence[QueuedNotification], now: int) -> None:
        """Add entries of new notifications. The caller holds the locks of the users."""
        if self.limits.days:
            connection.execute(_ADD, [_row(item, now) for item in items])

    @reading()
    def inbox(self, connection: Connection, user: str, before: int | None, limit: int) -> Sequence[InboxEntry]:
        page = _ENTRIES.query.add_columns(table.c.position, table.c.domain, table.c.read).where(*self._shown(connection, user))
        if before is not None:
            page = page.where(table.c.position < before)
        rows = connection.execute(page.order_by(table.c.position.desc()).limit(limit))
        return [InboxEntry(position, Notification(*fields), domain, read) for *fields, position, domain, read in rows]

    @reading()
    def unread(self, connection: Connection, user: str) -> int:
        return connection.scalar(select(func.count()).where(*self._shown(connection, user), table.c.read.is_(False))) or 0

    @reading()
    def unread_ids(self, connection: Connection, user: str, ids: Sequence[str]) -> set[str]:
        return set(connection.scalars(select(table.c.id).where(table.c.user == user, table.c.id.in_(ids), table.c.read.is_(False))))

    def _shown(self, connection: Connection, user: str) -> tuple[Any, ...]:
        """Return the conditions for the entries of a user that are not held and within the limits."""
        oldest = (self.database.now(connection) - self.limits.age_ms) * 1000
        mine = (table.c.user == user, _SHOWN, table.c.position > oldest)
        last = select(table.c.position).where(*mine).order_by(table.c.position.desc()).offset(self.limits.entries - 1).limit(1)
        return *mine, table.c.position >= func.coalesce(last.scalar_subquery(), 0)

    @transaction()
    def mark_read(self, connection: Connection, user: str, ids: Sequence[str]) -> int:
        return self._mark(connection, user, table.c.id.in_(ids))

    @transaction()
    def mark_read_until(self, connection: Connection, user: str, id_: str) -> int:
        newest = select(func.max(table.c.position)).where(table.c.user == user, table.c.id == id_, _SHOWN)
        return self._mark(connection, user, table.c.position <= newest.scalar_subquery())

    @staticmethod
    def _mark(connection: Connection, user: str, which: Any) -> int:
        lock_names(connection, "mailbox", [user])
        return connection.execute(
            update(table).where(table.c.user == user, _SHOWN, table.c.read.is_(False), which).values(read=True)
        ).rowcount

    @transaction(erasing="if any")
    def remove_entry(self, connection: Connection, user: str, id_: str) -> bool:
        return _ENTRIES.delete(connection, table.c.user == user, table.c.id == id_, _SHOWN) > 0

    @transaction(erasing="if any")
    def clear_inbox(self, connection: Connection, user: str) -> int:
        lock_names(connection, "mailbox", [user])
        return _ENTRIES.delete(connection, table.c.user == user, _SHOWN)

    @transaction()
    def release(self, connection: Connection, queues: Sequence[tuple[str, str]]) -> None:
        users, puids = {user for user, _ in queues}, {puid for _, puid in queues}
        lock_names(connection, "mailbox", users)
        holding = select(table.c.user, table.c.puid).distinct().where(table.c.user.in_(users), table.c.puid.in_(puids), ~_SHOWN)
        for user, puid in connection.execute(holding).all():
            self._release(connection, user, puid)

    def _release(self, connection: Connection, user: str, puid: str) -> None:
        now = self.database.now(connection)
        held = (table.c.user == user, table.c.puid == puid, ~_SHOWN)
        newest = select(table.c.position).where(*held, table.c.held_until > now).order_by(table.c.position.desc()).limit(self.limits.held)
        shown = connection.scalars(newest).all()[::-1]
        last = connection.scalar(select(func.max(table.c.position)).where(table.c.user == user)) or 0
        first = max(last + 1, now * 1000)
        moved = update(table).where(table.c.user == user, table.c.position == bindparam("place"))
        if shown:
            connection.execute(
                moved.values(position=bindparam("to"), held_until=None),
                [{"place": position, "to": first + n} for n, position in enumerate(shown)],
            )
        _ENTRIES.delete(connection, *held)

    def trim(self, queues: Sequence[tuple[str, str]]) -> None:
        users = list(dict.fromkeys(user for user, _ in queues))
        for start in range(0, len(users), _TRIMMED):
            self._trim(users[start : start + _TRIMMED])

    @transaction()
    def _trim(self, connection: Connection, users: Sequence[str]) -> None:
        lock_names(connection, "mailbox", users)
        connection.execute(_TRIM, [{"owner": user, "most": self.limits.entries, "most_held": self.limits.held} for user in users])

    def _sweep_inboxes(self) -> None:
        for which in (self._too_old, self._expired):
            while self._sweep_some(which) == _PAGE:
                pass

    def _too_old(self, now: int) -> Any:
        return table.c.position <= (now - self.limits.age_ms) * 1000

    @staticmethod
    def _expired(now: int) -> Any:
        return table.c.held_until <= now

    @transaction(erasing="if any")
    def _sweep_some(self, connection: Connection, which: Callable[[int], Any]) -> int:
        over = select(table.c.user, table.c.position).where(which(self.database.trusted_now(connection))).limit(_PAGE)
        places = [tuple(row) for row in connection.execute(over)]
        if places:
            connection.execute(delete(table).where(tuple_(table.c.user, table.c.position).in_(places)))
        return len(places)

    @staticmethod
    def _purge_inbox(connection: Connection, user: str) -> None:
        _ENTRIES.delete(connection, table.c.user == user)

    @staticmethod
    def _purge_held(connection: Connection, users: set[str], puids: set[str]) -> None:
        _ENTRIES.delete(connection, table.c.user.in_(users), table.c.puid.in_(puids), ~_SHOWN)

    def inbox_records(self) -> Iterator[InboxRecord]:
        after = ("", 0)
        while rows := self._records_after(*after):
            for row in rows:
                content = {name: row[name] for name in _ENTRIES.names}
                yield InboxRecord(
                    user=row["user"],
                    position=row["position"],
                    notification=content,
                    domain=row["domain"],
                    read=row["read"],
                    held_until=row["held_until"],
                )
            after = (rows[-1]["user"], rows[-1]["position"])

    @reading()
    def _records_after(self, connection: Connection, user: str, position: int) -> Sequence[Mapping[str, Any]]:
        key = (table.c.user, table.c.position)
        page = select(table).where(tuple_(*key) > tuple_(user, position)).order_by(*key).limit(_PAGE)
        return [dict(row) for row in connection.execute(page).mappings()]

    @transaction()
    def restore_inbox(self, connection: Connection, records: Sequence[InboxRecord]) -> None:
        if records:
            connection.execute(insert(table), [_restored(one) for one in records])


def _row(item: QueuedNotification, now: int) -> dict[str, Any]:
    held_until = now + item.ttl_ms if item.held else None
    content = {**asdict(item.notification), "domain": item.domain, "read": False, "held_until": held_until}
    return {**content, "owner": item.user, "now": now * 1000}


def _restored(one: InboxRecord) -> dict[str, Any]:
    return {**one["notification"], **{name: one[name] for name in ("user", "position", "domain", "read", "held_until")}}
