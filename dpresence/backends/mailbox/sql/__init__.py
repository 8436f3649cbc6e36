"""The mailbox in an SQL database. Each method except the sweep is one transaction; ``position`` orders a queue.

Expiry times use the database's clock; see ``Database.now``. Notifications that a user receives while shown as offline
move from ``notifications`` to ``received_unseen``, which stores no content and is only counted. ``inbox`` has the inboxes.
"""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, func, insert, literal_column, select, tuple_, union_all

from ....model import Notification
from ...sql import postgresql
from ...sql.copying import continue_after, last_number
from ...sql.engine import Database
from ...sql.locks import lock_names
from ...sql.rows import Rows
from ...sql.statements import Statement
from ...sql.tables import notifications as table
from ...sql.tables import received_unseen
from ...sql.transactions import reading, transaction
from .. import InboxLimits, Mailbox, Queue, QueuedNotification, QueueKey, Record, Stored, Waiting
from .control import SqlControl
from .inbox import SqlInbox
from .recipients import Recipients

NOTIFICATIONS = Rows(table, Notification)


def _page_of(now: ColumnElement[int]) -> Statement:
    """Return the statement that reads a page of a queue; it runs at each sign-in."""
    return Statement(
        NOTIFICATIONS.query.add_columns(table.c.position)
        .where(table.c.user == bindparam("owner"), table.c.position > bindparam("after"), table.c.expires_at > now)
        .order_by(table.c.position)
        .limit(bindparam("most"))
    )


_PENDING = _page_of(bindparam("now", type_=table.c.expires_at.type))
_PENDING_AT_SERVER = _page_of(literal_column(postgresql.NOW))
_ADD = insert(table)
_COUNT_NO_LONGER = delete(received_unseen).where(
    received_unseen.c.user == bindparam("owner"),
    received_unseen.c.puid == bindparam("name"),
    received_unseen.c.taken_at < bindparam("until"),
)
_BOTH = (table, received_unseen)
_SWEPT = 500
"""Maximum number of rows that one transaction of the sweep deletes."""

_DEFAULT_LIMITS = InboxLimits()


