"""Topics, idempotency keys and cancels in an SQL database: one row for each name of a grant, with its last notification."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, tuple_

from ....errors import Conflict
from ...sql.engine import Database
from ...sql.locks import lock_names
from ...sql.tables import inbox, notifications, received_unseen
from ...sql.tables import notification_names as table
from ...sql.transactions import transaction
from .. import QueuedNotification, Stored
from ..control import KEY_MS, MAX_NAMES, REUSED, ControlledMailbox, TopicAndKey

_SWEPT = 500
"""Maximum number of rows that one transaction of the sweep deletes."""
_PLACE = (table.c.user, table.c.puid, table.c.kind, table.c.name)


class _Name(NamedTuple):
    """Identifies a topic or an idempotency key; ``kind`` is ``topic`` or ``key``."""

    user: str
    puid: str
    kind: str
    name: str


class _Controlled(NamedTuple):
    """The earlier notifications that new ones repeat or replace, by the id of the new one."""

    repeated: dict[str, Stored]
    replaced: dict[str, str]

    def new(self, items: Sequence[QueuedNotification]) -> list[QueuedNotification]:
        """Return the notifications that are to be stored."""
        return [item for item in items if item.notification.id not in self.repeated]

    def finish(self, connection: Connection, items: Sequence[QueuedNotification], stored: Sequence[Stored], now: int) -> list[Stored]:
        """Remember the names of new notifications; return the complete results."""
        positions = {item.notification.id: each.position for item, each in zip(items, stored, strict=True)}
        new = [item for item in self.new(items) if item.control]
        rows = [_row(item, name, positions[item.notification.id], now) for item in new for name in _names(item)]
        if rows:
            connection.execute(delete(table).where(tuple_(*_PLACE).in_([tuple(row[key] for key in _Name._fields) for row in rows])))
            connection.execute(insert(table), rows)
            _trim(connection, {(item.user, item.notification.puid) for item in new})
        return [self._complete(item.notification.id, each) for item, each in zip(items, stored, strict=True)]

    def _complete(self, id_: str, stored: Stored) -> Stored:
        earlier = self.repeated.get(id_)
        return earlier._replace(size=stored.size) if earlier else stored._replace(replaced=self.replaced.get(id_, ""))


class SqlControl(ControlledMailbox):
    """The part of ``SqlMailbox`` for the control of notifications."""

    database: Database

    @staticmethod
    def _begin_control(connection: Connection, items: Sequence[QueuedNotification], now: int) -> _Controlled:
        """Find repeated notifications, and delete those that others replace. The caller holds the locks of the users."""
        wanted = [tuple(name) for item in items for name in _names(item)]
        found = connection.execute(select(table).where(tuple_(*_PLACE).in_(wanted), table.c.expires_at > now)).mappings()
        known = {_Name(*(row[key] for key in _Name._fields)): row for row in found}
        controlled = _Controlled({}, {})
        for item, control in _controlled(items):
            row = known.get(_Name(item.user, item.notification.puid, "key", control.key))
            if row and row["digest"] != control.digest:
                raise Conflict(REUSED.format(control.key))
            if row:
                controlled.repeated[item.notification.id] = Stored(row["position"], 0, row["id"])
        for item, control in _controlled(controlled.new(items)):
            row = known.get(_Name(item.user, item.notification.puid, "topic", control.topic))
            if row and _withdraw(connection, item.user, item.notification.puid, row["id"]):
                controlled.replaced[item.notification.id] = row["id"]
        return controlled

    @transaction(erasing="if any")
    def cancel(self, connection: Connection, user: str, puid: str, id_: str) -> bool:
        lock_names(connection, "mailbox", [user])
        return _withdraw(connection, user, puid, id_)

    @staticmethod
    def _purge_names(connection: Connection, users: set[str], puids: set[str] | None = None) -> None:
        mine = table.c.user.in_(users)
        connection.execute(delete(table).where(mine if puids is None else and_(mine, table.c.puid.in_(puids))))

    def _sweep_names(self) -> None:
        while self._sweep_some_names() == _SWEPT:
            pass

    @transaction(erasing="if any")
    def _sweep_some_names(self, connection: Connection) -> int:
        over = select(*_PLACE).where(table.c.expires_at <= self.database.trusted_now(connection)).limit(_SWEPT)
        places = [tuple(row) for row in connection.execute(over)]
        if places:
            connection.execute(delete(table).where(tuple_(*_PLACE).in_(places)))
        return len(places)


def _controlled(items: Sequence[QueuedNotification]) -> Iterator[tuple[QueuedNotification, TopicAndKey]]:
    return ((item, item.control) for item in items if item.control)


def _names(item: QueuedNotification) -> Iterator[_Name]:
    if item.control:
        for kind, name in (("topic", item.control.topic), ("key", item.control.key)):
            if name:
                yield _Name(item.user, item.notification.puid, kind, name)


def _row(item: QueuedNotification, name: _Name, position: int, now: int) -> dict[str, Any]:
    digest, lasts_ms = (item.control.digest, KEY_MS) if item.control and name.kind == "key" else ("", item.ttl_ms)
    return {**name._asdict(), "id": item.notification.id, "position": position, "digest": digest, "expires_at": now + lasts_ms}


def _withdraw(connection: Connection, user: str, puid: str, id_: str) -> bool:
    """Delete a notification from its queue, and from the inbox unless it was read; return whether there was anything."""
    count = 0
    for each in (notifications, received_unseen, inbox):
        unread = (inbox.c.read.is_(False),) if each is inbox else ()
        count += connection.execute(delete(each).where(each.c.user == user, each.c.puid == puid, each.c.id == id_, *unread)).rowcount
    return count > 0


def _trim(connection: Connection, queues: set[tuple[str, str]]) -> None:
    """Delete the oldest names of some grants beyond ``MAX_NAMES`` of each kind."""
    mine = or_(*(and_(table.c.user == user, table.c.puid == puid) for user, puid in queues))
    rank = func.row_number().over(partition_by=(table.c.user, table.c.puid, table.c.kind), order_by=table.c.position.desc()).label("rank")
    ranked = select(*_PLACE, rank).where(mine).subquery()
    over = connection.execute(select(*(ranked.c[name] for name in _Name._fields)).where(ranked.c.rank > MAX_NAMES))
    places = [tuple(row) for row in over]
    if places:
        connection.execute(delete(table).where(tuple_(*_PLACE).in_(places)))
