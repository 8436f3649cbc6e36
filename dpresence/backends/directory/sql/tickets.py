"""Tickets in an SQL database."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Sequence
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
from .provider_logouts import check_not_ended
from .requester_checks import check_holder, lock_account
from .rows import ACCOUNTS, SESSIONS, TICKETS

UNUSED, USED, ENDED = "unused", "used", "ended"
"""States of a ticket; see the table."""
_SHOWN = tickets.c.hash == bindparam("shown")
_TICKET = Statement(  # locks the account before the ticket, in the order of FROM, as every other transaction does
    ACCOUNTS.query.add_columns(*TICKETS.query.selected_columns, tickets.c.state)
    .join_from(accounts, tickets, tickets.c.user == accounts.c.id)
    .where(_SHOWN)
    .with_for_update()
)
_OWNER = Statement(select(tickets.c.user).where(_SHOWN))  # takes no lock, so it waits for no transaction
_ACCOUNT_FIELDS = len(ACCOUNTS.names)
_BY, _THEN = bindparam("by", type_=tickets.c.device.type), bindparam("then", type_=tickets.c.state.type)
_USED = (  # ends every other ticket of the family. At most one other has not ended. SQLite finds it by the index
    update(tickets)
    .where(tickets.c.family == bindparam("chain"), tickets.c.state.in_((literal_column("'unused'"), literal_column("'used'"))))
    .values(state=case((_SHOWN, _THEN), else_=literal_column("'ended'")))
)
_USE = Statement(_USED)
_FOLLOWING = {"hash": bindparam("next", type_=tickets.c.hash.type), "expires_at": tickets.c.session_ends_at}
_ADDED = insert(tickets).from_select(  # the database copies the rest of the ticket, which costs a third of passing it
    TICKETS.names, select(*(_FOLLOWING.get(name, tickets.c[name]) for name in TICKETS.names)).where(_SHOWN)
)
_ADD = Statement(_ADDED)
_USE_AND_ADD = Statement(_ADDED.add_cte(_USED.cte("used")))  # for PostgreSQL, where each statement waits for an answer
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

    def use_ticket(self, hash: bytes, now: int, device: str | None, successor: bytes | None) -> Redeemed | None:
        # The tickets of one account wait for its lock, so they must have one share of the connections.
        if self.database.reads_wait and not self.database.owners.knows(hash.hex()) and (user := self._read_owner(hash)):
            self._remember(hash, user)
        return self._use_ticket(hash, now, device, successor)

    @reading(urgent=True, single=True)
    def _read_owner(self, connection: Connection, hash: bytes) -> str | None:
        rows = _OWNER.rows(connection, shown=hash)
        return str(rows[0][0]) if rows else None

    def _remember(self, hash: bytes, user: str) -> None:
        if self.database.reads_wait:
            self.database.owners.remember(hash.hex(), user)

    @nondurable(urgent=True)
    def _use_ticket(self, connection: Connection, hash: bytes, now: int, device: str | None, successor: bytes | None) -> Redeemed | None:
        rows = _TICKET.rows(connection, shown=hash)
        if not rows:
            return None
        *values, state = rows[0]
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
        _use(connection, ticket, successor)
        if successor:
            self._remember(successor, ticket.user)
        return Redeemed(ticket, True, account)

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


def _use(connection: Connection, ticket: Ticket, successor: bytes | None) -> None:
    """Record the use of a ticket, and add its successor."""
    used = {"shown": ticket.hash, "chain": ticket.family, "then": USED if successor else ENDED}
    if successor is None:
        _USE.run(connection, **used)
    elif connection.dialect.name == "postgresql":
        _USE_AND_ADD.run(connection, **used, next=successor)
    else:
        _USE.run(connection, **used)
        _ADD.run(connection, shown=ticket.hash, next=successor)


def _same_device(given: str | None, recorded: str | None) -> bool:
    """Return whether ``given`` may be the recorded device. A device without a name is recorded under a generated name."""
    return given == recorded or (given is None and recorded is not None and recorded.startswith("~"))
