"""Headers of every answer, and the policy of pages (docs/security.md)."""

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
    "Referrer-Policy": "same-origin",  # under no-referrer a browser sends our own forms with ``Origin: null``
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_YEAR = 31_536_000


def page_policy(audience: str, form_target: str = "") -> str:
    """Return the content security policy of a page.

    :param form_target: an origin the page's form may lead to besides ours; a browser checks redirects as well.
    """
    socket = f"{'wss' if audience.startswith('https') else 'ws'}://{urlsplit(audience).netloc}"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self' {socket}; form-action 'self'{' ' + form_target if form_target else ''}; "
        "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _location(location: str, host_url: str, audience: str) -> str:
    """Return where a redirect leads, under the audience where it leads to this service: WebOb would take the ``Host`` of the request.

    :param host_url: what the request says this service is.
    """
    path = location.removeprefix(host_url)
    return audience + path if path.startswith("/") and not path.startswith("//") else location


def headers_tween(handler: Callable[[Request], Response], registry: Any) -> Callable[[Request], Response]:
    """Give every answer the headers it lacks."""
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
    """Add the tween, outside of those that answer errors."""
    config.add_tween(f"{__name__}.headers_tween")
