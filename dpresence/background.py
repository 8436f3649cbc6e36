"""What runs beside the requests: sweeps and the lease, each in a greenlet of its own, none of which ends by an error."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from typing import Any

import gevent

from .errors import BackendUnavailable
from .identity.oidc_client import OidcClient
from .service import Presence
from .settings import Settings

log = logging.getLogger(__name__)

HOUSEKEEPING_SECONDS = 60
FIGURES_SECONDS = 2
POSTPONED_SECONDS = 1
DEVELOPMENT = "the development issuer is on: anybody with its token can sign in as anybody"
_JITTER = 0.1


class Background:
    """The periodic work of one process."""

    def __init__(self, presence: Presence, clients: Mapping[str, OidcClient], settings: Settings) -> None:
        self._jobs: list[tuple[str, float, Callable[[], object]]] = [
            ("sweep of devices", settings.presence.sweep_seconds, presence.devices.sweep),
            ("postponed changes of status", POSTPONED_SECONDS, presence.devices.tell_postponed),
            ("checks of domains", HOUSEKEEPING_SECONDS, presence.applications.check_domains),
            ("lease", settings.presence.refresh_seconds, presence.renew_lease),
            ("figures", FIGURES_SECONDS, presence.figures.sample),
            ("asking of backends", settings.presence.sweep_seconds, presence.figures.ask_backends),
            ("sweep of notifications", HOUSEKEEPING_SECONDS, presence.notifications.sweep),
            ("sweep of feeds", HOUSEKEEPING_SECONDS, presence.feeds.sweep),
            ("outbox", settings.presence.sweep_seconds, presence.outbox.sweep),
            ("comparison with the directory", settings.presence.sweep_seconds, presence.comparison.sweep),
            ("retries", settings.presence.sweep_seconds, presence.retries.flush),
            ("sweep of accounts", HOUSEKEEPING_SECONDS, presence.accounts.sweep),
        ]
        if settings.identity.development:
            self._jobs.append(("warning", HOUSEKEEPING_SECONDS, warn_of_development))
        self._providers = [(f"keys of oidc.{name}", HOUSEKEEPING_SECONDS, client.renew) for name, client in clients.items()]
        self._greenlets: list[Any] = []

    def start(self) -> None:
        """Begin; the first turn of each job comes after its interval, but for the providers, which are asked now."""
        self._greenlets = [gevent.spawn(_repeat, *job) for job in [*self._jobs, *self._providers]]
        self._greenlets += [gevent.spawn(renew) for _, _, renew in self._providers]

    def stop(self) -> None:
        """End, in the middle of nothing that matters: every job is one step in its backend."""
        gevent.killall(self._greenlets)


def warn_of_development() -> None:
    """Say in the log what must not be forgotten."""
    log.warning(DEVELOPMENT)


def _repeat(name: str, seconds: float, job: Callable[[], object]) -> None:
    while True:
        gevent.sleep(seconds * random.uniform(1 - _JITTER, 1))  # noqa: S311 a jitter, not a secret
        try:
            job()
        except BackendUnavailable as error:
            log.warning("%s put off: %s", name, error.error)
        except Exception:
            log.exception("%s failed", name)
