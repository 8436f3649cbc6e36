"""The mailbox in an SQL database. Each method is one transaction; a queue is the order of ``position``."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, func, insert, select

from ...model import Grant, Notification
from ..sql.engine import Database, reading, transaction
from ..sql.locks import take_turns
from ..sql.rows import Rows
from ..sql.tables import notifications as table
from . import Mailbox

NOTIFICATIONS = Rows(table, Notification)
_PENDING = NOTIFICATIONS.prepare(  # asked for at each sign-in
    table.c.user == bindparam("owner"), table.c.expires_at > bindparam("now"), order_by=(table.c.position,)
)
Queue = tuple[str, str]  # user, appid


class SqlMailbox(Mailbox):
    """Waiting notifications in a ``Database`` it shares with the directory; closing one closes both."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @transaction
    def push(self, connection: Connection, items: Sequence[tuple[str, Notification]], limit: int) -> Sequence[int]:
        if not items:
            return []
        users = {user for user, _ in items}
        take_turns(connection, "mailbox", users)  # what one push counts and numbers, no other changes meanwhile
        # what expired makes room first; the newest item is as late as it can be now
        NOTIFICATIONS.delete(connection, table.c.user.in_(users), table.c.expires_at <= max(item.sent_at for _, item in items))
        sizes = _sizes(connection, users)
        connection.execute(insert(table), [{"user": user, **NOTIFICATIONS.values(item)} for user, item in items])
        answers = []
        for user, item in items:
            sizes[user, item.appid] += 1
            answers.append(min(sizes[user, item.appid], limit))
        for queue, size in sizes.items():
            if size > limit:
                _keep_newest(connection, queue, limit)
        return answers

    @reading
    def pending(self, connection: Connection, user: str, now: int) -> Sequence[Notification]:
        return _PENDING.all(connection, owner=user, now=now)

    @reading
    def waiting(self, connection: Connection, user: str, appid: str, now: int) -> int:
        count = select(func.count()).where(table.c.user == user, table.c.appid == appid, table.c.expires_at > now)
        return connection.scalars(count).one()

    @transaction
    def settle(self, connection: Connection, user: str, ids: Sequence[str]) -> int:
        return NOTIFICATIONS.delete(connection, table.c.user == user, table.c.id.in_(ids))

    @transaction
    def purge(self, connection: Connection, user: str) -> int:
        return NOTIFICATIONS.delete(connection, table.c.user == user)

    @transaction
    def purge_grants(self, connection: Connection, grants: Sequence[Grant]) -> int:
        users, puids = {grant.user for grant in grants}, {grant.puid for grant in grants}
        return NOTIFICATIONS.delete(connection, table.c.user.in_(users), table.c.puid.in_(puids))

    @transaction
    def sweep(self, connection: Connection, now: int) -> int:
        return NOTIFICATIONS.delete(connection, table.c.expires_at <= now)

    @transaction
    def ping(self, connection: Connection) -> None:
        connection.execute(select(table.c.position).limit(1))

    def close(self) -> None:
        self.database.close()


def _sizes(connection: Connection, users: Iterable[str]) -> Counter[Queue]:
    """Return how many wait in each queue of some users."""
    count = select(table.c.user, table.c.appid, func.count()).where(table.c.user.in_(users))
    rows = connection.execute(count.group_by(table.c.user, table.c.appid))
    return Counter({(user, appid): size for user, appid, size in rows})


def _keep_newest(connection: Connection, queue: Queue, limit: int) -> None:
    """Drop what is beyond ``limit`` now: somebody may have settled some since they were counted."""
    user, appid = queue
    newest = select(table.c.position).where(table.c.user == user, table.c.appid == appid).order_by(table.c.position.desc())
    NOTIFICATIONS.delete(connection, table.c.position.in_(newest.offset(limit)))