class SqlMailbox(SqlInbox, SqlControl, Mailbox):
    """Undelivered notifications in a ``Database`` that is shared with the directory. Closing either backend closes the database."""

    def __init__(self, database: Database, limits: InboxLimits = _DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self.database = database
        self._recipients = Recipients(database)

    def refuses(self, caller: str) -> bool:
        return self.database.refuses(caller)

    def enqueue(self, items: Sequence[QueuedNotification], limit: int) -> Sequence[Stored]:
        if not items:
            return []
        try:
            stored, expired, dropped = self._enqueue(items, limit)
        finally:  # also after an error, because the transaction may have been committed
            self._recipients.add(item.user for item in items)
        self.discarded["expired"] += expired
        self.discarded["dropped"] += dropped
        return stored

    @transaction(key=lambda items, limit: items[0].notification.appid)
    def _enqueue(self, connection: Connection, items: Sequence[QueuedNotification], limit: int) -> tuple[Sequence[Stored], int, int]:
        """Store notifications; return their results, and how many undelivered ones were discarded: expired, dropped."""
        users = {item.user for item in items}
        lock_names(connection, "mailbox", users)  # no concurrent call may change the counts and positions of these users
        now, trusted = self.database.now(connection), self.database.trusted_now(connection)
        queues = {Queue(item.user, item.notification.puid): item.shown_until for item in items}
        expired = _tidy(connection, queues, trusted)
        controlled = any(item.control for item in items) and self._begin_control(connection, items, now)
        new = controlled.new(items) if controlled else items
        sizes = _sizes(connection, queues, now)
        if new:
            connection.execute(_ADD, [_row(item, now) for item in new])
            self._add_entries(connection, new, now)
        positions = _positions(connection, users, [item.notification.id for item in new])
        answers = []
        for item in items:
            queue = Queue(item.user, item.notification.puid)
            sizes[queue] += item.notification.id in positions
            answers.append(Stored(positions.get(item.notification.id, 0), min(sizes[queue], limit)))
        if controlled:
            answers = controlled.finish(connection, items, answers, now)
        # while the clock may be wrong, expired rows are neither deleted nor counted, so that any queue may hold more than ``limit`` rows
        full = [queue for queue, size in sizes.items() if size > limit or not trusted]
        dropped = _keep_newest(connection, full, limit, now) if full else 0
        return answers, expired, dropped

    def pending(self, user: str, after: int, limit: int) -> Sequence[Waiting]:
        if not self._recipients.may_have(user):
            return []
        additions, found = self._recipients.additions, self._pending(user, after, limit)
        if not found and not after:
            self._recipients.discard(user, additions)
        return found

    @reading(single=True)
    def _pending(self, connection: Connection, user: str, after: int, limit: int) -> Sequence[Waiting]:
        page = {"owner": user, "after": after, "most": limit}
        if connection.dialect.name == "postgresql":  # where its time would be one statement more, whose answer is waited for
            rows = _PENDING_AT_SERVER.rows(connection, **page)
        else:
            rows = _PENDING.rows(connection, **page, now=self.database.now(connection))
        return [Waiting(position, Notification(*fields)) for *fields, position in rows]

    @reading()
    def undelivered_ids(self, connection: Connection, user: str, ids: Collection[str]) -> set[str]:
        return set(connection.scalars(select(table.c.id).where(table.c.user == user, table.c.id.in_(ids))))

    @reading()
    def queue_size(self, connection: Connection, user: str, puid: str, shown_until: int) -> int:
        now = self.database.now(connection)
        mine = [(each.c.user == user, each.c.puid == puid, each.c.expires_at > now) for each in _BOTH]
        counts = [select(func.count()).where(*mine[0]), select(func.count()).where(*mine[1], received_unseen.c.taken_at >= shown_until)]
        return sum(connection.scalars(count).one() for count in counts)

    @reading()
    def count_undelivered(self, connection: Connection, after: Queue, limit: int) -> tuple[int, Queue | None]:
        place = (table.c.user, table.c.position)  # an index, which is smaller than the rows
        part = select(*place).where(tuple_(*place) > tuple_(after.user, int(after.puid or 0))).order_by(*place).limit(limit)
        found = connection.execute(part).all()
        return len(found), Queue(found[-1][0], str(found[-1][1])) if len(found) == limit else None

    @reading()
    def first_position(self, connection: Connection, user: str, puid: str) -> int | None:
        now = self.database.now(connection)
        lowest = (
            select(func.min(each.c.position)).where(each.c.user == user, each.c.puid == puid, each.c.expires_at > now) for each in _BOTH
        )
        return min((position for query in lowest if (position := connection.scalar(query)) is not None), default=None)

    @transaction()
    def discard_received(self, connection: Connection, user: str, ids: Sequence[str], offline_to: Collection[str] | None, at: int) -> int:
        named = (table.c.user == user, table.c.id.in_(ids))
        hidden = named if offline_to is None else (*named, table.c.puid.in_(offline_to))
        count = 0
        if offline_to is None or offline_to:
            kept = (table.c.position, table.c.id, table.c.user, table.c.puid, table.c.expires_at)
            moved = delete(table).where(*hidden).returning(*kept)
            rows = [{**row, "taken_at": at} for row in connection.execute(moved).mappings()]
            count = len(rows)
            if rows:
                connection.execute(insert(received_unseen), rows)
        return count + (0 if offline_to is None else NOTIFICATIONS.delete(connection, *named))

    @transaction(erasing="always")
    def purge(self, connection: Connection, user: str) -> int:
        connection.execute(delete(received_unseen).where(received_unseen.c.user == user))
        self._purge_inbox(connection, user)
        self._purge_names(connection, {user})
        return NOTIFICATIONS.delete(connection, table.c.user == user)

    @transaction()
    def purge_grants(self, connection: Connection, grants: Sequence[QueueKey]) -> int:
        users, puids = {grant.user for grant in grants}, {grant.puid for grant in grants}
        connection.execute(delete(received_unseen).where(received_unseen.c.user.in_(users), received_unseen.c.puid.in_(puids)))
        self._purge_held(connection, users, puids)
        self._purge_names(connection, users, puids)
        return NOTIFICATIONS.delete(connection, table.c.user.in_(users), table.c.puid.in_(puids))

    @reading()
    def queues(self, connection: Connection, after: Queue, limit: int) -> Sequence[Queue]:
        found: set[Queue] = set()
        for each in _BOTH:
            pair = (each.c.user, each.c.puid)
            page = select(*pair).distinct().where(tuple_(*pair) > tuple_(*after)).order_by(*pair).limit(limit)
            found.update(Queue(*row) for row in connection.execute(page))
        return sorted(found)[:limit]

    def records(self) -> Iterator[Record]:
        for each in _BOTH:
            after = 0
            while rows := self._page(each, after):
                yield from map(_record, rows)
                after = rows[-1]["position"]

    @reading()
    def _page(self, connection: Connection, each: Table, after: int) -> Sequence[Mapping[str, Any]]:
        page = select(each).where(each.c.position > after).order_by(each.c.position).limit(_SWEPT)
        return [dict(row) for row in connection.execute(page).mappings()]

    @transaction()
    def restore(self, connection: Connection, records: Sequence[Record]) -> None:
        waiting = [{**one["notification"], **_places(one)} for one in records if one["notification"]]
        received = [{**_places(one), "id": one["id"], "taken_at": one["taken_at"]} for one in records if not one["notification"]]
        for each, rows in zip(_BOTH, (waiting, received), strict=True):
            if rows:
                connection.execute(insert(each), rows)
        last = last_number(connection, table.name, "position")
        continue_after(connection, table.name, "position", max([last, *(one["position"] for one in records)]))

    def sweep(self) -> int:
        total = count = 0
        for each in _BOTH:
            while (count := self._sweep(each)) == _SWEPT:
                total += count
            total += count
            if each is table:
                self.discarded["expired"] += total
        self._sweep_inboxes()
        self._sweep_names()
        return total

    @transaction(erasing="if any")
    def _sweep(self, connection: Connection, each: Table) -> int:
        over = select(each.c.position).where(each.c.expires_at <= self.database.trusted_now(connection)).limit(_SWEPT)
        return connection.execute(delete(each).where(each.c.position.in_(over))).rowcount

    def ping(self) -> None:
        self.database.check_writable()
        self._look()

    @reading(urgent=True)
    def _look(self, connection: Connection) -> None:
        connection.execute(select(table.c.position).limit(1))

    def close(self) -> None:
        self.database.close()


def _record(row: Mapping[str, Any]) -> Record:
    content = {name: row[name] for name in NOTIFICATIONS.names} if "message" in row else None
    places = {name: row[name] for name in ("user", "puid", "position", "expires_at")}
    name = row["id"] or f"received-{row['position']}"  # an id of its own, which Redis needs
    return cast("Record", {**places, "id": name, "notification": content, "taken_at": row.get("taken_at")})


def _places(record: Record) -> dict[str, Any]:
    return {"user": record["user"], "puid": record["puid"], "position": record["position"], "expires_at": record["expires_at"]}


def _row(item: QueuedNotification, now: int) -> dict[str, Any]:
    return {"user": item.user, **NOTIFICATIONS.values(item.notification), "expires_at": now + item.ttl_ms}


def _tidy(connection: Connection, queues: dict[Queue, int], now: int) -> int:
    """Discard expired entries of some queues, and entries that are no longer counted; return how many undelivered ones."""
    expired, _ = (connection.execute(delete(each).where(_in(each, queues), each.c.expires_at <= now)).rowcount for each in _BOTH)
    affected = connection.execute(
        select(received_unseen.c.user, received_unseen.c.puid).distinct().where(_in(received_unseen, queues))
    ).all()
    if affected:
        connection.execute(_COUNT_NO_LONGER, [{"owner": user, "name": puid, "until": queues[Queue(user, puid)]} for user, puid in affected])
    return int(expired)


def _sizes(connection: Connection, queues: Iterable[Queue], now: int) -> Counter[Queue]:
    """Return the number of counted entries of each queue."""
    sizes: Counter[Queue] = Counter()
    for each in _BOTH:
        count = select(each.c.user, each.c.puid, func.count()).where(_in(each, queues), each.c.expires_at > now)
        count = count.group_by(each.c.user, each.c.puid)
        for user, puid, size in connection.execute(count):
            sizes[Queue(user, puid)] += size
    return sizes


def _in(each: Table, queues: Iterable[Queue]) -> Any:
    """Return the condition that selects some queues. A PUID belongs to one user; naming the user lets the query use the index."""
    return each.c.user.in_({queue.user for queue in queues}) & each.c.puid.in_({queue.puid for queue in queues})


def _positions(connection: Connection, users: Iterable[str], ids: Collection[str]) -> dict[str, int]:
    return dict(connection.execute(select(table.c.id, table.c.position).where(table.c.user.in_(users), table.c.id.in_(ids))).all())


def _keep_newest(connection: Connection, queues: Iterable[Queue], limit: int, now: int) -> int:
    """Delete the entries beyond ``limit`` in each queue, expired ones first; return how many undelivered ones.

    Queues may have shrunk since they were counted.
    """
    each_stored = [select(each.c.user, each.c.puid, each.c.position, each.c.expires_at).where(_in(each, queues)) for each in _BOTH]
    stored = union_all(*each_stored).subquery()
    newest = (stored.c.expires_at <= now, stored.c.position.desc())
    rank = func.row_number().over(partition_by=(stored.c.user, stored.c.puid), order_by=newest).label("rank")
    ranked = select(stored.c.position, rank).subquery()
    beyond = connection.scalars(select(ranked.c.position).where(ranked.c.rank > limit)).all()
    dropped, _ = (connection.execute(delete(each).where(each.c.position.in_(beyond))).rowcount for each in _BOTH)
    return int(dropped)
