"""Who may see whom: a user's grants, given, paused and revoked by her alone (docs/protocol.md, sections 5 and 6)."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ..backends.directory import Directory
from ..backends.mailbox import Mailbox
from ..backends.tracker import Tracker
from ..clock import Clock
from ..errors import BackendUnavailable, DomainNotValidated, NotActive, NotFound
from ..model import Application, Grant

_MOST_USERS = 100_000


class _Cache:
    """Grants by user, for those asked for last. A load that an invalidation overtook is not kept."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._grants: OrderedDict[str, tuple[Grant, ...]] = OrderedDict()
        self._loading: dict[str, object] = {}

    def get(self, user: str) -> tuple[Grant, ...] | None:
        return self._grants.get(user)

    def load(self, user: str) -> tuple[Grant, ...]:
        while True:
            token = self._loading.setdefault(user, object())  # shared by all who load at once; an invalidation takes it away
            grants = tuple(self._directory.grants_of_user(user))
            current = self._loading.get(user)
            if current is token:
                del self._loading[user]
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


@dataclass(frozen=True, slots=True)
class Granted:
    """A user's grant with the application it goes to."""

    grant: Grant
    application: Application


class Grants:
    """The verbs of grants. A grant is stored first; then the application hears of it."""

    def __init__(self, directory: Directory, tracker: Tracker, mailbox: Mailbox, clock: Clock) -> None:
        self._directory = directory
        self._tracker = tracker
        self._mailbox = mailbox
        self._clock = clock
        self._cache = _Cache(directory)
        self._unsure: dict[str, Grant] = {}
        self.invalidate = self._cache.invalidate
        self.invalidate_all = self._cache.clear

    def known(self, user: str) -> tuple[Grant, ...] | None:
        """Return a user's grants if they are at hand without waiting."""
        return self._cache.get(user)

    def of(self, user: str) -> tuple[Grant, ...]:
        """Return every grant of a user."""
        known = self._cache.get(user)
        return self._cache.load(user) if known is None else known

    def list(self, user: str, after: str, limit: int) -> Sequence[Granted]:
        """Return up to ``limit`` grants of a user with their applications, in order of application id, after that of ``after``."""
        grants = sorted(self._directory.grants_of_user(user), key=lambda grant: grant.appid)
        following = [grant for grant in grants if grant.appid > after][:limit]
        pairs = ((grant, self._directory.application(grant.appid)) for grant in following)
        return [Granted(grant, application) for grant, application in pairs if application]

    def given(self, user: str, appid: str) -> Grant:
        """Return a user's grant to an application.

        :raises NotFound: it has no grant of hers.
        """
        grant = self._directory.grant(appid, user)
        if grant is None:
            raise NotFound()
        return grant

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

    def grant(self, user: str, application: Application) -> Grant:
        """Let an application see a user; the same grant when it may already."""
        now = self._clock.now()
        wanted = Grant(application.id, secrets.token_urlsafe(16), user, granted_at=now, since=now)
        with self._changing(user):
            grant = self._directory.add_grant(wanted)
        if grant == wanted:
            self._tracker.granted(grant)
        else:
            self._tracker.refresh(grant)  # it may have been made by a call that was cut off before it told anybody
        return grant

    def pause(self, user: str, appid: str, paused: bool) -> Grant:
        """Hide a user from an application for a while, or show her again.

        :raises NotFound: it has no grant of hers.
        """
        with self._changing(user):
            grant = self._directory.pause(appid, user, paused, self._clock.now())
        if grant is None:
            raise NotFound()
        self._tracker.refresh(grant)
        if not paused:
            self._tracker.wake("mail", user)
        return grant

    def revoke(self, user: str, appid: str) -> None:
        """End a grant; its PUID is dead and what waited from the application is gone.

        :raises NotFound: it has no grant of hers.
        """
        given = self.given(user, appid)
        try:
            grant = self._directory.revoke(appid, user)
        except BackendUnavailable:
            self._changed(user)
            self._unsure[given.puid] = given  # it may be gone all the same, and nobody could revoke it again
            raise
        if grant is None:
            raise NotFound()
        self.ended([grant])

    def sweep(self) -> None:
        """Find out what became of revocations that were not answered."""
        for given in list(self._unsure.values()):
            if not self._directory.grants_by_puid(given.appid, [given.puid]):
                self.ended([given])
            self._unsure.pop(given.puid, None)

    def ended(self, grants: Sequence[Grant]) -> None:
        """Tell everybody of grants that are gone from the directory."""
        for grant in grants:
            self._changed(grant.user)
            self._tracker.revoked(grant)
        for grant in grants:
            self._mailbox.purge(grant.user, grant.appid)

    @contextmanager
    def _changing(self, user: str) -> Iterator[None]:
        """Change a grant: what was known of the user's grants is void then, also when no answer came."""
        try:
            yield
        finally:
            self._changed(user)

    def _changed(self, user: str) -> None:
        self._cache.invalidate(user)
        self._tracker.wake("grants", user)
