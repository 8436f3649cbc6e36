"""Outcomes of notifications in an SQL database."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, bindparam, case, delete, insert, select, tuple_, update

from ....errors import NotFound
from ....model.outcomes import ENDS, Followed, NewFollowed, NotificationOutcome, PublishedOutcome, may_follow
from ...sql.engine import Database
from ...sql.locks import lock_names
from ...sql.outcome_tables import followed as table
from ...sql.outcome_tables import outcome_counters as counters
from ...sql.outcome_tables import outcomes as log
from ...sql.rows import Rows, add_counts
from ...sql.statements import Statement
from ...sql.tables import applications
from ...sql.transactions import nondurable, reading, transaction
from ..outcomes import DAY_MS, OutcomeStore
from .fair_claims import claim_fairly
from .rows import APPLICATIONS

FOLLOWED = Rows(table, Followed)
PUBLISHED = Rows(log, PublishedOutcome)
_DUE = Statement(select(table.c.id).where(table.c.due_at <= bindparam("now")).limit(1))
_FOUND_LATER = frozenset({"dropped", "expired"})
_CHANGED = ("held", "held_at", "ended_at", "due_at")
_STORE = update(table).where(table.c.id == bindparam("name")).values({name: bindparam(f"new_{name}") for name in _CHANGED})
_PLACE = update(table).where(table.c.id == bindparam("name")).values(position=bindparam("place"))


def _postpone() -> Any:
    due = bindparam("due", type_=BigInteger)
    last = case((table.c.ended_at.is_(None), table.c.expires_at), else_=table.c.ended_at + DAY_MS)
    return update(table).where(table.c.id == bindparam("name")).values(due_at=case((last < due, last), else_=due))


_POSTPONE = _postpone()


class SqlOutcomes(OutcomeStore):
    """See ``OutcomeStore``. A lock for each application makes positions grow in the order of the commits."""

    database: Database

    @transaction()
    def follow_outcomes(self, connection: Connection, appid: str, new: Sequence[NewFollowed], check_ms: int) -> None:
        if APPLICATIONS.lock_key_share(connection, applications.c.id == appid) is None:
            raise NotFound
        now = self.database.now(connection)
        rows = [Followed(one.id, appid, one.puid, one.shown, now, now + one.ttl_ms, due_at=now + min(one.ttl_ms, check_ms)) for one in new]
        connection.execute(insert(table), [asdict(row) for row in rows])

    @nondurable()
    def unfollow_outcomes(self, connection: Connection, appid: str, ids: Sequence[str]) -> None:
        FOLLOWED.delete(connection, table.c.id.in_(ids), table.c.appid == appid)

    @nondurable()
    def place_followed(self, connection: Connection, appid: str, positions: Mapping[str, int]) -> None:
        connection.execute(_PLACE, [{"name": id_, "place": position} for id_, position in sorted(positions.items())])

    @transaction()
    def hold_outcome(
        self,
        connection: Connection,
        user: str,
        held_at: Mapping[str, int],
        ids: Sequence[str],
        outcome: NotificationOutcome,
        check_ms: int,
    ) -> Sequence[Followed]:
        named = (table.c.id.in_(sorted(ids)), table.c.puid.in_(sorted(held_at)))
        found = FOLLOWED.all(connection, *named, order_by=table.c.id, for_update=True)
        published = _published(connection, [row.id for row in found if row.ended_at is not None])
        rows = [row for row in found if row.ended_at is None or may_follow(published[row.id], outcome)]
        check_at = self.database.now(connection) + check_ms
        new = [row for row in rows if outcome not in row.held.split() or not held_at[row.puid]]
        _change(connection, [row.id for row in new], [_holding(row, outcome, held_at[row.puid], check_at, check_ms) for row in new])
        return FOLLOWED.all(connection, table.c.id.in_([row.id for row in rows]), order_by=table.c.id)

    @reading()
    def held_outcomes(self, connection: Connection, appid: str, puid: str, after: str, limit: int) -> Sequence[Followed]:
        held = (table.c.appid == appid, table.c.puid == puid, table.c.held_at.is_not(None), table.c.id > after)
        return FOLLOWED.all(connection, *held, order_by=table.c.id, limit=limit)

    @transaction()
    def publish_outcomes(self, connection: Connection, appid: str, published: Mapping[str, Sequence[NotificationOutcome]]) -> int:
        lock_names(connection, "outcomes", [appid])
        rows = FOLLOWED.all(connection, table.c.id.in_(sorted(published)), table.c.appid == appid, order_by=table.c.id, for_update=True)
        earlier = _published(connection, [row.id for row in rows])
        by_id = {row.id: row for row in rows}
        pairs = [(by_id[id_], outcome) for id_, outcomes in published.items() if id_ in by_id for outcome in _in_time(by_id[id_], outcomes)]
        return self._publish(connection, rows, pairs, earlier)

    def _publish(
        self,
        connection: Connection,
        rows: Sequence[Followed],
        pairs: Iterable[tuple[Followed, NotificationOutcome]],
        earlier: dict[str, list[str]],
    ) -> int:
        """Add outcomes of locked rows to the log in their order.

        :param earlier: what was published of each of them; this adds to it.
        """
        now, new = self.database.now(connection), []
        for row, outcome in pairs:
            if may_follow(earlier[row.id], outcome):
                earlier[row.id].append(outcome)
                new.append({"appid": row.appid, "id": row.id, "puid": row.puid, "outcome": outcome, "at": now // 1000 * 1000})
        if new:
            connection.execute(insert(log), _numbered(connection, new))
        _change(connection, [row.id for row in rows], [_after(row, earlier[row.id], now) for row in rows])
        return len(new)

    @transaction(erasing="always")
    def revoke_outcomes(self, connection: Connection, puids: Mapping[str, str]) -> Collection[str]:
        lock_names(connection, "outcomes", sorted(set(puids.values())))
        PUBLISHED.delete(connection, log.c.puid.in_(sorted(puids)), log.c.outcome != "revoked")
        mine = (table.c.puid.in_(sorted(puids)), table.c.ended_at.is_(None))
        rows = FOLLOWED.all(connection, *mine, order_by=table.c.id, for_update=True)
        self._publish(connection, rows, [(row, "revoked") for row in rows], {row.id: [] for row in rows})
        return {row.appid for row in rows}

    @reading()
    def outcomes(self, connection: Connection, appid: str, after: int, limit: int, *, restart: bool = True) -> Sequence[PublishedOutcome]:
        last = connection.scalar(select(counters.c.last_position).where(counters.c.appid == appid)) or 0
        if last == after:
            return []
        start = 0 if restart and after > last else after
        return PUBLISHED.all(connection, log.c.appid == appid, log.c.position > start, order_by=log.c.position, limit=limit)

    @reading()
    def followed(self, connection: Connection, appid: str, id_: str) -> tuple[Followed, Sequence[PublishedOutcome]] | None:
        row = FOLLOWED.find(connection, table.c.id == id_, table.c.appid == appid)
        return None if row is None else (row, PUBLISHED.all(connection, log.c.id == id_, order_by=log.c.position))

    @reading()
    def followed_waiting(self, connection: Connection, puid: str, limit: int) -> Sequence[Followed]:
        waiting = (table.c.puid == puid, table.c.ended_at.is_(None))
        return FOLLOWED.all(connection, *waiting, order_by=(table.c.sent_at, table.c.id), limit=limit)

    @reading(single=True)
    def outcomes_due(self, connection: Connection) -> bool:
        return bool(_DUE.rows(connection, now=self.database.now(connection)))

    @nondurable()
    def claim_outcomes(
        self, connection: Connection, limit: int, lease_ms: int, after: str | None
    ) -> tuple[Sequence[Followed], int, str | None]:
        now = self.database.now(connection)
        rows, following = claim_fairly(connection, FOLLOWED.query, table, now, limit, after)
        due = [Followed(*row) for row in rows]
        over = {row.id for row in due if row.ended_at is not None and row.ended_at + DAY_MS <= now}
        FOLLOWED.delete(connection, table.c.id.in_(over))
        waiting = [row for row in due if row.id not in over]
        again = now + lease_ms
        expires_before = and_(table.c.ended_at.is_(None), table.c.expires_at > now, table.c.expires_at < again)
        due_at = case((expires_before, table.c.expires_at), else_=again)
        connection.execute(update(table).where(table.c.id.in_([row.id for row in waiting])).values(due_at=due_at))
        return waiting, now, following

    @nondurable()
    def postpone_outcomes(self, connection: Connection, due_at: Mapping[str, int]) -> None:
        connection.execute(_POSTPONE, [{"name": id_, "due": time} for id_, time in sorted(due_at.items())])

    @transaction()
    def trim_outcomes(self, connection: Connection, appid: str, most: int) -> None:
        lock_names(connection, "outcomes", [appid])
        for each, key in ((table, (table.c.sent_at, table.c.id)), (log, (log.c.position,))):
            newest = select(*key).where(each.c.appid == appid).order_by(*(column.desc() for column in key)).offset(most).limit(1)
            if first := connection.execute(newest).first():
                connection.execute(delete(each).where(each.c.appid == appid, tuple_(*key) <= tuple_(*first)))


def sweep_outcomes(connection: Connection, now: int) -> int:
    """Delete outcomes that were published a day ago; return how many."""
    return PUBLISHED.delete(connection, log.c.at <= now - DAY_MS)


def _numbered(connection: Connection, new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of the log with their positions: each application, whose lock is held, has a counter of its own."""
    numbered = []
    for appid, count in sorted(Counter(row["appid"] for row in new).items()):
        add_counts(connection, counters, {"appid": appid}, {"last_position": count})
        last = connection.execute(select(counters.c.last_position).where(counters.c.appid == appid)).scalar_one()
        mine = (row for row in new if row["appid"] == appid)
        numbered += [row | {"position": position} for position, row in enumerate(mine, last - count + 1)]
    return numbered


