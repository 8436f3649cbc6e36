"""Examination of the public URL for ``dpresence doctor``: what the proxy in front of the service does to requests."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import requests

from ..settings import LOOPBACK_HOSTS
from .context import Context
from .output import Finding

_SECONDS = 10
_HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def check_public_url(context: Context) -> Iterator[Finding]:
    """Yield findings about ``identity.audience`` as users reach it."""
    settings, server = context.settings, context.server
    home, host = settings.identity.home, urlsplit(settings.identity.audience).hostname
    if host in LOOPBACK_HOSTS:
        yield (
            "warning",
            f"identity.audience is {settings.identity.audience}: only this machine reaches it",
            "set it to the https origin of users",
        )
    behind_proxy = settings.identity.audience.startswith("https:") and not server.certfile
    if behind_proxy and not settings.channels.trusted_proxies:
        advice = "set channels.trusted_proxies to the addresses of the proxy: all clients share the limits of its address otherwise"
        yield "error", "TLS ends at a proxy, and channels.trusted_proxies is empty", advice
    try:
        version = requests.get(f"{home}/__version__", timeout=_SECONDS)
        version.raise_for_status()
        yield "ok", f"{home} answers", ""
        handshake = requests.get(
            f"{home}/presence", headers={**_HANDSHAKE, "Origin": settings.identity.audience}, timeout=_SECONDS, stream=True
        )
        handshake.close()
    except requests.RequestException as error:
        yield "error", f"{home} does not answer ({type(error).__name__})", "start the service; check DNS, the certificate and the proxy"
        return
    if handshake.status_code == requests.codes.switching_protocols:
        yield "ok", "a websocket opens", ""
    else:
        advice = "have the proxy pass Upgrade and Connection on, by HTTP/1.1 (docs/operations.md, Behind a TLS proxy)"
        yield "error", f"a websocket does not open: HTTP {handshake.status_code}", advice
    limit = settings.presence.ping_seconds + settings.presence.pong_seconds
    if behind_proxy:
        yield "ok", f"the timeouts of the proxy must be longer than {limit} s; this cannot be seen from here", ""
