"""Tickets in an SQL database."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, case, insert, literal_column, select, update

from ....errors import SessionEnded
from ....model import Account, Identity, Ticket
from ...sql.engine import Database
from ...sql.statements import Statement
from ...sql.tables import accounts, device_credentials, sessions, tickets
from ...sql.transactions import nondurable, reading, transaction
from .. import Redeemed, Requester
from ..tickets import TicketStore
from . import account_changes, outbox
from .grants import read_grants
from .provider_logouts import check_not_ended
from .requester_checks import check_holder, lock_account
from .rows import ACCOUNTS, SESSIONS, TICKETS

UNUSED, USED, ENDED = "unused", "used", "ended"
"""States of a ticket; see the table."""
_SHOWN = tickets.c.hash == bindparam("shown")
_READ = (
    ACCOUNTS.query.add_columns(*TICKETS.query.selected_columns, tickets.c.state)
    .join_from(accounts, tickets, tickets.c.user == accounts.c.id)
    .where(_SHOWN)
)
_TICKET = Statement(_READ.with_for_update())  # locks the account before the ticket, in the order of FROM, as every other transaction does
_other = tickets.alias()
_OTHER_STATE = case((tickets.c.state == literal_column("'unused'"), literal_column("'used'")), else_=literal_column("'unused'"))
_TICKET_AND_OTHER = Statement(  # for SQLite: also the hash of the other ticket of the family that has not ended. There is at most one
    _READ.add_columns(
        select(_other.c.hash).where(_other.c.family == tickets.c.family, _other.c.state == _OTHER_STATE).limit(1).scalar_subquery()
    )
)
_OWNER = Statement(select(tickets.c.user).where(_SHOWN))  # takes no lock, so it waits for no transaction
_ACCOUNT_FIELDS = len(ACCOUNTS.names)
_FIELDS = _ACCOUNT_FIELDS + len(TICKETS.names)
_BY, _THEN = bindparam("by", type_=tickets.c.device.type), bindparam("then", type_=tickets.c.state.type)
_ENDS = bindparam("ends", type_=tickets.c.session_ends_at.type)
_USED = (  # ends every other ticket of the family
    update(tickets)
    .where(tickets.c.family == bindparam("chain"), tickets.c.state.in_((literal_column("'unused'"), literal_column("'used'"))))
    .values(state=case((_SHOWN, _THEN), else_=literal_column("'ended'")))
)
_USE = Statement(_USED)
_FOLLOWING = {"hash": bindparam("next", type_=tickets.c.hash.type), "expires_at": tickets.c.session_ends_at}
_ADDED = insert(tickets).from_select(
    TICKETS.names, select(*(_FOLLOWING.get(name, tickets.c[name]) for name in TICKETS.names)).where(_SHOWN)
)
_USE_AND_ADD = Statement(_ADDED.add_cte(_USED.cte("used")))  # one statement for PostgreSQL, whose answers are waited for
# SQLite makes a temporary table for an update that finds its rows by a changed index, and for an insert that reads the same table.
# Statements of one row make none, and take a quarter less for a ticket.
_SET_STATE = Statement(update(tickets).where(_SHOWN).values(state=_THEN))
_ADD = Statement(
    insert(tickets).values(
        hash=bindparam("next", type_=tickets.c.hash.type),
        family=bindparam("chain", type_=tickets.c.family.type),
        user=bindparam("owner", type_=tickets.c.user.type),
        expires_at=_ENDS,
        session_ends_at=_ENDS,
        session=bindparam("login", type_=tickets.c.session.type),
        device=_BY,
        provider_session=bindparam("provider", type_=tickets.c.provider_session.type),
    )
)
_SET_DEVICE = Statement(update(tickets).where(tickets.c.family == bindparam("chain")).values(device=_BY))


class SqlTickets(TicketStore):
    """See ``TicketStore``."""

    database: Database

    @transaction(urgent=True)
    def add_ticket(
        self, connection: Connection, ticket: Ticket, requester: Requester | None = None, identity: Identity | None = None
    ) -> None:
        check_not_ended(connection, identity)
        check_holder(connection, ACCOUNTS.lock_key_share(connection, accounts.c.id == ticket.user), requester)
        if ticket.session is not None and SESSIONS.lock_key_share(connection, sessions.c.id_hash == ticket.session) is None:
            raise SessionEnded
        TICKETS.add(connection, ticket)
        self._remember(ticket.hash, ticket.user)

    def use_ticket(
        self,
        hash: bytes,
        now: int,
        device: str | None,
        successor: bytes | None,
        wants_grants: Callable[[str], bool] = lambda user: False,
    ) -> Redeemed | None:
        # The tickets of one account wait for its lock, so they must have one share of the connections.
        if self.database.reads_wait and not self.database.owners.knows(hash.hex()) and (user := self._read_owner(hash)):
            self._remember(hash, user)
        return self._use_ticket(hash, now, device, successor, wants_grants)

    @reading(urgent=True, single=True)
    def _read_owner(self, connection: Connection, hash: bytes) -> str | None:
        rows = _OWNER.rows(connection, shown=hash)
        return str(rows[0][0]) if rows else None

    def _remember(self, hash: bytes, user: str) -> None:
        if self.database.reads_wait:
            self.database.owners.remember(hash.hex(), user)

    @nondurable(urgent=True)
    def _use_ticket(
        self,
        connection: Connection,
        hash: bytes,
        now: int,
        device: str | None,
        successor: bytes | None,
        wants_grants: Callable[[str], bool],
    ) -> Redeemed | None:
        rows = (_TICKET_AND_OTHER if connection.dialect.name == "sqlite" else _TICKET).rows(connection, shown=hash)
        if not rows:
            return None
        values, state = rows[0][:_FIELDS], rows[0][_FIELDS]
        account, ticket = Account(*values[:_ACCOUNT_FIELDS]), Ticket(*values[_ACCOUNT_FIELDS:])
        ends_at = min(ticket.expires_at, ticket.session_ends_at)
        expired = now >= ends_at
        if expired and (state == UNUSED or (state == USED and self.database.now(connection) < ends_at)):
            return None
        if state == ENDED or (state == USED and (expired or not _same_device(device, ticket.device))):
            TICKETS.delete(connection, tickets.c.family == ticket.family)
            outbox.add_ended_family(connection, ticket.user, ticket.family)
            return Redeemed(ticket, False, account)
        if state == UNUSED and device != ticket.device:  # another device takes over the family
            _SET_DEVICE.run(connection, chain=ticket.family, by=device)
            ticket = replace(ticket, device=device)
        _use(connection, ticket, successor, rows[0][_FIELDS + 1 :])
        if successor:
            self._remember(successor, ticket.user)
        return Redeemed(ticket, True, account, read_grants(connection, account.id) if wants_grants(account.id) else None)

    @reading()
    def tickets(self, connection: Connection, user: str, now: int) -> Sequence[Ticket]:
        unused = (tickets.c.user == user, tickets.c.state == UNUSED, tickets.c.expires_at > now)
        return TICKETS.all(connection, *unused, order_by=(tickets.c.expires_at, tickets.c.hash))

    @reading(urgent=True)
    def family_exists(self, connection: Connection, family: str) -> bool:
        members = (select(table.c.hash).where(table.c.family == family).limit(1) for table in (tickets, device_credentials))
        return any(connection.scalar(member) is not None for member in members)

    @nondurable(urgent=True)
    def set_family_device(self, connection: Connection, family: str, device: str) -> None:
        _SET_DEVICE.run(connection, chain=family, by=device)

    @transaction(urgent=True)
    def sign_out_device(self, connection: Connection, user: str, device: str, requester: Requester | None = None) -> None:
        lock_account(connection, user, requester)
        account_changes.sign_out_device(connection, user, device)


def _use(connection: Connection, ticket: Ticket, successor: bytes | None, other: Sequence[bytes | None]) -> None:
    """Record the use of a ticket, and add its successor.

    :param other: with SQLite, the hash of the family's other ticket that has not ended, or None.
    """
    then = USED if successor else ENDED
    if connection.dialect.name == "postgresql":
        used = {"shown": ticket.hash, "chain": ticket.family, "then": then}
        (_USE if successor is None else _USE_AND_ADD).run(connection, **used, **({"next": successor} if successor else {}))
    else:
        _SET_STATE.run(connection, shown=ticket.hash, then=then)
        if other[0] is not None:
            _SET_STATE.run(connection, shown=other[0], then=ENDED)
        if successor:
            _ADD.run(connection, next=successor, **_inherited(ticket))


def _inherited(ticket: Ticket) -> dict[str, object]:
    """Return what the successor of a ticket takes over."""
    place = {"chain": ticket.family, "owner": ticket.user, "by": ticket.device}
    return {**place, "ends": ticket.session_ends_at, "login": ticket.session, "provider": ticket.provider_session}


def _same_device(given: str | None, recorded: str | None) -> bool:
    """Return whether ``given`` may be the recorded device. A device without a name is recorded under a generated name."""
    return given == recorded or (given is None and recorded is not None and recorded.startswith("~"))
