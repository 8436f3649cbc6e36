"""Who may see whom: a user's grants, given, paused and revoked by her alone (docs/protocol.md, sections 5 and 6)."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import gevent

from ..backends.directory import Directory
from ..backends.mailbox import Mailbox
from ..backends.tracker import Tracker
from ..clock import Clock
from ..errors import BackendUnavailable, DomainNotValidated, NotActive, NotFound
from ..model import Application, Grant
from .debts import Debts
from .turns import give_way

_MOST_USERS = 100_000
_AT_ONCE = 200
"""Grants that end in one go: a few milliseconds, then everybody else has a turn."""


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
            try:
                grants = tuple(self._directory.grants_of_user(user))
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


@dataclass(frozen=True, slots=True)
class Granted:
    """A user's grant with the application it goes to.

    :param last_looked: the day (``YYYY-MM-DD``) the application last signed in or was signed in; None if it never was.
    """

    grant: Grant
    application: Application
    last_looked: str | None


class Grants:
    """The verbs of grants. A grant is stored first; then the application hears of it.

    :ivar debts: what could not be said to a backend that was away, of whatever kind.
    """

    def __init__(self, directory: Directory, tracker: Tracker, mailbox: Mailbox, clock: Clock) -> None:
        self._directory = directory
        self._tracker = tracker
        self._mailbox = mailbox
        self._clock = clock
        self._cache = _Cache(directory)
        self.debts = Debts()
        self.invalidate_all = self._cache.clear

    def known(self, user: str) -> tuple[Grant, ...] | None:
        """Return a user's grants if they are at hand without waiting."""
        return self._cache.get(user)

    def of(self, user: str) -> tuple[Grant, ...]:
        """Return every grant of a user."""
        known = self._cache.get(user)
        return self._cache.load(user) if known is None else known

    def stored(self, user: str) -> tuple[Grant, ...]:
        """Return every grant of a user as it is now, for a change after which nothing may come that puts right what was missed."""
        known = self._cache.get(user)
        try:
            return self._cache.load(user)
        except BackendUnavailable:
            if known is None:
                raise
            return known

    def list(self, user: str, after: str, limit: int) -> Sequence[Granted]:
        """Return up to ``limit`` grants of a user with their applications, in order of application id, after that of ``after``."""
        grants = sorted(self._directory.grants_of_user(user), key=lambda grant: grant.appid)
        following = [grant for grant in grants if grant.appid > after][:limit]
        looked = self._directory.last_looked(user)
        pairs = ((grant, self._directory.application(grant.appid)) for grant in following)
        return [Granted(grant, application, looked.get(application.id)) for grant, application in pairs if application]

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
        """Let an application see a user; the same grant when it may already.

        :raises Refused: the application was changed meanwhile, so that nobody consented to what it is now; see ``askable``.
        """
        now = self._clock.now()
        wanted = Grant(application.id, secrets.token_urlsafe(16), user, granted_at=now, since=now)
        with self._changing(wanted, new=True):
            grant = self._directory.add_grant(wanted, application.domain)
        self._tell(grant, new=grant == wanted or self.debts.owes((grant.puid, True)))
        return grant

    def pause(self, user: str, appid: str, paused: bool) -> Grant:
        """Hide a user from an application for a while, or show her again.

        :raises NotFound: it has no grant of hers.
        """
        with self._changing(self.given(user, appid)):
            grant = self._directory.pause(appid, user, paused, self._clock.now())
        if grant is None:
            raise NotFound()
        self._tell(grant)
        return grant

    def revoke(self, user: str, appid: str) -> None:
        """End a grant; its PUID is dead and what waited from the application is gone.

        :raises NotFound: it has no grant of hers.
        """
        with self._changing(self.given(user, appid)):
            grant = self._directory.revoke(appid, user)
        if grant is None:
            raise NotFound()
        self.ended([grant])

    def ended(self, grants: Sequence[Grant]) -> None:
        """Tell everybody of grants that are gone from the directory; while a backend is away that is owed."""
        for start in range(0, len(grants), _AT_ONCE):
            some = grants[start : start + _AT_ONCE]
            self.debts.pay(("ended", some[0].puid), partial(self._bury, some))
            give_way()

    def sweep(self) -> None:
        """Say what could not be said while a backend was away."""
        self.debts.sweep()

    def heard(self, user: str, appid: str) -> None:
        """Forget what is known of a user's grants, because one has changed. Never waits.

        An update that was made here with what was known may reach the tracker after the change did: then what the
        application sees is put right.

        :param appid: the application whose grant was changed, empty for one that ended.
        """
        self._cache.invalidate(user)
        if appid and self._tracker.waits:
            gevent.spawn(self.debts.pay, (user, appid), partial(self._look_again, user, appid))

    def show_again(self, user: str) -> None:
        """Put right what applications see of a user, after updates that may have been made with grants that had changed."""
        for grant in self.of(user):
            self._show(grant)

    def _look_again(self, user: str, appid: str) -> None:
        grant = self._directory.grant(appid, user)
        if grant:
            self._show(grant)

    # -- telling the others: the order in which they hear is not that of the directory, so its word is asked for

    @contextmanager
    def _changing(self, grant: Grant, new: bool = False) -> Iterator[None]:
        """Change a grant: what was known of the user's is void then. Without an answer, what became of it is found out later.

        :param new: it is made here, and may not come into being.
        """
        try:
            yield
        except BackendUnavailable:
            self.debts.owe((grant.puid, new), partial(self._settle, grant, new))
            raise
        finally:
            self._cache.invalidate(grant.user)

    def _tell(self, grant: Grant, new: bool = False) -> None:
        """Tell everybody what became of a grant; while a backend is away that is owed."""
        self.debts.pay((grant.puid, new), partial(self._settle, grant, new))

    def _settle(self, grant: Grant, new: bool) -> None:
        if new:
            self._show(grant, new)  # first: who hears of it shows it, too, and not as a new one
        self._tracker.wake("grants", f"{grant.user} {grant.appid}")
        if not new:
            self._show(grant)
            self._tracker.wake("mail", grant.user)  # what waited for the end of a pause

    def _show(self, grant: Grant, new: bool = False) -> None:
        """Tell an application what the directory says of a grant, until that is still so once it was told."""
        told: Grant | None = None
        while stands := self._directory.grants_by_puid(grant.appid, [grant.puid]).get(grant.puid):
            if stands == told:
                return
            if new and told is None:
                self._tracker.granted(stands)
            else:
                self._tracker.refresh(stands)
            told = stands
        if told or not new:
            self._bury([grant])

    def _bury(self, grants: Sequence[Grant]) -> None:
        for grant in grants:
            self._cache.invalidate(grant.user)
        for grant in grants:
            self._tracker.wake("grants", grant.user)
            self._tracker.revoked(grant)
        self._mailbox.purge_grants(grants)
