"""Headers of every response, and the content security policy of pages (docs/security.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from pyramid.config import Configurator
from pyramid.response import Response

from ..registry import KEY, Registry
from ..request import Request

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send this service's own forms with ``Origin: null``
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_YEAR = 31_536_000
REVALIDATED = "public, no-cache"
"""``Cache-Control`` of files that caches store and check for a new version at each use."""


def page_policy(audience: str, form_target: str = "") -> str:
    """Return the content security policy of a page.

    :param form_target: another origin that the page's form may redirect to; browsers apply form-action to redirects as well.
    """
    socket = f"{'wss' if audience.startswith('https') else 'ws'}://{urlsplit(audience).netloc}"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; manifest-src 'self'; "
        f"connect-src 'self' {socket}; form-action 'self'{' ' + form_target if form_target else ''}; "
        "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types service-worker"
    )


def _location(location: str, host_url: str, audience: str) -> str:
    """Return the target of a redirect; one to this service starts with the audience, as WebOb would use the ``Host`` of the request.

    :param host_url: the base URL of this service according to the request.
    """
    path = location.removeprefix(host_url)
    return audience + path if path.startswith("/") and not path.startswith("//") else location


def headers_tween(handler: Callable[[Request], Response], registry: Any) -> Callable[[Request], Response]:
    """Add default headers to every response."""
    parts: Registry = registry[KEY]
    headers, audience = dict(_ALWAYS), parts.settings.identity.audience
    if parts.secure:
        headers["Strict-Transport-Security"] = f"max-age={_YEAR}"
    if parts.development_issuer:
        headers["X-dpresence-Mode"] = "development"

    def tween(request: Request) -> Response:
        response = handler(request)
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        if "Location" in response.headers:
            response.headers["Location"] = _location(response.headers["Location"], request.host_url, audience)
        return response

    return tween


def includeme(config: Configurator) -> None:
    """Add the tween outside of the exception views, so that errors get the headers too."""
    config.add_tween(f"{__name__}.headers_tween")
