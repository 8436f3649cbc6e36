"""Composition of the application: creates every long-lived object once and stores them in Pyramid's registry."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyramid.config import Configurator

from . import sentry, web_addresses
from .backends import Backends
from .backends import load as load_backends
from .background import Background, warn_of_development
from .channels.gate import Gate
from .clock import Clock
from .errors import SettingError
from .hub import Hub
from .identity import Verifier, Verifiers
from .identity.browserid_keys import Issuer, load_issuers
from .identity.oidc import OidcVerifier, Provider, load_providers
from .identity.oidc_client import load_clients
from .ini import load as load_settings
from .mail import MailServer
from .metrics import Metrics
from .observation import Observation
from .pictures import Picture, load_picture
from .proofs import DomainProofs
from .push import PushServices
from .registry import KEY, Registry
from .request import Request
from .secret_files import warn_of_readers, warn_of_secrets, warn_of_writers
from .service import Services
from .settings import Settings
from .webhook_requests import WebhookRequests

if TYPE_CHECKING:
    from .identity.development import DevelopmentIssuer
    from .identity.development_token import DevelopmentToken

LOGO_BYTES = 65_536

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerRegistry(Registry):
    """The long-lived objects of one application: those that requests use, and those that the server starts and stops."""

    gate: Gate
    background: Background


def make_app(ini: Mapping[str, str], here: str, clock: Clock | None = None, file: str = "development.ini") -> Any:
    """Return the WSGI application of ``[app:main]``; see ``dpresence.main``.

    :param clock: replaces the real clock in tests.
    :param file: name of the ini: its permissions are checked, and the file of the development token is named after it.
    """
    warn_of_secrets(str(Path(here, file)), ini)
    registry = make_registry(load_settings(ini, here), clock or Clock(), Path(here, Path(file).name).with_suffix(".token"))
    web_addresses.load()
    return configure(ini, registry)


def configure(ini: Mapping[str, str], registry: ServerRegistry) -> Any:
    """Return the WSGI application that serves these objects: Pyramid with all routes and views."""
    settings = {**ini, "handle_exceptions": False, "jinja2.undefined": "strict", "jinja2.newstyle": "true"}  # no error responses by Cornice
    config = Configurator(settings=settings, request_factory=Request)
    config.registry[KEY] = registry
    config.include("cornice")
    config.include("pyramid_jinja2")
    config.include("dpresence.channels")  # before the views: the path of an application's channel is also a REST path
    config.include("dpresence.views")
    return config.make_wsgi_app()


def check_app(ini: Mapping[str, str], here: str) -> Settings:
    """Return the settings of ``[app:main]``, checked as far as possible without a backend.

    :raises SettingError: a setting, a key file or a secret is invalid.
    """
    settings, clock = load_settings(ini, here), Clock()
    providers = load_providers(settings.oidc, clock)
    if not settings.identity.development:
        _verifiers(settings, None, providers, clock)
    load_clients(settings, providers, clock)
    _logo(settings)
    PushServices(settings, clock)
    MailServer(settings.mail, clock)
    sentry.check(settings.sentry)
    return settings


def make_registry(settings: Settings, clock: Clock, token_file: Path) -> ServerRegistry:
    """Create every long-lived object.

    :param token_file: path for the token of a development service; the server writes it once its port is open.
    :raises SettingError: the database belongs to the other mode.
    """
    _warn_of_former_names(settings)
    _warn_of_readers(settings)
    issuer, token = _development(settings, clock, token_file) if settings.identity.development else (None, None)
    providers = load_providers(settings.oidc, clock)
    verifiers, clients = Verifiers(_verifiers(settings, issuer, providers, clock)), load_clients(settings, providers, clock)
    outbound, logo = settings.outbound, _logo(settings)
    fetching = DomainProofs(outbound), PushServices(settings, clock), WebhookRequests(outbound)
    backends = load_backends(settings, clock, serving=True)  # after all that a wrong setting refuses
    _check_mode(settings, backends)
    if settings.storage.tracker == "memory":  # one process: a former one that was killed has left its leases
        backends.directory.release_webhooks(None)
    metrics, hub = Metrics(clock), Hub()
    gate = Gate(settings, clock, metrics)
    services = Services(backends, verifiers, *fetching, hub, metrics, settings, clock)
    observation = Observation(services, gate, backends, clients)
    services.operator_metrics.gauges, services.operator_metrics.counts = observation.gauges, observation.counts
    gate.on_wait = services.feeds.expect_reconnect
    background = Background(services, clients.providers, observation.runtime, settings)
    return ServerRegistry(settings, clock, backends, services, clients, logo, issuer, token, gate, background)


def _logo(settings: Settings) -> Picture | None:
    """Return the operator's logo.

    :raises SettingError: it is unreadable, too large, or neither PNG nor SVG.
    """
    return load_picture(settings.pages.logo, "pages.logo", LOGO_BYTES) if settings.pages.logo else None


def _warn_of_former_names(settings: Settings) -> None:
    for former, present in settings.deprecated.items():
        log.warning("%s is deprecated: write %s", former, present)


def _warn_of_readers(settings: Settings) -> None:
    """Log secret files that others may read, and key files that they may write; ``DatabaseFile`` checks the database itself."""
    warn_of_readers(settings.identity.secret_file, "the key of browsers' sign-ins")
    warn_of_readers(settings.push.key_file, "the keys for push services")
    for key, file in settings.secret_files.items():
        warn_of_readers(file, key)
    for provider in settings.oidc.configured:
        for file, what in provider.secret_files.items():
            warn_of_readers(file, f"{what} of oidc.{provider.name}")
    for issuer in settings.browserid.configured:
        for file in issuer.keys:
            warn_of_writers(file, f"a key of browserid.{issuer.name}")


def _development(settings: Settings, clock: Clock, token_file: Path) -> tuple[DevelopmentIssuer, DevelopmentToken]:
    from .identity.development import DevelopmentIssuer  # imported only here, so that production never loads it
    from .identity.development_token import DevelopmentToken

    return DevelopmentIssuer(settings.identity.audience, clock), DevelopmentToken(token_file, settings.identity.development_token)


def _verifiers(settings: Settings, issuer: DevelopmentIssuer | None, providers: Sequence[Provider], clock: Clock) -> list[Verifier]:
    audience = settings.identity.audience
    if issuer:
        warn_of_development()
        return [_browserid(audience, [issuer.issuer], clock)]
    if not settings.identity.verifiers:
        log.warning("sign-in is closed: set identity.verifiers in the ini")
        return []
    made: dict[str, Callable[[], Verifier]] = {
        "browserid": lambda: _browserid(audience, load_issuers(settings.browserid), clock),
        "oidc": lambda: OidcVerifier(providers),
    }
    return [made[name]() for name in settings.identity.verifiers]


def _browserid(audience: str, issuers: Sequence[Issuer], clock: Clock) -> Verifier:
    from .identity.browserid import BrowserIDVerifier  # imported only here, with PyBrowserID, which other verifiers do not need

    return BrowserIDVerifier(audience, issuers, clock)


def _check_mode(settings: Settings, backends: Backends) -> None:
    """Refuse a development database, whose users are not authenticated, in production, and the other way round (section 8)."""
    mode = "development" if settings.identity.development else "production"
    stored = backends.directory.claim_mode(mode)
    if stored != mode:
        backends.close()
        raise SettingError(f"directory.url: must be a {mode} database; this one was made by a {stored} service")
