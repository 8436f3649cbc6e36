"""The directory in an SQL database. Each method is one transaction; deletions follow the tables' foreign keys."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, false, func, insert, or_, select, true, update

from ...errors import Conflict, DomainNotValidated, NotActive, NotFound, SessionEnded, TooMany
from ...model import (
    ERASED,
    Account,
    ApiKey,
    Application,
    DirectoryVersion,
    Grant,
    GrantSet,
    Identity,
    OutboxEntry,
    OutboxKind,
    Session,
    Ticket,
)
from ..sql import outbox, people
from ..sql.engine import Database, nondurable, reading, transaction
from ..sql.locks import take_turns
from ..sql.rows import Rows, insert_new
from ..sql.tables import accounts, api_keys, applications, grants, service, sessions, spent, tickets
from . import Directory, Erased, Granted, Proven, Redeemed, SignedIn

ACCOUNTS = Rows(accounts, Account)
SESSIONS = Rows(sessions, Session)
TICKETS = Rows(tickets, Ticket)
APPLICATIONS = Rows(applications, Application)
KEYS = Rows(api_keys, ApiKey)
GRANTS = Rows(grants, Grant)

# Statements of a sign-in, prepared once.
_SHOWN = tickets.c.hash == bindparam("shown")
_ACCOUNT = ACCOUNTS.prepare(accounts.c.id == bindparam("user"))
_ACCOUNT_BY_EMAIL = ACCOUNTS.prepare(accounts.c.email == bindparam("email"))
_GRANTS_OF_USER = (  # a single statement, so that the revision matches the grants
    select(accounts.c.revision, *GRANTS.query.selected_columns)
    .join_from(accounts, grants, grants.c.user == accounts.c.id, isouter=True)
    .where(accounts.c.id == bindparam("user"))
    .order_by(grants.c.granted_at, grants.c.puid)
)
_OWNER_OF_TICKET = ACCOUNTS.prepare(accounts.c.id == select(tickets.c.user).where(_SHOWN).scalar_subquery(), hold=True)
_TICKET = TICKETS.query.add_columns(tickets.c.used).where(_SHOWN).with_for_update()
_ADD_TICKET = insert(tickets)
_BY = bindparam("by", type_=tickets.c.device.type)
_USE = (  # expires every other ticket of the family; rows that have expired change only when another device takes over the family
    update(tickets)
    .where(tickets.c.family == bindparam("chain"), or_(tickets.c.expires_at > 0, tickets.c.device.is_distinct_from(_BY)))
    .values(used=True, device=_BY, expires_at=case((_SHOWN, bindparam("again_until")), else_=0))
)
_SESSION = (  # a single statement, so that session and account are read at the same moment
    SESSIONS.query.add_columns(*ACCOUNTS.query.selected_columns)
    .join_from(sessions, accounts, accounts.c.id == sessions.c.user)
    .where(sessions.c.id_hash == bindparam("shown"), sessions.c.expires_at > bindparam("now"))
)
_SESSION_FIELDS = len(SESSIONS.query.selected_columns)
_LAST_LOOKED = select(func.max(api_keys.c.used_on)).where(api_keys.c.appid == applications.c.id).scalar_subquery()
_GRANT_FIELDS = len(GRANTS.query.selected_columns)
_GRANTED = GRANTS.query.add_columns(*APPLICATIONS.query.selected_columns, _LAST_LOOKED).join_from(
    grants, applications, applications.c.id == grants.c.appid
)
PARALLEL_MS = 60_000
"""Milliseconds during which log-ins with the same old cookie count as parallel. Later ones with that cookie end no other session."""
_IN_A_SESSION = ("_account_of", "_find_person", "account", "spend", "add_session", "session")
_IN_A_SIGN_IN = (*_IN_A_SESSION, "add_ticket", "use_ticket", "has_family", "set_family_device")
_IN_A_SIGN_OUT = ("end_session", "end_sessions", "end_tickets", "outbox", "clear_outbox", "grants_of_user")


class SqlDirectory(Directory):
    """Durable facts in a ``Database`` that is shared with the mailbox. Closing either backend closes the database.

    In addition to the base class, methods raise ``NotFound`` if the owner or application of a new row has been deleted concurrently.

    A method that reads and then writes rows of an account or an application first locks the row of that account or application, which
    serializes such methods. Locks are taken in the order accounts, applications, grants.
    """

    urgent = frozenset(("_look", *_IN_A_SIGN_IN, *_IN_A_SIGN_OUT))
    erasing = frozenset(("erase", "sweep"))

    def __init__(self, database: Database) -> None:
        self.database = database

    # -- the directory as a whole

    def ping(self) -> None:
        self.database.prove()
        self._look()

    @reading
    def _look(self, connection: Connection) -> None:
        connection.execute(select(service.c.mode))

    @transaction
    def stamp(self, connection: Connection, mode: str) -> str:
        insert_new(connection, service, id=1, mode=mode)
        connection.execute(update(service).where(service.c.generation.is_(None)).values(generation=secrets.token_hex(8)))
        stands: str = connection.scalars(select(service.c.mode)).one()
        return stands

    @reading
    def version(self, connection: Connection) -> DirectoryVersion:
        return DirectoryVersion(connection.scalar(select(service.c.generation)) or "", outbox.last(connection))

    @transaction
    def sweep(self, connection: Connection) -> int:
        now = self.database.settled_now(connection)
        ended = or_(tickets.c.session_ends_at <= now, ~tickets.c.used & (tickets.c.expires_at <= now))
        deleted = TICKETS.delete(connection, ended)
        deleted += SESSIONS.delete(connection, sessions.c.expires_at <= now)
        deleted += KEYS.delete(connection, api_keys.c.retires_at <= now)
        return deleted + connection.execute(delete(spent).where(spent.c.expires_at <= now)).rowcount

    def close(self) -> None:
        self.database.close()

    # -- accounts

    def sign_in(self, identity: Identity, now: int) -> Account:
        account = self._account_of(identity.email)
        if account is None or account.pin != identity.pin:
            return self._find_person(identity, now)
        return account

    @reading
    def _account_of(self, connection: Connection, email: str) -> Account | None:
        return _ACCOUNT_BY_EMAIL.one(connection, email=email)

    @transaction
    def _find_person(self, connection: Connection, identity: Identity, now: int) -> Account:
        return people.sign_in(connection, identity, now)

    @reading
    def account(self, connection: Connection, user: str) -> Account | None:
        return _ACCOUNT.one(connection, user=user)

    @transaction
    def unpin(self, connection: Connection, email: str, same: bool = False) -> bool:
        account = ACCOUNTS.lock_for_update(connection, accounts.c.email == email)
        if account is None:
            return False
        people.unpin(connection, account, same)
        return True

    @transaction
    def block(self, connection: Connection, email: str, blocked: bool) -> bool:
        account = ACCOUNTS.lock_for_update(connection, accounts.c.email == email)
        if account is None:
            return False
        connection.execute(update(accounts).where(accounts.c.id == account.id).values(blocked=blocked))
        if blocked:
            people.end_authority(connection, account.id)
        return True

    @transaction
    def merge(self, connection: Connection, email: str, into: str) -> bool:
        return people.merge(connection, email, into)

    @transaction
    def erase(self, connection: Connection, user: str, proven: Proven | None = None) -> Erased:
        if _hold_account(connection, user, proven) is None:
            return Erased([], [])
        owned = APPLICATIONS.all(connection, applications.c.owner == user, order_by=applications.c.id, hold=True)
        owned_ids = select(applications.c.id).where(applications.c.owner == user)
        affected = or_(grants.c.user == user, grants.c.appid.in_(owned_ids))
        ended = GRANTS.all(connection, affected, order_by=grants.c.puid, hold=True)
        outbox.add(connection, user, "account", user, revision=ERASED)
        for application in owned:
            outbox.add(connection, user, "application", appid=application.id)
        outbox.add_ended(connection, user, affected)
        for application in owned:
            outbox.add(connection, user, "dropped", appid=application.id)
        outbox.add(connection, user, "erased", user)
        ACCOUNTS.delete(connection, accounts.c.id == user)
        return Erased(ended, owned)

    # -- sessions, tickets, spent assertions

    @transaction
    def spend(self, connection: Connection, digest: bytes, expires_at: int) -> bool:
        return insert_new(connection, spent, digest=digest, expires_at=expires_at)

    @transaction
    def add_session(
        self, connection: Connection, session: Session, proven: Proven | None = None, previous: bytes | None = None
    ) -> Sequence[str]:
        take_turns(connection, "cookie", [previous.hex()] if previous else [])
        succeeded = (sessions.c.succeeds == previous) & (sessions.c.created_at > session.created_at - PARALLEL_MS)
        before = or_(sessions.c.id_hash == previous, succeeded) if previous else false()
        users = or_(accounts.c.id == session.user, accounts.c.id.in_(select(sessions.c.user).where(before)))
        held = ACCOUNTS.all(connection, users, order_by=accounts.c.id, hold=True)
        _check_holder(connection, next((account for account in held if account.id == session.user), None), proven)
        ended = SESSIONS.all(connection, before, order_by=sessions.c.id_hash)
        for one in ended:
            _end_session(connection, one.user, one.id_hash)
        connection.execute(insert(sessions).values({**SESSIONS.values(session), "succeeds": previous}))
        return sorted({one.user for one in ended})

    @reading
    def session(self, connection: Connection, id_hash: bytes, now: int) -> SignedIn | None:
        row = connection.execute(_SESSION, {"shown": id_hash, "now": now}).one_or_none()
        return None if row is None else SignedIn(Session(*row[:_SESSION_FIELDS]), Account(*row[_SESSION_FIELDS:]))

    @reading
    def sessions(self, connection: Connection, user: str, now: int) -> Sequence[Session]:
        oldest = (sessions.c.created_at, sessions.c.id_hash)
        return SESSIONS.all(connection, sessions.c.user == user, sessions.c.expires_at > now, order_by=oldest)

    @transaction
    def end_session(self, connection: Connection, id_hash: bytes) -> Sequence[tuple[str, str | None]]:
        owner = select(sessions.c.user).where(sessions.c.id_hash == id_hash).scalar_subquery()
        account = ACCOUNTS.lock_for_update(connection, accounts.c.id == owner)
        return _end_session(connection, account.id, id_hash) if account is not None else []

    @transaction
    def end_sessions(self, connection: Connection, user: str) -> None:
        ACCOUNTS.lock_for_update(connection, accounts.c.id == user)
        people.end_sessions(connection, user)

    @transaction
    def add_ticket(self, connection: Connection, ticket: Ticket, proven: Proven | None = None) -> None:
        _check_holder(connection, ACCOUNTS.lock_key_share(connection, accounts.c.id == ticket.user), proven)
        if ticket.session is not None and SESSIONS.lock_key_share(connection, sessions.c.id_hash == ticket.session) is None:
            raise SessionEnded
        TICKETS.add(connection, ticket)

    @nondurable
    def use_ticket(self, connection: Connection, hash: bytes, now: int, device: str | None, successor: bytes | None) -> Redeemed | None:
        account = _OWNER_OF_TICKET.one(connection, shown=hash)
        row = connection.execute(_TICKET, {"shown": hash}).one_or_none()
        if account is None or row is None:
            return None
        *values, used = row
        ticket = Ticket(*values)
        ends_at = min(ticket.expires_at, ticket.session_ends_at)
        over = now >= ends_at
        if over and not (used and self.database.now(connection) >= ends_at):
            return None
        if used and (over or not _same_device(device, ticket.device)):
            TICKETS.delete(connection, tickets.c.family == ticket.family)
            outbox.add(connection, ticket.user, "ticket", ticket.user, detail=ticket.family)
            return Redeemed(ticket, False, account)
        ticket = replace(ticket, device=ticket.device if used else device)
        again_until = ticket.expires_at if successor else 0
        connection.execute(_USE, {"shown": hash, "chain": ticket.family, "by": ticket.device, "again_until": again_until})
        if successor is not None:
            follower = replace(ticket, hash=successor, expires_at=ticket.session_ends_at)
            connection.execute(_ADD_TICKET, {**TICKETS.values(follower), "used": False})
        return Redeemed(ticket, True, account)

    @reading
    def tickets(self, connection: Connection, user: str, now: int) -> Sequence[Ticket]:
        unused = (tickets.c.user == user, ~tickets.c.used, tickets.c.expires_at > now)
        return TICKETS.all(connection, *unused, order_by=(tickets.c.expires_at, tickets.c.hash))

    @reading
    def has_family(self, connection: Connection, family: str) -> bool:
        return connection.scalar(select(tickets.c.hash).where(tickets.c.family == family).limit(1)) is not None

    @nondurable
    def set_family_device(self, connection: Connection, family: str, device: str) -> None:
        connection.execute(update(tickets).where(tickets.c.family == family).values(device=device))

    @transaction
    def end_tickets(self, connection: Connection, user: str, device: str, proven: Proven | None = None) -> None:
        _hold_account(connection, user, proven)
        TICKETS.delete(connection, tickets.c.user == user, tickets.c.device == device)
        revision = outbox.raise_revision(connection, user)
        if revision:
            outbox.add(connection, user, "device", user, detail=device, revision=revision)

    # -- applications and keys

    @transaction
    def add_application(self, connection: Connection, application: Application, limit: int, proven: Proven | None = None) -> None:
        if _hold_account(connection, application.owner, proven) is None:
            raise NotFound
        owned = select(func.count()).where(applications.c.owner == application.owner)
        if connection.scalars(owned).one() >= limit:
            raise TooMany(f"applications: at most {limit} for one developer")
        APPLICATIONS.add(connection, application)

    @reading
    def application(self, connection: Connection, appid: str) -> Application | None:
        return APPLICATIONS.find(connection, applications.c.id == appid)

    @reading
    def active(self, connection: Connection, appids: Sequence[str]) -> dict[str, str]:
        running = (applications.c.id.in_(appids), applications.c.active, applications.c.proof.is_not(None))
        return {row.id: row.domain for row in connection.execute(select(applications.c.id, applications.c.domain).where(*running))}

    @reading
    def existing(self, connection: Connection, appids: Sequence[str]) -> set[str]:
        return set(connection.scalars(select(applications.c.id).where(applications.c.id.in_(appids))))

    @reading
    def newest_application(self, connection: Connection) -> int:
        return connection.scalar(select(func.max(applications.c.created_at))) or 0

    @reading
    def applications(self, connection: Connection, owner: str, after: str, limit: int) -> Sequence[Application]:
        page = (applications.c.owner == owner, applications.c.id > after)
        return APPLICATIONS.all(connection, *page, order_by=applications.c.id, limit=limit)

    @transaction
    def change_application(
        self,
        connection: Connection,
        appid: str,
        changes: Mapping[str, object],
        domain_key: str | None = None,
        proven: Proven | None = None,
    ) -> Application | None:
        _check_owner(connection, appid, proven)
        same = applications.c.domain_key == domain_key if domain_key is not None else true()
        return _change(connection, changes, applications.c.id == appid, same)

    @transaction
    def move_application(
        self, connection: Connection, appid: str, changes: Mapping[str, object], proven: Proven | None = None
    ) -> tuple[Application, Sequence[Grant]] | None:
        _check_owner(connection, appid, proven)
        changed = _change(connection, changes, applications.c.id == appid)
        return (changed, _end_grants(connection, appid)) if changed else None

    @transaction
    def claim_checks(self, connection: Connection, now: int, check_at: int, limit: int) -> Sequence[Application]:
        due = APPLICATIONS.all(connection, applications.c.check_at <= now, order_by=applications.c.check_at, limit=limit, hold=True)
        claimed = applications.c.id.in_([application.id for application in due])
        connection.execute(update(applications).where(claimed).values(check_at=check_at))
        return [replace(application, check_at=check_at) for application in due]

    @transaction
    def delete_application(self, connection: Connection, appid: str, proven: Proven | None = None) -> Sequence[Grant] | None:
        _check_owner(connection, appid, proven)
        if APPLICATIONS.lock_for_update(connection, applications.c.id == appid) is None:
            return None
        outbox.add(connection, appid, "application", appid=appid)
        ended = _end_grants(connection, appid)
        outbox.add(connection, appid, "dropped", appid=appid)
        APPLICATIONS.delete(connection, applications.c.id == appid)
        return ended

    @transaction
    def activate(self, connection: Connection, appid: str, key: ApiKey, proven: Proven | None = None) -> bool:
        application = _hold_own(connection, appid, proven)
        if application.stopped:
            raise Conflict("the operator has stopped this application")
        if not application.valid_domain:
            raise DomainNotValidated
        if application.active:
            return False
        connection.execute(update(applications).where(applications.c.id == appid).values(active=True))
        outbox.add(connection, appid, "application", appid=appid)
        KEYS.delete(connection, api_keys.c.appid == appid)
        KEYS.add(connection, key)
        return True

    @transaction
    def add_key(self, connection: Connection, key: ApiKey, retire_at: int, proven: Proven | None = None) -> None:
        _hold_own(connection, key.appid, proven)
        later = or_(api_keys.c.retires_at.is_(None), api_keys.c.retires_at > retire_at)
        connection.execute(update(api_keys).where(api_keys.c.appid == key.appid, later).values(retires_at=retire_at))
        KEYS.add(connection, key)

    @reading
    def key(self, connection: Connection, key_id: str, now: int) -> ApiKey | None:
        return KEYS.find(connection, api_keys.c.id == key_id, _works(now))

    @reading
    def keys(self, connection: Connection, appid: str, now: int) -> Sequence[ApiKey]:
        newest = (api_keys.c.created_at.desc(), api_keys.c.id)
        return KEYS.all(connection, api_keys.c.appid == appid, _works(now), order_by=newest)

    @nondurable
    def touch_key(self, connection: Connection, key_id: str, day: str) -> None:
        news = api_keys.c.used_on.is_distinct_from(day)  # an update of no row needs no fsync
        connection.execute(update(api_keys).where(api_keys.c.id == key_id, news).values(used_on=day))

    # -- grants

    @transaction
    def add_grant(self, connection: Connection, grant: Grant, domain: str | None = None, proven: Proven | None = None) -> Grant:
        account = _hold_account(connection, grant.user, proven)
        application = APPLICATIONS.lock_key_share(connection, applications.c.id == grant.appid)
        if account is None or application is None:
            raise NotFound
        if domain is not None:
            _refuse_changed(application, domain)
        present = GRANTS.find(connection, *_between(grant.appid, grant.user))
        if present is None:
            GRANTS.add(connection, grant)
            _add_changed(connection, "granted", grant)
        return present or grant

    @reading
    def grant(self, connection: Connection, appid: str, user: str) -> Grant | None:
        return GRANTS.find(connection, *_between(appid, user))

    @reading
    def grants_by_puid(self, connection: Connection, appid: str, puids: Sequence[str]) -> dict[str, Grant]:
        named = (grants.c.appid == appid, grants.c.puid.in_(puids))
        return {grant.puid: grant for grant in GRANTS.all(connection, *named, order_by=grants.c.puid)}

    @reading
    def grants_of_user(self, connection: Connection, user: str) -> GrantSet:
        rows = connection.execute(_GRANTS_OF_USER, {"user": user}).all()
        return GrantSet(rows[0][0] if rows else ERASED, tuple(Grant(*row[1:]) for row in rows if row[1] is not None))

    @reading
    def granted(self, connection: Connection, user: str, after: str, limit: int) -> Sequence[Granted]:
        page = _GRANTED.where(grants.c.user == user, grants.c.appid > after).order_by(grants.c.appid).limit(limit)
        rows = connection.execute(page).all()
        return [Granted(Grant(*row[:_GRANT_FIELDS]), Application(*row[_GRANT_FIELDS:-1]), row[-1]) for row in rows]

    @reading
    def standing(self, connection: Connection, puids: Collection[str]) -> set[str]:
        return set(connection.scalars(select(grants.c.puid).where(grants.c.puid.in_(puids))))

    @reading
    def grants_of_application(self, connection: Connection, appid: str, after: str, limit: int) -> Sequence[Grant]:
        page = (grants.c.appid == appid, grants.c.puid > after)
        return GRANTS.all(connection, *page, order_by=grants.c.puid, limit=limit)

    @reading
    def count_grants(self, connection: Connection, appid: str) -> int:
        return connection.scalars(select(func.count()).where(grants.c.appid == appid)).one()

    @transaction
    def pause(self, connection: Connection, appid: str, user: str, paused: bool, since: int, proven: Proven | None = None) -> Grant | None:
        _hold_account(connection, user, proven)
        grant = GRANTS.lock_for_update(connection, *_between(appid, user))
        if grant is None or grant.paused == paused:
            return grant
        changed = replace(grant, paused=paused, since=grant.since if paused else since)
        values = {"paused": changed.paused, "since": changed.since}
        connection.execute(update(grants).where(grants.c.puid == grant.puid).values(values))
        _add_changed(connection, "changed", grant)
        return changed

    @transaction
    def revoke(self, connection: Connection, appid: str, user: str, proven: Proven | None = None) -> Grant | None:
        _hold_account(connection, user, proven)
        grant = GRANTS.lock_for_update(connection, *_between(appid, user))
        if grant is not None:
            GRANTS.delete(connection, grants.c.puid == grant.puid)
            _add_changed(connection, "revoked", grant)
        return grant

    # -- the outbox

    @reading
    def outbox(self, connection: Connection, owner: str | None, after: int, limit: int) -> Sequence[OutboxEntry]:
        return outbox.read(connection, owner, after, limit)

    @nondurable
    def clear_outbox(self, connection: Connection, ids: Sequence[int]) -> None:
        outbox.remove(connection, ids)


def _end_session(connection: Connection, user: str, id_hash: bytes) -> Sequence[tuple[str, str | None]]:
    """Delete a session of an account that the caller has locked, and its tickets; return (family, device) of those tickets."""
    families = select(tickets.c.family, tickets.c.device).distinct().where(tickets.c.session == id_hash)
    ended = [(family, device) for family, device in connection.execute(families.order_by(tickets.c.family))]
    SESSIONS.delete(connection, sessions.c.id_hash == id_hash)
    revision = outbox.raise_revision(connection, user)
    for family, device in ended:
        used = f"{family} {device}" if device else family
        outbox.add(connection, user, "ticket", user, detail=used, revision=revision)
    return ended


def _same_device(given: str | None, noted: str | None) -> bool:
    """Return whether ``given`` may be the recorded device. A device without a name is recorded under a generated name."""
    return given == noted or (given is None and noted is not None and noted.startswith("~"))


def _check_holder(connection: Connection, account: Account | None, proven: Proven | None) -> None:
    """Raise ``SessionEnded`` if the requester may no longer act for an account.

    :param account: locked by the caller, so that the result holds until the transaction ends; the session is locked here.
    """
    then, session = (proven.account, proven.session) if isinstance(proven, SignedIn) else (proven, None)
    if account is None or account.blocked or (then is not None and (account.id, account.pin) != (then.id, then.pin)):
        raise SessionEnded
    if session is not None and SESSIONS.lock_key_share(connection, sessions.c.id_hash == session.id_hash) is None:
        raise SessionEnded


def _hold_account(connection: Connection, user: str, proven: Proven | None) -> Account | None:
    """Lock an account; if ``proven`` is given, verify that the requester is still its holder."""
    account = ACCOUNTS.lock_for_update(connection, accounts.c.id == user)
    if proven is not None:
        _check_holder(connection, account, proven)
    return account


def _keep_owner(connection: Connection, appid: str) -> Account | None:
    return ACCOUNTS.lock_key_share(
        connection, accounts.c.id == select(applications.c.owner).where(applications.c.id == appid).scalar_subquery()
    )


def _check_owner(connection: Connection, appid: str, proven: Proven | None) -> None:
    """If ``proven`` is given, lock the owner of an application, if it exists, and verify that the requester still holds that account."""
    if proven is not None and (owner := _keep_owner(connection, appid)) is not None:
        _check_holder(connection, owner, proven)


def _hold_own(connection: Connection, appid: str, proven: Proven | None) -> Application:
    """Lock an application, and its owner in share mode; the owner must be the account in ``proven`` and must not be blocked."""
    account = _keep_owner(connection, appid)
    application = APPLICATIONS.lock_for_update(connection, applications.c.id == appid)
    if account is None or application is None or application.owner != account.id:
        raise NotFound
    _check_holder(connection, account, proven)
    return application


def _change(connection: Connection, changes: Mapping[str, object], *where: ColumnElement[bool]) -> Application | None:
    found = APPLICATIONS.lock_for_update(connection, *where)
    if found is None or not changes:
        return found
    connection.execute(update(applications).where(applications.c.id == found.id).values(changes))
    if found.active and changes.get("active") is False:
        outbox.add(connection, found.id, "application", appid=found.id)
    return APPLICATIONS.find(connection, applications.c.id == found.id)


def _refuse_changed(application: Application, domain: str) -> None:
    if not application.valid_domain or application.domain != domain:
        raise DomainNotValidated
    if not application.active:
        raise NotActive


def _works(now: int) -> ColumnElement[bool]:
    return or_(api_keys.c.retires_at.is_(None), api_keys.c.retires_at > now)


def _between(appid: str, user: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return grants.c.appid == appid, grants.c.user == user


def _add_changed(connection: Connection, kind: OutboxKind, grant: Grant) -> None:
    """Increment the revision of a grant's user and add the change to the outbox."""
    revision = outbox.raise_revision(connection, grant.user)
    outbox.add(connection, grant.user, kind, grant.user, grant.appid, grant.puid, revision)


def _end_grants(connection: Connection, appid: str) -> Sequence[Grant]:
    ended = GRANTS.all(connection, grants.c.appid == appid, order_by=grants.c.puid, hold=True)
    outbox.add_ended(connection, appid, grants.c.appid == appid)
    GRANTS.delete(connection, grants.c.appid == appid)
    return ended
