"""Claims from a table of what is due, in which applications take turns: what one of them has due at once delays no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, exists, func, literal, select

_AT_ONCE = 20
"""Maximum number of applications in one claim while more is due than it takes."""
_LOOKED_AT = 500
"""Maximum number of applications that one claim looks at then: those that have anything in the table, due or not."""


def claim_fairly(
    connection: Connection, query: Select[Any], table: Table, now: int, limit: int, after: str | None
) -> tuple[list[Any], str | None]:
    """Lock up to ``limit`` rows that are due, the oldest first; if more are due, equally many of each of the next applications.

    :param query: selects from ``table``, which has an index of ``appid`` and ``due_at``.
    :param after: the application after which to continue; None at the beginning.
    :returns: also the next ``after``; None after the last application.
    """
    due = table.c.due_at <= now
    oldest = query.where(due).order_by(table.c.due_at, table.c.id).with_for_update(skip_locked=True)
    if connection.execute(select(table.c.due_at).where(due).order_by(table.c.due_at).offset(limit).limit(1)).first() is None:
        return list(connection.execute(oldest.limit(limit))), None
    appids, following = _next_applications(connection, table, now, after, min(limit, _AT_ONCE))
    each = [oldest.where(table.c.appid == appid).limit(limit // len(appids)) for appid in appids]
    return [row for part in each for row in connection.execute(part)], following


def _next_applications(connection: Connection, table: Table, now: int, after: str | None, most: int) -> tuple[Sequence[str], str | None]:
    """Return up to ``most`` applications that have anything due, and the one after which to continue."""
    steps = select(func.min(table.c.appid).label("appid"), literal(1).label("number"))
    some = (steps if after is None else steps.where(table.c.appid > after)).cte("some", recursive=True)
    following = select(func.min(table.c.appid)).where(table.c.appid > some.c.appid).scalar_subquery()
    some = some.union_all(select(following, some.c.number + 1).where(some.c.appid.is_not(None), some.c.number < _LOOKED_AT))
    is_due = exists().where(table.c.appid == some.c.appid, table.c.due_at <= now)
    found = connection.execute(select(some.c.appid, is_due).where(some.c.appid.is_not(None)).order_by(some.c.appid)).all()
    due = [appid for appid, its_due in found if its_due][:most]
    if len(due) == most:
        return due, due[-1]
    return due, found[-1][0] if len(found) == _LOOKED_AT else None
