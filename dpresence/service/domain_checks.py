"""Validation of applications' domains, at the developer's request and then every week (docs/protocol.md, section 6)."""

from __future__ import annotations

import hmac
import logging

from gevent.pool import Pool

from ..backends.directory import Directory, Requester
from ..clock import Clock
from ..errors import BackendUnavailable, Conflict, ProofFailed, SlowDown
from ..limits import RateLimit
from ..metrics import Metrics
from ..model import Application
from ..proofs import DomainProofs
from ..settings import OutboundSettings
from ..tasks import enter_job
from .outbox import Outbox

log = logging.getLogger(__name__)

NOT_VALIDATED: dict[str, object] = {"validated_scheme": None, "active": False, "check_at": None, "failed_checks": 0}
"""Fields of an application whose domain is not validated."""
_DAY_MS = 86_400_000
_CHECK_DAYS = 7
_FAILED_CHECKS = 3
_CONCURRENT_CHECKS = 20


class DomainChecks:
    """Service methods for the validation of domains."""

    def __init__(
        self, directory: Directory, proofs: DomainProofs, outbox: Outbox, metrics: Metrics, settings: OutboundSettings, clock: Clock
    ) -> None:
        self._directory = directory
        self._proofs = proofs
        self._outbox = outbox
        self._metrics = metrics
        self._limit = RateLimit("too many proofs of this application's domain", settings.proofs_per_hour, 3600, clock)
        self._clock = clock

    def validate(self, application: Application, requester: Requester) -> Application:
        """Fetch the domain's proof and compare it with the domain key.

        :raises ProofFailed: the proof is missing or wrong; ``details`` is the class of the failure.
        :raises SlowDown: the domain was checked too often.
        """
        self._limit.charge(application.id)
        try:
            fetched = self._proofs.fetch(application.domain, application.owner)
        except SlowDown:  # nothing was fetched
            self._limit.give(application.id)
            raise
        return self._check_body(application, *fetched, requester)

    def _check_body(self, application: Application, body: str, scheme: str, requester: Requester | None = None) -> Application:
        if not hmac.compare_digest(body.encode(), application.domain_key.encode()):
            log.info("the proof of %s failed: mismatch: the response is %s", application.domain, ascii(body[:100]))
            raise ProofFailed("domain: the response is not the domain key", details="mismatch")
        checked = {"validated_scheme": scheme, "check_at": self._clock.steady.now() + _CHECK_DAYS * _DAY_MS, "failed_checks": 0}
        validated = self._directory.change_application(application.id, checked, application.domain_key, requester)
        if validated is None:
            raise Conflict("domain: was changed while it was being validated")
        return validated

    def check_due(self) -> None:
        """Check the domains that are due again. A domain whose checks failed on three consecutive days is no longer validated."""
        now = self._clock.steady.now()
        checks = Pool()  # concurrent checks: a domain that does not answer delays no other
        try:
            checks.map(self._check, self._directory.claim_checks(now, now + _DAY_MS, _CONCURRENT_CHECKS))
        finally:
            checks.kill()

    def _check(self, application: Application) -> None:
        enter_job()  # the pool has a greenlet for each
        try:
            self._check_again(application)
        except (BackendUnavailable, Conflict) as error:
            log.info("the domain of application %s was not checked: %s", application.id, error.error)

    def _check_again(self, application: Application) -> None:
        try:
            self._check_body(application, *self._proofs.fetch(application.domain))
        except ProofFailed as error:
            self._check_failed(application, error)

    def _check_failed(self, application: Application, error: ProofFailed) -> None:
        log.warning("the domain check of application %s failed: %s", application.id, error.details)
        present = self._directory.application(application.id)
        if present is None or present.check_at != application.check_at:  # the developer has proven the domain meanwhile
            return
        failed = application.failed_checks + 1
        if failed < _FAILED_CHECKS:
            self._directory.change_application(application.id, {"failed_checks": failed}, application.domain_key)
        elif self._directory.change_application(application.id, NOT_VALIDATED, application.domain_key):
            self._outbox.apply_now(application.id)
            self._metrics.event("application deactivated: its domain checks failed", application.domain)
