"""REST and pages. Validators authorize and parse a request; a view calls one service method and returns a response."""

from __future__ import annotations

from typing import Any

from cornice import Service
from pyramid.config import Configurator

from ..messages import encode
from ..registry import KEY


class _Json:
    """Pyramid renderer that uses the encoder of the channels."""

    def __init__(self, info: Any) -> None:
        pass

    def __call__(self, value: Any, system: dict[str, Any]) -> bytes:
        response = system["request"].response
        response.content_type, response.charset = "application/json", None
        return encode(value)


def cornice_service(name: str, path: str) -> Service:
    """Return a Cornice service with this project's JSON renderer."""
    return Service(name=name, path=path, depth=2, renderer="presence-json")


def includeme(config: Configurator) -> None:
    """Add all views of this package; those of the development issuer only if it is on."""
    config.add_renderer("presence-json", _Json)
    for module in (
        "home",
        "web_app",
        "session",
        "providers",
        "signin",
        "applications",
        "icons",
        "webhooks",
        "grants",
        "notifications",
        "inboxes",
        "accounts",
        "overrides",
        "quiet_hours",
        "push_subscriptions",
        "pairing",
        "ops",
        "metrics",
        "operator_metrics",
    ):
        config.scan(f"{__name__}.{module}")
    config.include(f"{__name__}.contract")
    config.include(f"{__name__}.errors")
    config.include(f"{__name__}.headers")
    config.include(f"{__name__}.language")
    config.include(f"{__name__}.static")
    if config.registry[KEY].development_issuer:
        config.scan(f"{__name__}.development")
