"""Changes of accounts: sign-in, change of the e-mail address, pins, end of sessions, and merging of two accounts."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from ....errors import Conflict
from ....model import ERASED, Account, Identity
from ...sql.locks import lock_names
from ...sql.tables import accounts, applications, device_credentials, grants, known_devices, pairings, push_subscriptions, sessions, tickets
from . import outbox
from .rows import ACCOUNTS, APPLICATIONS


def sign_in(connection: Connection, identity: Identity, now: int) -> Account:
    """Return the account of a person; see ``Directory.sign_in``."""
    person, email = identity.pin, identity.email
    lock_names(connection, "person", (" ".join(person), email))  # only one of several concurrent sign-ins creates the account
    is_person = and_(accounts.c.issuer == identity.issuer, accounts.c.subject == identity.subject)
    found = ACCOUNTS.all(connection, or_(is_person, accounts.c.email == email), order_by=accounts.c.id, for_update=True)
    theirs = [account for account in found if account.pin == person]
    there = next((account for account in found if account.email == email), None)
    if there is not None and (there in theirs or not (there.issuer or theirs)):
        return there if there in theirs else _pin(connection, there, identity)
    if there is not None and not theirs:
        raise Conflict("email: its account belongs to another issuer or subject")
    if there is not None or len(theirs) > 1:
        raise Conflict("email: you have another account; the operator can merge the two")
    if theirs:
        return _change(connection, theirs[0], email=email)
    made = Account(secrets.token_urlsafe(16), email, *person, now)
    ACCOUNTS.add(connection, made)
    return made


def _pin(connection: Connection, account: Account, identity: Identity) -> Account:
    other = or_(accounts.c.removed_issuer != identity.issuer, accounts.c.removed_subject != identity.subject)
    pinned = {"issuer": identity.issuer, "subject": identity.subject}
    free = update(accounts).where(accounts.c.id == account.id, other)
    if not connection.execute(free.values({**pinned, "removed_issuer": "", "removed_subject": ""})).rowcount:
        raise Conflict("email: its account belongs to another issuer or subject")
    return replace(account, issuer=identity.issuer, subject=identity.subject)


def unpin(connection: Connection, account: Account, same: bool) -> None:
    """Remove the pin of an account, whose row the caller has locked; see ``Directory.unpin``."""
    values = {"issuer": "", "subject": ""}
    if same or account.issuer:  # otherwise the pin that was removed earlier stays recorded
        values |= {"removed_issuer": "" if same else account.issuer, "removed_subject": "" if same else account.subject}
    connection.execute(update(accounts).where(accounts.c.id == account.id).values(values))
    sign_out_and_deactivate(connection, account.id, "unpinned")


def merge(connection: Connection, email: str, into: str) -> bool:
    """Merge the account of an address into another one; see ``Directory.merge``."""
    found = ACCOUNTS.all(connection, accounts.c.email.in_((email, into)), order_by=accounts.c.id, for_update=True)
    if len(found) != 2:
        return False
    old, target = sorted(found, key=lambda account: account.email != email)
    outbox.add(connection, old.id, "account", old.id, detail="merged", revision=ERASED)
    twice = and_(grants.c.user == old.id, grants.c.appid.in_(select(grants.c.appid).where(grants.c.user == target.id)))
    outbox.add_revoked_entries(connection, old.id, twice)
    connection.execute(grants.delete().where(twice))
    _move_grants(connection, old.id, target.id)
    connection.execute(update(applications).where(applications.c.owner == old.id).values(owner=target.id))
    outbox.add(connection, old.id, "erased", old.id, detail=target.id)
    connection.execute(accounts.delete().where(accounts.c.id == old.id))
    connection.execute(update(accounts).where(accounts.c.id == target.id).values(blocked=target.blocked or old.blocked))
    if old.blocked or target.blocked:
        sign_out_and_deactivate(connection, target.id, "blocked")
    return True


def _move_grants(connection: Connection, old: str, target: str) -> None:
    """Move grants to another account: their PUIDs stay the same, and their applications are sent its status."""
    moved = update(grants).where(grants.c.user == old).values(user=target).returning(grants.c.appid, grants.c.puid)
    for appid, puid in sorted(connection.execute(moved).all()):
        outbox.add(connection, target, "changed", target, appid, puid, outbox.raise_revision(connection, target))
    connection.execute(update(accounts).where(accounts.c.id == target).values(due_at=0))  # the next run looks at the moved grants


def end_sessions(connection: Connection, user: str, change: str = "") -> None:
    """Delete all sessions, tickets, pairings, device credentials and push subscriptions of a user and add this to the outbox.

    :param change: what the operator did to the account, for the log.
    """
    revision = outbox.raise_revision(connection, user)
    if revision:
        outbox.add(connection, user, "account", user, detail=change, revision=revision)
    connection.execute(sessions.delete().where(sessions.c.user == user))
    for table in (tickets, device_credentials, pairings, push_subscriptions):
        connection.execute(table.delete().where(table.c.user == user))


def end_session(connection: Connection, user: str, id_hash: bytes) -> None:
    """Delete a browser session of an account that the caller has locked, its tickets and its push subscription."""
    families = _families(connection, tickets.c.session == id_hash)
    connection.execute(sessions.delete().where(sessions.c.id_hash == id_hash))
    connection.execute(push_subscriptions.delete().where(push_subscriptions.c.session == id_hash))
    _add_ended_families(connection, user, families)


def end_families(connection: Connection, user: str, *which: ColumnElement[bool]) -> None:
    """Delete matching tickets of an account that the caller has locked."""
    families = _families(connection, *which)
    if families:
        connection.execute(tickets.delete().where(*which))
        _add_ended_families(connection, user, families)


def _families(connection: Connection, *which: ColumnElement[bool]) -> list[tuple[str, str | None]]:
    query = select(tickets.c.family, tickets.c.device).distinct().where(*which).order_by(tickets.c.family)
    return [(family, device) for family, device in connection.execute(query)]


def _add_ended_families(connection: Connection, user: str, families: Iterable[tuple[str, str | None]]) -> None:
    revision = outbox.raise_revision(connection, user)
    for family, device in families:
        outbox.add_ended_family(connection, user, family, device, revision)


def sign_out_device(connection: Connection, user: str, device: str, kept: bytes = b"") -> None:
    """Delete the tickets, the credential and the pairings of a device of an account that the caller has locked.

    Add this to the outbox.

    :param kept: hash of a pairing that continues.
    """
    for table in (tickets, device_credentials, known_devices):
        connection.execute(table.delete().where(table.c.user == user, table.c.device == device))
    connection.execute(pairings.delete().where(pairings.c.user == user, pairings.c.device == device, pairings.c.hash != kept))
    revision = outbox.raise_revision(connection, user)
    if revision:
        outbox.add(connection, user, "device", user, detail=device, revision=revision)


def sign_out_and_deactivate(connection: Connection, user: str, change: str) -> None:
    """Delete all sessions and tickets of a user, whose account the caller has locked, and deactivate their applications.

    :param change: see ``end_sessions``.
    """
    end_sessions(connection, user, change)
    running = (applications.c.owner == user, applications.c.active)
    for application in APPLICATIONS.all(connection, *running, order_by=applications.c.id, for_update=True):
        connection.execute(update(applications).where(applications.c.id == application.id).values(active=False))
        outbox.add(connection, application.id, "application", appid=application.id)


def _change(connection: Connection, account: Account, **values: str) -> Account:
    connection.execute(update(accounts).where(accounts.c.id == account.id).values(values))
    return replace(account, **values)  # type: ignore[arg-type]
