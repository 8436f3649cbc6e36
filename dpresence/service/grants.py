"""Who may see whom: a user's grants, given, paused and revoked by her alone (docs/protocol.md, sections 5 and 6)."""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import ceil
from typing import TypeVar

from ..backends.directory import Directory, Granted, Proven
from ..backends.mailbox import Mailbox
from ..backends.tracker import StaleGrants, Tracker
from ..clock import Clock
from ..errors import BackendUnavailable, DomainNotValidated, NotActive, NotFound, SlowDown
from ..model import Application, Grant, GrantSet, OutboxEntry
from .outbox import Outbox

log = logging.getLogger(__name__)
T = TypeVar("T")

_MOST_USERS = 100_000
_ENTRIES = 200
"""Entries of one account's outbox that are looked at."""
_LOADS = 3
"""How often grants are loaded for one call before the tracker's revision is taken for the wrong one."""


class _Cache:
    """Grants by user, for those asked for last. A load that an invalidation overtook is not kept."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._grants: OrderedDict[str, GrantSet] = OrderedDict()
        self._loading: dict[str, object] = {}

    def get(self, user: str) -> GrantSet | None:
        return self._grants.get(user)

    def load(self, user: str) -> GrantSet:
        while True:
            token = self._loading.setdefault(user, object())  # shared by all who load at once; an invalidation takes it away
            try:
                grants = self._directory.grants_of_user(user)
            finally:
                stands = self._loading.get(user) is token
                if stands:
                    del self._loading[user]
            if stands:
                self._grants[user] = grants
                if len(self._grants) > _MOST_USERS:
                    self._grants.popitem(last=False)
                return grants
            if user in self._grants:  # another load was quicker
                return self._grants[user]

    def invalidate(self, user: str) -> None:
        self._grants.pop(user, None)
        self._loading.pop(user, None)

    def clear(self) -> None:
        self._grants.clear()
        self._loading.clear()


class Grants:
    """The verbs of grants. A grant is stored first; then the application is told, by way of the outbox.

    :ivar invalidate: forgets the cached grants of a user; ``invalidate_all`` those of everybody. Never wait.
    """

    def __init__(self, directory: Directory, tracker: Tracker, mailbox: Mailbox, outbox: Outbox, clock: Clock) -> None:
        self._directory = directory
        self._tracker = tracker
        self._mailbox = mailbox
        self._outbox = outbox
        self._clock = clock
        self._cache = _Cache(directory)
        self.invalidate, self.invalidate_all = self._cache.invalidate, self._cache.clear
        outbox.handlers |= {"granted": self._tell_granted, "changed": self._tell_changed, "revoked": self._tell_revoked}

    def known(self, user: str) -> GrantSet | None:
        """Return a user's grants if they are at hand without waiting."""
        return self._cache.get(user)

    def of(self, user: str) -> GrantSet:
        """Return every grant of a user."""
        known = self._cache.get(user)
        return self._cache.load(user) if known is None else known

    def apply(self, user: str, call: Callable[[GrantSet], T]) -> T:
        """Make a call of the tracker with a user's grants; load them again while the tracker has seen newer ones.

        :raises BackendUnavailable: a backend is away.
        """
        for _ in range(_LOADS):
            try:
                return call(self.of(user))
            except StaleGrants:
                self._cache.invalidate(user)
        log.warning("the tracker has seen a newer revision of an account than the database has: a restored database?")
        self._tracker.forget_revision(user)
        try:
            return call(self.of(user))
        except StaleGrants:
            raise BackendUnavailable from None

    def list(self, user: str, after: str, limit: int) -> Sequence[Granted]:
        """Return up to ``limit`` grants of a user with their applications, in order of application id, after that of ``after``."""
        return self._directory.granted(user, after, limit)

    def askable(self, appid: str) -> Application:
        """Return an application that may be granted.

        :raises NotFound: there is none of that id.
        :raises DomainNotValidated: its domain is not validated.
        :raises NotActive: it is not active.
        """
        application = self._directory.application(appid)
        if application is None:
            raise NotFound()
        if not application.valid_domain:
            raise DomainNotValidated()
        if not application.active:
            raise NotActive()
        return application

    def given(self, user: str, appid: str) -> Grant:
        """Return a user's grant to an application.

        :raises NotFound: it has no grant of theirs.
        """
        grant = self._directory.grant(appid, user)
        if grant is None:
            raise NotFound()
        return grant

    def revocable(self, user: str, appid: str) -> None:
        """Accept a revoke of a grant that is there, or that has ended without that its application was told so far.

        :raises NotFound: neither.
        """
        if self._directory.grant(appid, user) is None:
            pending = self._directory.outbox(user, 0, _ENTRIES)
            if not any(entry.kind == "revoked" and entry.appid == appid for entry in pending):
                raise NotFound()

    def grant(self, user: str, application: Application, proven: Proven | None = None) -> Grant:
        """Let an application see a user; the same grant when it may already.

        A new grant takes a token of the user's status changes: giving and revoking it would tell the status at any rate.

        :param proven: who asks, as they proved to be. Like all changes of grants, it is made only if that is still so.
        :raises SessionEnded: it is not: the account was blocked or unpinned meanwhile, or the browser session has ended.
        :raises SlowDown: there is none.
        :raises Refused: the application was changed meanwhile, so that nobody consented to what it is now; see ``askable``.
        """
        present = self._directory.grant(application.id, user)
        if present is not None:
            return present
        self._charge(user)
        now = self._clock.steady.now()
        wanted = Grant(application.id, secrets.token_urlsafe(16), user, granted_at=now, since=now)
        return self._changed(user, lambda: self._directory.add_grant(wanted, application.domain, proven))

    def _charge(self, user: str) -> None:
        with suppress(BackendUnavailable):  # while the tracker is away grants are stored, and told later
            wait = self._tracker.charge(user)
            if wait:
                raise SlowDown("too many changes of status and new grants of this account", retry_after=ceil(wait))

    def pause(self, user: str, appid: str, paused: bool, proven: Proven | None = None) -> Grant:
        """Hide a user from an application for a while, or show them again.

        :raises NotFound: it has no grant of theirs.
        """
        grant = self._changed(user, lambda: self._directory.pause(appid, user, paused, self._clock.steady.now(), proven))
        if grant is None:
            raise NotFound()
        return grant

    def revoke(self, user: str, appid: str, proven: Proven | None = None) -> None:
        """End a grant; its PUID is dead and what waited from the application is gone.

        :raises NotFound: see ``revocable``.
        """
        self.revocable(user, appid)
        self._changed(user, lambda: self._directory.revoke(appid, user, proven))

    def show_again(self, user: str, appid: str | None = None) -> None:
        """Tell applications what they may see of a user now, after updates that may have been made with other grants.

        :param appid: only this application.
        """

        def refresh(known: GrantSet) -> None:
            for grant in known.grants:
                if appid in (None, grant.appid):
                    self._tracker.refresh(grant, known.revision)

        self.apply(user, refresh)

    def _changed(self, user: str, change: Callable[[], T]) -> T:
        """Make a change in the directory and carry out what follows from it."""
        try:
            result = change()
        finally:  # also without an answer: it may have happened
            self._cache.invalidate(user)
        self._outbox.work(user)
        return result

    # -- what follows from a change: handlers of the outbox

    def _tell_granted(self, entries: Sequence[OutboxEntry]) -> None:
        for entry in entries:
            self._tell(entry, self._tracker.granted)

    def _tell_changed(self, entries: Sequence[OutboxEntry]) -> None:
        for entry in entries:
            self._tell(entry, self._tracker.refresh)
            self._tracker.wake("mail", entry.user)  # what waited for the end of a pause

    def _tell(self, entry: OutboxEntry, tell: Callable[[Grant, int], None]) -> None:
        """Tell an application what the directory says of a grant by now; nothing when it is gone: another entry says so."""
        self._cache.invalidate(entry.user)

        def call(known: GrantSet) -> None:
            for grant in known.grants:
                if grant.puid == entry.detail:
                    tell(grant, known.revision)

        self.apply(entry.user, call)
        self._tracker.wake("grants", entry.user)

    def _tell_revoked(self, entries: Sequence[OutboxEntry]) -> None:
        ended = [Grant(entry.appid, entry.detail, entry.user, granted_at=0, since=0) for entry in entries]
        for entry, grant in zip(entries, ended, strict=True):
            self._cache.invalidate(entry.user)
            self._tracker.wake("grants", entry.user)
            self._tracker.revoked(grant, entry.revision)
        self._mailbox.purge_grants(ended)
