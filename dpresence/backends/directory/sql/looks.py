"""Looks of applications in an SQL database: at all their users, by application, and at single users, by grant."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import get_args

from sqlalchemy import Column, Connection, Table, delete, select

from ....model import Grant
from ....model.looks import Looks, Via, day_of
from ...sql.engine import Database
from ...sql.rows import add_counts
from ...sql.tables import application_looks, applications, grant_looks, grants
from ...sql.transactions import nondurable
from .. import LookCount
from ..looks import LOOK_DAYS, LookStore

_VIAS: tuple[Via, ...] = get_args(Via)
_DAY_MS = 86_400_000


class SqlLooks(LookStore):
    """See ``LookStore``."""

    database: Database

    @nondurable(key=lambda looks: "")
    def add_looks(self, connection: Connection, looks: Sequence[LookCount]) -> None:
        at_all, at_one = [look for look in looks if not look.puid], [look for look in looks if look.puid]
        _add(connection, application_looks, applications.c.id, [(look.appid, look) for look in at_all])
        _add(connection, grant_looks, grants.c.puid, [(look.puid, look) for look in at_one])


def _add(connection: Connection, table: Table, of: Column[str], looks: Iterable[tuple[str, LookCount]]) -> None:
    """Add counts to the rows of a table, whose first column refers to ``of``."""
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for key, look in looks:
        counts[key, look.day][look.via] += look.times
    if not counts:
        return
    query = select(of).where(of.in_({key for key, _ in counts})).order_by(of).with_for_update(read=True, key_share=True)
    existing, column = set(connection.scalars(query)), table.columns[0].name
    for (key, day), by_via in sorted(counts.items()):
        if key in existing:
            add_counts(connection, table, {column: key, "day": day}, {via: by_via[via] for via in _VIAS})


def looks_at(connection: Connection, granted: Sequence[Grant]) -> dict[str, Sequence[Looks]]:
    """Return the looks at the user of each grant by PUID, newest first. Days before the grant are left out."""
    all_users = select(application_looks).where(application_looks.c.appid.in_([grant.appid for grant in granted]))
    one_user = select(grant_looks).where(grant_looks.c.puid.in_([grant.puid for grant in granted]))
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for key, day, *numbers in [*connection.execute(all_users), *connection.execute(one_user)]:
        counts[key, day].update(dict(zip(_VIAS, numbers, strict=True)))
    days = sorted({day for _, day in counts}, reverse=True)
    return {grant.puid: [found for day in days if (found := _on(day, grant, counts))] for grant in granted}


def _on(day: str, grant: Grant, counts: defaultdict[tuple[str, str], Counter[str]]) -> Looks | None:
    found = counts.get((grant.appid, day), Counter()) + counts.get((grant.puid, day), Counter())
    return Looks(day, **found) if found and day >= day_of(grant.granted_at) else None


def sweep_looks(connection: Connection, now: int) -> int:
    """Delete looks that are older than ``LOOK_DAYS``; return the number of rows.

    :param now: milliseconds; 0 while the clock may be wrong.
    """
    first = day_of(now - (LOOK_DAYS - 1) * _DAY_MS)
    tables = (application_looks, grant_looks) if now else ()
    return sum(connection.execute(delete(table).where(table.c.day < first)).rowcount for table in tables)
