"""Applications: registration, changes, activation and deletion (docs/protocol.md, section 6)."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence

from msgspec import UNSET

from ..addresses import network
from ..backends.directory import Directory, OutboxEntry, Requester
from ..backends.tracker import Tracker
from ..clock import Clock
from ..domains import check_domain, without_scheme
from ..errors import Conflict, NotFound, Refused, WrongValue
from ..limits import RateLimit
from ..messages import ApplicationChange, NewApplication
from ..metrics import Metrics
from ..model import Application
from ..settings import Settings
from ..web_addresses import refusal
from .api_keys import generate_key
from .domain_checks import NOT_VALIDATED
from .outbox import Outbox

log = logging.getLogger(__name__)


class Applications:
    """Service methods for the owners of applications."""

    def __init__(
        self,
        directory: Directory,
        tracker: Tracker,
        outbox: Outbox,
        metrics: Metrics,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._tracker = tracker
        self._outbox = outbox
        self._metrics = metrics
        self._registrations = RateLimit("too many registrations from this address", settings.channels.registrations_per_hour, 3600, clock)
        self._settings = settings
        self._clock = clock

    def register(self, owner: str, wanted: NewApplication, address: str, requester: Requester) -> Application:
        """Register an application.

        :param requester: the requester as they authenticated. All changes of applications are made only if this is still valid.
        :raises SessionEnded: it is not: the account was blocked or unpinned, or the browser session has ended.
        :raises WrongValue: ``domain`` is not a domain, or ``name`` contains or resembles another domain.
        :raises TooMany: the owner has too many applications.
        :raises SlowDown: too many applications were registered from the address.
        """
        domain = self._domain(wanted.domain)
        _check_name(wanted.name, domain)
        self._registrations.charge(network(address))
        application = Application(
            id=secrets.token_urlsafe(12),
            owner=owner,
            name=wanted.name,
            domain=domain,
            description=wanted.description,
            domain_key=secrets.token_urlsafe(24),
            created_at=self._clock.now(),
        )
        self._directory.add_application(application, self._settings.presence.applications_per_developer, requester)
        self._metrics.event("application registered", domain)
        return application

    def owned(self, owner: str, appid: str) -> Application:
        """Return an application of an owner.

        :raises NotFound: the application does not exist or belongs to another owner.
        """
        application = self._directory.application(appid)
        if application is None or application.owner != owner:
            raise NotFound()
        return application

    def list(self, owner: str, after: str, limit: int) -> Sequence[Application]:
        """Return a page of an owner's applications."""
        return self._directory.applications(owner, after, limit)

    def change(self, application: Application, wanted: ApplicationChange, requester: Requester) -> Application:
        """Change name, description or domain. A new domain resets the application: it is not validated, inactive, and without grants.

        :raises WrongValue: ``domain`` is not a domain, or ``name`` contains or resembles another domain.
        :raises Conflict: another call has changed the domain meanwhile, or with a new domain the name: the two were not checked together.
        """
        given = {name: value for name in ("name", "description", "domain") if (value := getattr(wanted, name)) is not UNSET}
        if "domain" in given:
            given["domain"] = self._domain(given["domain"])
        if given.keys() & {"name", "domain"}:
            _check_name(given.get("name", application.name), given.get("domain", application.domain))
        if given.get("domain", application.domain) != application.domain:
            return self._move(application, given, requester)
        domain_key = application.domain_key if given.keys() & {"name", "domain"} else None
        given.pop("domain", None)  # it is stored; another call may have changed it since
        return self._store(application.id, given, requester, domain_key)

    def _move(self, application: Application, given: Mapping[str, object], requester: Requester) -> Application:
        anew = {**given, **NOT_VALIDATED, "domain_key": secrets.token_urlsafe(24)}
        moved = self._directory.move_application(application.id, anew, requester, application)
        if moved is None:
            raise self._lost(application.id)
        self._outbox.apply_now(application.id)
        return moved[0]

    def activate(self, application: Application, owner: Requester) -> str:
        """Activate an application and return its API key, which cannot be retrieved again.

        :raises DomainNotValidated: its domain is not validated.
        :raises Conflict: it is already active, or the operator has stopped it.
        :raises SessionEnded: see ``register``.
        """
        key, text = generate_key(application.id, self._clock.now())
        if not self._directory.activate(application.id, key, owner):
            raise Conflict("the application is active already")
        self._outbox.apply_now(application.id)
        self._metrics.event("application activated", application.domain)
        return text

    def deactivate(self, application: Application, requester: Requester) -> Application:
        """Deactivate an application; its channels are closed."""
        changed = self._store(application.id, {"active": False}, requester)
        self._outbox.apply_now(application.id)
        self._metrics.event("application deactivated", application.domain)
        return changed

    def delete(self, application: Application, requester: Requester) -> None:
        """Delete an application; its users' grants end and its channels are closed."""
        grants = self._directory.delete_application(application.id, requester)
        self._outbox.apply_now(application.id)
        if grants is None:
            raise NotFound()
        self._metrics.event("application deleted", application.domain)

    def _domain(self, text: str) -> str:
        return check_domain(without_scheme(text), self._settings.outbound.allow_loopback)

    def _store(self, appid: str, changes: Mapping[str, object], requester: Requester, domain_key: str | None = None) -> Application:
        changed = self._directory.change_application(appid, changes, domain_key, requester)
        if changed is None:
            raise self._lost(appid)
        return changed

    def _lost(self, appid: str) -> Refused:
        """Return why nothing was changed: the application was deleted, or another call has changed it."""
        if self._directory.application(appid) is None:
            return NotFound()
        return Conflict("the application was changed by another call at the same time")

    # -- effects of a change: handlers of the outbox

    def check_channels(self, entries: Sequence[OutboxEntry]) -> None:
        """Signal all processes to check whether the applications' channels may stay open and to resume delivery of their notifications."""
        for entry in entries:
            if entry.detail:
                log.info("the operator has %s application %s", entry.detail, entry.appid)
            self._tracker.signal("application", entry.appid)

    def drop_feeds(self, entries: Sequence[OutboxEntry]) -> None:
        """Delete the feeds of deleted applications."""
        for entry in entries:
            self._tracker.drop(entry.appid)


def _check_name(name: str, domain: str) -> None:
    if refused := refusal(name, domain):
        raise WrongValue(f"name: {refused}")