def _in_time(row: Followed, outcomes: Sequence[NotificationOutcome]) -> Sequence[NotificationOutcome]:
    """Return what a device has reported, and may be published, in place of an end that was found by what the mailbox has no more."""
    reported = cast("Sequence[NotificationOutcome]", row.held.split()) if row.held_at == 0 else ()
    return reported if reported and set(outcomes) <= _FOUND_LATER else outcomes


def _holding(row: Followed, outcome: NotificationOutcome, held_at: int, check_at: int, check_ms: int) -> dict[str, Any]:
    """Return the changed values of a row with one more held outcome: no check shortly before another, as it changes the order of claims."""
    held = row.held if outcome in row.held.split() else f"{row.held} {outcome}".strip()
    due_at = check_at if check_at + check_ms < row.due_at else row.due_at
    return {"held": held, "held_at": held_at, "ended_at": row.ended_at, "due_at": due_at}


def _published(connection: Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    published: dict[str, list[str]] = {id_: [] for id_ in ids}
    where: ColumnElement[bool] = log.c.id.in_(ids)
    for id_, outcome in connection.execute(select(log.c.id, log.c.outcome).where(where).order_by(log.c.position)):
        published[id_].append(outcome)
    return published


def _after(row: Followed, published: Collection[str], now: int) -> dict[str, Any]:
    """Return the changed values of a row after some outcomes were published."""
    ended_at = row.ended_at or (None if ENDS.isdisjoint(published) else now)
    held = " ".join(outcome for outcome in row.held.split() if may_follow(published, outcome))  # type: ignore[arg-type]
    due_at = ended_at + DAY_MS if ended_at else row.due_at
    return {"held": held, "held_at": row.held_at if held else None, "ended_at": ended_at, "due_at": due_at}


def _change(connection: Connection, ids: Sequence[str], values: Sequence[dict[str, Any]]) -> None:
    if ids:
        rows = zip(ids, values, strict=True)
        connection.execute(_STORE, [{"name": id_, **{f"new_{name}": value for name, value in each.items()}} for id_, each in rows])
