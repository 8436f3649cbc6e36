"""Grants: permissions of users for applications to see their presence (docs/protocol.md, sections 5 and 6)."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import ceil
from typing import Any, TypeVar

from msgspec import UNSET, UnsetType

from ..backends.directory import Directory, GrantWithApplication, OutboxEntry, Redeemed, Requester
from ..backends.mailbox import Mailbox
from ..backends.tracker import StaleGrants, Tracker
from ..clock import Clock
from ..errors import BackendUnavailable, DomainNotValidated, NotActive, NotFound, SlowDown, WrongValue
from ..model import Application, Grant, GrantSet
from .grant_cache import GrantCache
from .outbox import Outbox
from .scheduling import call_together

log = logging.getLogger(__name__)
T = TypeVar("T")

_ENTRIES = 200
"""Number of entries of an account's outbox that are searched."""
_LOADS = 3
"""Attempts of a tracker call, each with newly loaded grants, before the tracker's revision is considered wrong."""


class Grants:
    """Operations on grants. Each change is stored first; the outbox then publishes it to the application.

    :ivar cached: returns a user's grants from the cache, None if they are not cached. Does not block.
    """

    def __init__(self, directory: Directory, tracker: Tracker, mailbox: Mailbox, outbox: Outbox, clock: Clock) -> None:
        self._directory = directory
        self._tracker = tracker
        self._mailbox = mailbox
        self._outbox = outbox
        self._clock = clock
        self._cache = GrantCache(directory)
        self.cached = self._cache.get

    def invalidate(self, user: str) -> None:
        """Remove a user's grants from the cache. Does not block."""
        self._cache.invalidate(user)

    def invalidate_all(self) -> None:
        """Clear the cache. Does not block."""
        self._cache.clear()

    def of(self, user: str) -> GrantSet:
        """Return all grants of a user, from the cache or the directory."""
        known = self._cache.get(user)
        return self._cache.load(user) if known is None else known

    def use_ticket(self, hash: bytes, now: int, device: str | None, successor: bytes | None) -> Redeemed | None:
        """Use a ticket in the directory, whose transaction also reads the user's grants for the cache, if they are not there.

        A read of its own would take a third as long as the use of the ticket. For the arguments see ``Directory.use_ticket``.
        """
        invalidations = self._cache.invalidations
        used = self._directory.use_ticket(hash, now, device, successor, lambda user: self.cached(user) is None)
        if used is not None and used.grants is not None:
            self._cache.offer(used.account.id, used.grants, invalidations)
        return used

    def apply(self, user: str, call: Callable[[GrantSet], T]) -> T:
        """Call the tracker with a user's grants. If it has seen a newer revision, load the grants again and repeat the call.

        :raises BackendUnavailable: a backend is unavailable.
        """
        for _ in range(_LOADS):
            try:
                return call(self.of(user))
            except StaleGrants:
                self._cache.invalidate(user)
        log.warning("the tracker has a newer revision of an account than the database, which may have been restored from a backup")
        self._tracker.forget_revision(user)
        try:
            return call(self.of(user))
        except StaleGrants:
            raise BackendUnavailable from None

    def list(self, user: str, after: str, limit: int) -> Sequence[GrantWithApplication]:
        """Return up to ``limit`` grants of a user with their applications, ordered by application id, after the id ``after``."""
        return self._directory.grants_with_applications(user, after, limit)

    def grantable(self, appid: str) -> Application:
        """Return an application that users can grant.

        :raises NotFound: no application has this id.
        :raises DomainNotValidated: the domain of the application is not validated.
        :raises NotActive: the application is not active.
        """
        application = self._directory.application(appid)
        if application is None:
            raise NotFound()
        if not application.valid_domain:
            raise DomainNotValidated()
        if not application.active:
            raise NotActive()
        return application

    def find(self, user: str, appid: str) -> Grant:
        """Return a user's grant for an application.

        :raises NotFound: the user has not granted the application.
        """
        grant = self._directory.grant(appid, user)
        if grant is None:
            raise NotFound()
        return grant

    def revocable(self, user: str, appid: str) -> None:
        """Check that a grant can be revoked: it exists, or its revocation has not been published to the application yet.

        :raises NotFound: neither is the case.
        """
        if self._directory.grant(appid, user) is None:
            pending = self._directory.outbox([user], 0, _ENTRIES)
            if not any(entry.kind == "revoked" and entry.appid == appid for entry in pending):
                raise NotFound()

    def grant(
        self, user: str, application: Application, requester: Requester | None = None, until: int | UnsetType | None = UNSET
    ) -> Grant:
        """Grant an application, or return the existing grant.

        A new grant is charged to the rate of the user's status changes, because repeated grants and revokes would publish the status
        more often than that rate allows.

        :param until: when the grant ends, milliseconds; None if never; UNSET leaves that of an existing grant.
        :param requester: the identity with which the caller signed in. Like every change of grants, the grant is stored only if it is
            still valid.
        :raises SessionEnded: the account was blocked or unpinned meanwhile, or the browser session has ended.
        :raises SlowDown: the rate is exceeded.
        :raises Refused: the application was changed meanwhile, so that the user has not consented to its current state; see
            ``grantable``.
        """
        self._check_until(until)
        grant = self._directory.grant(application.id, user) or self._add(user, application, requester, until)
        return grant if until in (UNSET, grant.until) else self.change(user, application.id, {"until": until}, requester)

    def _add(self, user: str, application: Application, requester: Requester | None, until: int | UnsetType | None) -> Grant:
        """Store a new grant; return it, or the one that another call has stored meanwhile, which may have another end."""
        self._charge(user)
        now = self._clock.steady.now()
        ends_at = None if until is UNSET else until
        wanted = Grant(application.id, secrets.token_urlsafe(16), user, granted_at=now, since=now, until=ends_at)
        return self.commit(user, lambda: self._directory.add_grant(wanted, application.domain, requester))

    def _check_until(self, until: object) -> None:
        if isinstance(until, int) and until <= self._clock.steady.now():
            raise WrongValue("until: a time in the future, in milliseconds since the epoch")

    def _charge(self, user: str) -> None:
        with suppress(BackendUnavailable):  # grants are stored while the tracker is unavailable, and published later
            wait = self._tracker.charge(user)
            if wait:
                raise SlowDown("too many changes of status and new grants of this account", retry_after=ceil(wait))

    def change(self, user: str, appid: str, changes: Mapping[str, Any], requester: Requester | None = None) -> Grant:
        """Change a user's grant: pause it or end its pause, change what it shows, when it ends, or its quiet hours.

        :param changes: new values by field; see ``Directory.change_grant``.
        :raises NotFound: the user has not granted the application.
        """
        self._check_until(changes.get("until"))
        grant = self.commit(user, lambda: self._directory.change_grant(appid, user, changes, self._clock.steady.now(), requester))
        if grant is None:
            raise NotFound()
        return grant

    def revoke(self, user: str, appid: str, requester: Requester | None = None) -> None:
        """Revoke a grant. Its PUID becomes invalid, and the application's waiting notifications are deleted.

        A grant that has been revoked already is not an error: its revocation is published if it has not been.
        """
        self.commit(user, lambda: self._directory.revoke(appid, user, requester))

    def republish(self, user: str, appid: str | None = None) -> None:
        """Publish a user's current status again, because earlier updates may have used outdated grants.

        :param appid: only to this application; None for all granted ones.
        """

        def refresh(known: GrantSet) -> None:
            self._tracker.apply_override(user, known)
            for grant in known.grants:
                if appid in (None, grant.appid):
                    self._tracker.append_current_status(grant, known.revision)

        self.apply(user, refresh)

    def commit(self, user: str, change: Callable[[], T]) -> T:
        """Commit a change of a user's grants or override to the directory, and apply its effects."""
        try:
            result = change()
        finally:  # also after an error, because the transaction may have been committed
            self._cache.invalidate(user)
        self._outbox.apply_now(user)
        return result

    # -- handlers of the outbox

    def publish_granted(self, entries: Sequence[OutboxEntry]) -> None:
        """Publish new grants to their applications."""
        self._publish(entries, self._tracker.append_grant)

    def publish_changed(self, entries: Sequence[OutboxEntry]) -> None:
        """Publish changed grants to the applications. What waited for the end of a pause is shown in the inbox, then delivered."""
        published = self._publish(entries, self._tracker.append_current_status)
        resumed = [grant for grants in published.values() for grant in grants if not grant.paused]
        if resumed:
            self._mailbox.release([(grant.user, grant.puid) for grant in resumed])
        pushed = [grant.puid for grant in resumed if grant.push]
        if pushed:
            self._directory.release_pushes(pushed)
        call_together(partial(self._tracker.signal, "mail"), published)

    def publish_override(self, entries: Sequence[OutboxEntry]) -> None:
        """Publish the status of users whose override has changed."""

        def publish(user: str) -> None:
            self.apply(user, partial(self._tracker.apply_override, user))
            self._tracker.signal("grants", user)

        users = dict.fromkeys(entry.user for entry in entries)
        self._reload(users)
        call_together(publish, users)

    def _publish(self, entries: Sequence[OutboxEntry], publish: Callable[[Grant, int], None]) -> Mapping[str, Sequence[Grant]]:
        """Publish the current state of grants to their applications; return them by user. The grants of a user are loaded once.

        A revoked grant is skipped: it has an entry of its own.
        """
        puids: dict[str, set[str]] = {}
        for entry in entries:
            puids.setdefault(entry.user, set()).add(entry.detail)

        def publish_of(user: str) -> tuple[str, Sequence[Grant]]:
            published = self.apply(user, partial(_publish_some, puids[user], publish))
            self._tracker.signal("grants", user)
            return user, published

        self._reload(puids)
        return dict(call_together(publish_of, puids))

    def _reload(self, users: Collection[str]) -> None:
        for user in users:
            self._cache.invalidate(user)
        self._cache.load_all(users)

    def publish_revoked(self, entries: Sequence[OutboxEntry]) -> None:
        """Publish the end of grants to their applications, and delete the notifications that waited."""
        ended = [Grant(entry.appid, entry.detail, entry.user, granted_at=0, since=0) for entry in entries]
        users = dict.fromkeys(entry.user for entry in entries)
        for user in users:
            self._cache.invalidate(user)
        call_together(partial(self._tracker.signal, "grants"), users)
        call_together(
            lambda change: self._tracker.append_revocation(*change),
            [(grant, entry.revision) for entry, grant in zip(entries, ended, strict=True)],
        )
        self._mailbox.purge_grants(ended)


def _publish_some(puids: Collection[str], publish: Callable[[Grant, int], None], known: GrantSet) -> Sequence[Grant]:
    changed = [grant for grant in known.grants if grant.puid in puids]
    for grant in changed:
        publish(grant, known.revision)
    return changed
