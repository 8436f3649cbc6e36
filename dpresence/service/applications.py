"""Applications: registration, domain validation, activation, and the API keys of their services (docs/protocol.md, section 6)."""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from gevent.pool import Pool
from msgspec import UNSET

from ..backends.directory import Directory, Proven
from ..backends.tracker import Tracker
from ..clock import Clock
from ..domains import check_domain, without_scheme
from ..errors import BackendUnavailable, Conflict, InvalidKey, NotActive, NotFound, ProofFailed, SlowDown, WrongValue
from ..limits import RateLimit
from ..lookalikes import names_another_domain
from ..messages import ApplicationChange, NewApplication
from ..metrics import Metrics
from ..model import ApiKey, Application, OutboxEntry
from ..proofs import DomainProofs
from ..settings import Settings
from .failures import Failures
from .grants import Grants
from .outbox import Outbox

log = logging.getLogger(__name__)

KEY_PREFIX = "dpk_"
_ID_LENGTH = 12
_KEY = re.compile(rf"{KEY_PREFIX}([A-Za-z0-9_-]{{{_ID_LENGTH}}})_([A-Za-z0-9_-]{{43}})")

_DAY_MS = 86_400_000
_CHECK_DAYS = 7
_FAILED_CHECKS = 3
_CONCURRENT_CHECKS = 20
_UNPROVEN: dict[str, object] = {"proof": None, "active": False, "check_at": None, "failed_checks": 0}


def describe(application: Application) -> dict[str, Any]:
    """Return an application as its owner sees it; the API key is never included."""
    return {
        "appid": application.id,
        "name": application.name,
        "domain": application.domain,
        "description": application.description,
        "domain_key": application.domain_key,
        "valid_domain": application.valid_domain,
        "proof": application.proof,
        "active": application.active,
        "created_at": application.created_at,
    }


def describe_key(key: ApiKey) -> dict[str, Any]:
    """Return an API key as its application's owner sees it; the secret is never included."""
    return {"id": key.id, "created_at": key.created_at, "last_used": key.used_on, "expires_at": key.retires_at}


