"""Periodic background jobs: sweeps, the lease, metrics. Each job runs in a greenlet of its own, which restarts after an error."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from functools import partial

from .coalesced_timers import sleep_coalesced
from .errors import BackendUnavailable
from .identity.oidc_client import OidcClient
from .runtime import RuntimeMeasures
from .service import Services
from .service.looks import SECONDS as LOOK_SECONDS
from .service.outcomes import SECONDS as OUTCOME_SECONDS
from .service.owner_mails import SECONDS as MAIL_SECONDS
from .service.pushes import SECONDS as PUSH_SECONDS
from .service.schedule import SECONDS as SCHEDULE_SECONDS
from .service.webhook_sender import DUE_CHECK_SECONDS, LEASE_CHECK_SECONDS
from .settings import Settings
from .tasks import Task, enter_job, stop

log = logging.getLogger(__name__)

SLOW_JOB_SECONDS = 60
METRICS_SECONDS = 2
POSTPONED_SECONDS = 1
REMINDER_SECONDS = 4000
"""Interval of the reminder that the development issuer is enabled: with ``_JITTER``, an hour or more."""
DEVELOPMENT = "the development issuer is enabled: anyone who has its token can sign in as any user"
_JITTER = 0.1


class Background:
    """The periodic jobs of one process."""

    def __init__(self, services: Services, clients: Mapping[str, OidcClient], runtime: RuntimeMeasures, settings: Settings) -> None:
        self._runtime = runtime
        self._jobs: list[tuple[str, float, Callable[[], object]]] = [
            ("sweep of devices", settings.presence.sweep_seconds, services.devices.sweep),
            ("publishing of postponed status changes", POSTPONED_SECONDS, services.devices.publish_postponed),
            ("changes that are due", SCHEDULE_SECONDS, services.schedule.run),
            ("pushes", PUSH_SECONDS, services.pushes.run),
            ("outcomes that are due", OUTCOME_SECONDS, services.outcomes.run),
            ("sweep of outcomes", SLOW_JOB_SECONDS, services.outcomes.sweep),
            ("checks of domains", SLOW_JOB_SECONDS, services.domain_checks.check_due),
            ("renewal of the lease", settings.presence.refresh_seconds, services.renew_lease),
            ("publishing of metrics", METRICS_SECONDS, services.operator_metrics.sample),
            ("ping of backends", settings.presence.sweep_seconds, services.operator_metrics.ping_backends),
            ("count of waiting notifications and changes", SLOW_JOB_SECONDS, services.operator_metrics.count_waiting),
            ("sweep of notifications", SLOW_JOB_SECONDS, services.notifications.sweep),
            ("sweep of feeds", SLOW_JOB_SECONDS, services.feeds.sweep),
            ("sweep of the outbox", settings.presence.sweep_seconds, services.outbox.sweep),
            ("reconciliation with the directory", settings.presence.sweep_seconds, services.reconciliation.sweep),
            ("retry of failed operations", settings.presence.sweep_seconds, services.retries.flush),
            ("lease of webhooks", LEASE_CHECK_SECONDS, services.webhook_sender.lease),
            ("webhooks that are due", DUE_CHECK_SECONDS, services.webhook_sender.run_due),
            ("mails to owners", MAIL_SECONDS, services.owner_mails.run),
            ("sweep of accounts", SLOW_JOB_SECONDS, services.accounts.sweep),
            ("storing of looks", LOOK_SECONDS, services.looks.store),
        ]
        if settings.identity.development:
            self._jobs.append(("warning", REMINDER_SECONDS, warn_of_development))
        self._providers = [(f"keys of oidc.{name}", SLOW_JOB_SECONDS, client.renew) for name, client in clients.items()]
        self._tasks: list[Task] = []

    def start(self) -> None:
        """Start every job. Provider keys are fetched at once; every other job first runs after its interval."""
        self._tasks = [Task(job[0], partial(_repeat, *job)) for job in [*self._jobs, *self._providers]]
        self._tasks += [Task(name, renew) for name, _, renew in self._providers]
        self._runtime.start()

    def stop(self) -> None:
        """Kill the greenlets. This is safe at any time, because each job changes a backend in atomic steps only."""
        self._runtime.stop()
        stop(self._tasks)


def warn_of_development() -> None:
    """Log a reminder that the development issuer is enabled."""
    log.warning(DEVELOPMENT)


def _repeat(name: str, seconds: float, job: Callable[[], object]) -> None:
    enter_job()
    while True:
        sleep_coalesced(seconds * random.uniform(1 - _JITTER, 1))  # noqa: S311 a jitter, not a secret
        try:
            job()
        except BackendUnavailable as error:
            log.warning("%s skipped: %s", name, error.error)
