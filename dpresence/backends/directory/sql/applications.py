"""Applications and their API keys in an SQL database."""
# ruff: noqa: D102 - the abstract base documents each method

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, true, update

from ....errors import Conflict, DomainNotValidated, NotFound, TooMany
from ....model import ApiKey, Application, Grant
from ...sql.engine import Database
from ...sql.tables import api_keys, application_icons, applications, grants
from ...sql.transactions import nondurable, reading, transaction
from .. import Requester
from ..applications import ApplicationStore
from . import outbox
from .requester_checks import check_owner, lock_account, lock_own_application
from .rows import APPLICATIONS, GRANTS, KEYS
from .webhooks import delete_webhook

_BY_ANYBODY = "public "
"""Before the id of an application, the queue key of what anybody may cause to be read: it takes nothing of its developer's share."""
_VERSION_LENGTH = 32
"""Length of the version of an icon, in hexadecimal digits."""


class SqlApplications(ApplicationStore):
    """See ``ApplicationStore``."""

    database: Database

    @transaction()
    def add_application(self, connection: Connection, application: Application, limit: int, requester: Requester | None = None) -> None:
        if lock_account(connection, application.owner, requester) is None:
            raise NotFound
        owned = select(func.count()).where(applications.c.owner == application.owner)
        if connection.scalars(owned).one() >= limit:
            raise TooMany(f"applications: at most {limit} for one developer")
        APPLICATIONS.add(connection, application)

    @reading(key=lambda appid: f"{_BY_ANYBODY}{appid}")
    def application(self, connection: Connection, appid: str) -> Application | None:
        found = APPLICATIONS.find(connection, applications.c.id == appid)
        if found:
            self.database.owners.remember(found.id, found.owner)
        return found

    @reading(key=lambda appids: f"{_BY_ANYBODY}{' '.join(appids[:1])}")
    def active(self, connection: Connection, appids: Sequence[str]) -> dict[str, str]:
        running = (applications.c.id.in_(appids), applications.c.active, applications.c.validated_scheme.is_not(None))
        return {row.id: row.domain for row in connection.execute(select(applications.c.id, applications.c.domain).where(*running))}

    @reading()
    def existing(self, connection: Connection, appids: Sequence[str]) -> set[str]:
        return set(connection.scalars(select(applications.c.id).where(applications.c.id.in_(appids))))

    @reading()
    def newest_application(self, connection: Connection) -> int:
        return connection.scalar(select(func.max(applications.c.created_at))) or 0

    @reading()
    def applications(self, connection: Connection, owner: str, after: str, limit: int) -> Sequence[Application]:
        page = (applications.c.owner == owner, applications.c.id > after)
        return APPLICATIONS.all(connection, *page, order_by=applications.c.id, limit=limit)

    @reading()
    def all_applications(self, connection: Connection, after: str, limit: int) -> Sequence[Application]:
        return APPLICATIONS.all(connection, applications.c.id > after, order_by=applications.c.id, limit=limit)

    @transaction()
    def change_application(
        self,
        connection: Connection,
        appid: str,
        changes: Mapping[str, object],
        domain_key: str | None = None,
        requester: Requester | None = None,
    ) -> Application | None:
        check_owner(connection, appid, requester)
        same = applications.c.domain_key == domain_key if domain_key is not None else true()
        return _change(connection, changes, applications.c.id == appid, same)

    @transaction()
    def move_application(
        self,
        connection: Connection,
        appid: str,
        changes: Mapping[str, object],
        requester: Requester | None = None,
        before: Application | None = None,
    ) -> tuple[Application, Sequence[Grant]] | None:
        check_owner(connection, appid, requester)
        same = (applications.c.name == before.name, applications.c.domain_key == before.domain_key) if before else ()
        changed = _change(connection, changes, applications.c.id == appid, *same)
        if changed is None:
            return None
        delete_webhook(connection, appid)  # its URL is on the former domain
        return changed, _end_grants(connection, appid)

    @transaction()
    def claim_checks(self, connection: Connection, now: int, check_at: int, limit: int) -> Sequence[Application]:
        due = APPLICATIONS.all(connection, applications.c.check_at <= now, order_by=applications.c.check_at, limit=limit, for_update=True)
        claimed = applications.c.id.in_([application.id for application in due])
        connection.execute(update(applications).where(claimed).values(check_at=check_at))
        return [replace(application, check_at=check_at) for application in due]

    @transaction()
    def delete_application(self, connection: Connection, appid: str, requester: Requester | None = None) -> Sequence[Grant] | None:
        check_owner(connection, appid, requester)
        if APPLICATIONS.lock_for_update(connection, applications.c.id == appid) is None:
            return None
        outbox.add(connection, appid, "application", appid=appid)
        ended = _end_grants(connection, appid)
        outbox.add(connection, appid, "dropped", appid=appid)
        APPLICATIONS.delete(connection, applications.c.id == appid)
        return ended

    @transaction()
    def set_icon(self, connection: Connection, appid: str, icon: bytes | None, requester: Requester | None = None) -> Application | None:
        check_owner(connection, appid, requester)
        version = None if icon is None else sha256(icon).hexdigest()[:_VERSION_LENGTH]
        changed = _change(connection, {"icon": version}, applications.c.id == appid)
        connection.execute(delete(application_icons).where(application_icons.c.appid == appid))
        if changed is not None and icon is not None:
            connection.execute(insert(application_icons).values(appid=appid, data=icon))
        return changed

    @reading(key=lambda appid, version: f"{_BY_ANYBODY}{appid}")
    def icon(self, connection: Connection, appid: str, version: str) -> bytes | None:
        query = select(application_icons.c.data).join(applications, applications.c.id == application_icons.c.appid)
        return connection.scalar(query.where(application_icons.c.appid == appid, applications.c.icon == version))

    @transaction()
    def activate(self, connection: Connection, appid: str, key: ApiKey, requester: Requester | None = None) -> bool:
        application = lock_own_application(connection, appid, requester)
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

    @transaction()
    def add_key(self, connection: Connection, key: ApiKey, retire_at: int, requester: Requester | None = None) -> None:
        lock_own_application(connection, key.appid, requester)
        later = or_(api_keys.c.retires_at.is_(None), api_keys.c.retires_at > retire_at)
        connection.execute(update(api_keys).where(api_keys.c.appid == key.appid, later).values(retires_at=retire_at))
        KEYS.add(connection, key)

    @reading()
    def key(self, connection: Connection, key_id: str, now: int) -> ApiKey | None:
        found = KEYS.find(connection, api_keys.c.id == key_id, _works(now))
        if found:
            self.database.owners.remember(found.id, found.appid)
        return found

    @reading()
    def keys(self, connection: Connection, appid: str, now: int) -> Sequence[ApiKey]:
        newest = (api_keys.c.created_at.desc(), api_keys.c.id)
        return KEYS.all(connection, api_keys.c.appid == appid, _works(now), order_by=newest)

    @nondurable()
    def touch_key(self, connection: Connection, key_id: str, day: str) -> None:
        news = api_keys.c.used_on.is_distinct_from(day)  # an update of no row needs no fsync
        connection.execute(update(api_keys).where(api_keys.c.id == key_id, news).values(used_on=day))


def _change(connection: Connection, changes: Mapping[str, object], *where: ColumnElement[bool]) -> Application | None:
    found = APPLICATIONS.lock_for_update(connection, *where)
    if found is None or not changes:
        return found
    connection.execute(update(applications).where(applications.c.id == found.id).values(changes))
    stopped = "stopped" if changes.get("stopped") else ""
    if stopped or (found.active and changes.get("active") is False):
        outbox.add(connection, found.id, "application", appid=found.id, detail=stopped)
    return APPLICATIONS.find(connection, applications.c.id == found.id)


def _works(now: int) -> ColumnElement[bool]:
    return or_(api_keys.c.retires_at.is_(None), api_keys.c.retires_at > now)


def _end_grants(connection: Connection, appid: str) -> Sequence[Grant]:
    ended = GRANTS.all(connection, grants.c.appid == appid, order_by=grants.c.puid, for_update=True)
    outbox.add_revoked_entries(connection, appid, grants.c.appid == appid)
    GRANTS.delete(connection, grants.c.appid == appid)
    return ended