class Applications:
    """Service methods for applications."""

    def __init__(
        self,
        directory: Directory,
        tracker: Tracker,
        domain_proofs: DomainProofs,
        grants: Grants,
        outbox: Outbox,
        failures: Failures,
        metrics: Metrics,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._tracker = tracker
        self._domain_proofs = domain_proofs
        self._grants = grants
        self._outbox = outbox
        outbox.handlers |= {"application": self._close_channels, "dropped": self._drop_feeds}
        self._failures = failures
        self._metrics = metrics
        self._registrations = RateLimit("too many registrations from this address", settings.channels.registrations_per_hour, 3600, clock)
        self._proofs = RateLimit("too many proofs of this application's domain", settings.outbound.proofs_per_hour, 3600, clock)
        self._new_keys = RateLimit("too many new keys of this application", settings.presence.keys_per_hour, 3600, clock)
        self._settings = settings
        self._clock = clock

    # -- methods for owners

    def register(self, owner: str, wanted: NewApplication, address: str, proven: Proven) -> Application:
        """Register an application.

        :param proven: the requester as they authenticated. All changes of applications are made only if this is still valid.
        :raises SessionEnded: it is not: the account was blocked or unpinned, or the browser session has ended.
        :raises WrongValue: ``domain`` is not a domain, or ``name`` contains or resembles another domain.
        :raises TooMany: the owner has too many applications.
        :raises SlowDown: too many applications were registered from the address.
        """
        domain = self._domain(wanted.domain)
        _check_name(wanted.name, domain)
        self._registrations.charge(address)
        application = Application(
            id=secrets.token_urlsafe(12),
            owner=owner,
            name=wanted.name,
            domain=domain,
            description=wanted.description,
            domain_key=secrets.token_urlsafe(24),
            created_at=self._clock.now(),
        )
        self._directory.add_application(application, self._settings.presence.applications_per_developer, proven)
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

    def keys(self, application: Application) -> Sequence[ApiKey]:
        """Return an application's valid keys, newest first."""
        return self._directory.keys(application.id, self._clock.steady.now())

    def change(self, application: Application, wanted: ApplicationChange, proven: Proven) -> Application:
        """Change name, description or domain. A new domain resets the application: it is not validated, inactive, and without grants.

        :raises WrongValue: ``domain`` is not a domain, or ``name`` contains or resembles another domain.
        """
        given = {name: value for name in ("name", "description", "domain") if (value := getattr(wanted, name)) is not UNSET}
        if "domain" in given:
            given["domain"] = self._domain(given["domain"])
        if given.keys() & {"name", "domain"}:
            _check_name(given.get("name", application.name), given.get("domain", application.domain))
        if given.get("domain", application.domain) == application.domain:
            return self._store(application.id, given, proven)
        anew = {**given, **_UNPROVEN, "domain_key": secrets.token_urlsafe(24)}
        moved = self._directory.move_application(application.id, anew, proven)
        if moved is None:
            raise NotFound()
        self._outbox.work(application.id)
        return moved[0]

    def validate(self, application: Application, proven: Proven) -> Application:
        """Fetch the domain's proof and compare it with the domain key.

        :raises ProofFailed: the proof is missing or wrong; ``details`` is the class of the failure.
        :raises SlowDown: the domain was checked too often.
        """
        self._proofs.charge(application.id)
        try:
            fetched = self._domain_proofs.fetch(application.domain, application.owner)
        except SlowDown:  # nothing was fetched
            self._proofs.give(application.id)
            raise
        return self._prove(application, *fetched, proven)

    def _prove(self, application: Application, body: str, proof: str, proven: Proven | None = None) -> Application:
        if not hmac.compare_digest(body.encode(), application.domain_key.encode()):
            log.info("the proof of %s failed: mismatch: it answers %s", application.domain, ascii(body[:100]))
            raise ProofFailed("domain: what it answers is not the domain key", details="mismatch")
        checked = {"proof": proof, "check_at": self._clock.steady.now() + _CHECK_DAYS * _DAY_MS, "failed_checks": 0}
        validated = self._directory.change_application(application.id, checked, application.domain_key, proven)
        if validated is None:
            raise Conflict("domain: was changed while it was being validated")
        return validated

    def check_domains(self) -> None:
        """Check the domains that are due again. A domain whose checks failed on three consecutive days is no longer validated."""
        now = self._clock.steady.now()
        checks = Pool()  # concurrent checks: a domain that does not answer delays no other
        try:
            checks.map(self._check, self._directory.claim_checks(now, now + _DAY_MS, _CONCURRENT_CHECKS))
        finally:
            checks.kill()

    def _check(self, application: Application) -> None:
        try:
            self._prove(application, *self._domain_proofs.fetch(application.domain))
        except ProofFailed as error:
            self._check_failed(application, error)
        except (BackendUnavailable, Conflict) as error:
            log.info("the domain of application %s was not checked: %s", application.id, error.error)

    def _check_failed(self, application: Application, error: ProofFailed) -> None:
        log.warning("the domain of application %s could not be validated again: %s", application.id, error.details)
        failed = application.failed_checks + 1
        if failed < _FAILED_CHECKS:
            self._directory.change_application(application.id, {"failed_checks": failed}, application.domain_key)
        elif self._directory.change_application(application.id, _UNPROVEN, application.domain_key):
            self._outbox.work(application.id)
            self._metrics.event("application deactivated: its domain checks failed", application.domain)

    def activate(self, application: Application, owner: Proven) -> str:
        """Activate an application and return its API key, which cannot be retrieved again.

        :raises DomainNotValidated: its domain is not validated.
        :raises Conflict: it is already active, or the operator has stopped it.
        :raises SessionEnded: see ``register``.
        """
        key, text = self._new_key(application)
        if not self._directory.activate(application.id, key, owner):
            raise Conflict("the application is active already")
        self._outbox.work(application.id)
        self._metrics.event("application activated", application.domain)
        return text

    def deactivate(self, application: Application, proven: Proven) -> Application:
        """Deactivate an application; its channels are closed."""
        changed = self._store(application.id, {"active": False}, proven)
        self._outbox.work(application.id)
        self._metrics.event("application deactivated", application.domain)
        return changed

    def new_key(self, application: Application, owner: Proven) -> str:
        """Return a new API key. The previous one remains valid for ``presence.key_overlap_seconds``.

        :raises NotActive: the application is not active.
        :raises SlowDown: too many keys were created for it.
        :raises SessionEnded: see ``register``.
        """
        if not application.active:
            raise NotActive()
        self._new_keys.charge(application.id)
        key, text = self._new_key(application)
        overlap = self._settings.presence.key_overlap_seconds * 1000
        self._directory.add_key(key, self._clock.steady.now() + overlap, owner)
        return text

    def delete(self, application: Application, proven: Proven) -> None:
        """Delete an application; its users' grants end and its channels are closed."""
        grants = self._directory.delete_application(application.id, proven)
        self._outbox.work(application.id)
        if grants is None:
            raise NotFound()
        self._metrics.event("application deleted", application.domain)

    def _domain(self, text: str) -> str:
        return check_domain(without_scheme(text), self._settings.outbound.allow_loopback)

    def _store(self, appid: str, changes: Mapping[str, object], proven: Proven) -> Application:
        changed = self._directory.change_application(appid, changes, proven=proven)
        if changed is None:
            raise NotFound()
        return changed

    # -- effects of a change: handlers of the outbox

    def _close_channels(self, entries: Sequence[OutboxEntry]) -> None:
        """Signal all processes to check whether the applications' channels may stay open and to resume delivery of their notifications."""
        for entry in entries:
            self._tracker.signal("application", entry.appid)

    def _drop_feeds(self, entries: Sequence[OutboxEntry]) -> None:
        for entry in entries:
            self._tracker.drop(entry.appid)

    def _new_key(self, application: Application) -> tuple[ApiKey, str]:
        key_id, secret = secrets.token_urlsafe(9), secrets.token_urlsafe(32)
        key = ApiKey(key_id, application.id, sha256(secret.encode()).digest(), self._clock.now())
        return key, f"{KEY_PREFIX}{key_id}_{secret}"

    # -- methods for app services

    def require_active(self, appid: str) -> Application:
        """Return an application whose app service may open a channel.

        :raises NotFound: there is no application with this id.
        :raises DomainNotValidated: its domain is not validated.
        :raises NotActive: it is not active.
        """
        return self._grants.grantable(appid)

    def authenticate(self, appid: str, text: str, address: str) -> Application:
        """Return the application that an API key belongs to.

        :raises InvalidKey: the key does not belong to this application, or the application does not exist.
        :raises DomainNotValidated: its domain is not validated.
        :raises NotActive: it is not active.
        :raises SlowDown: too many keys were invalid.
        """
        now = self._clock.steady.now()
        match = _KEY.fullmatch(text)
        key = self._directory.key(match[1], now) if match else None
        digest = sha256((match[2] if match else "").encode()).digest()
        if not hmac.compare_digest(digest, key.secret_hash if key else bytes(32)) or key is None or key.appid != appid:
            self._failures.record(address, text)
            raise InvalidKey()
        self._record_use(key, now)
        return self.require_active(appid)

    def _record_use(self, key: ApiKey, now: int) -> None:
        day = datetime.fromtimestamp(now / 1000, UTC).date().isoformat()
        if key.used_on != day:
            self._directory.touch_key(key.id, day)

    def check_key(self, appid: str, key_id: str) -> None:
        """Check that an app service may stay signed in with its key, and record the use of the key.

        :param key_id: see ``key_id``.
        :raises InvalidKey: the key is no longer valid.
        :raises Refused: see ``require_active``.
        """
        self.require_active(appid)
        now = self._clock.steady.now()
        key = self._directory.key(key_id, now)
        if key is None:
            raise InvalidKey()
        self._record_use(key, now)


def key_id(text: str) -> str:
    """Return the public part of a valid API key."""
    return text[len(KEY_PREFIX) :][:_ID_LENGTH]


def _check_name(name: str, domain: str) -> None:
    if names_another_domain(name, domain):
        raise WrongValue(f"name: no web address other than {domain}")
