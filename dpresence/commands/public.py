"""Examination of the public URL for ``dpresence doctor``: what the proxy in front of the service does to requests and channels."""

from __future__ import annotations

import ipaddress
import re
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
_INVENTED = "203.0.113.9"
"""An address of documentation (RFC 5737), which no client has."""
_SEEN = re.compile(r"sees you as (\S+), by (\w+)")
_PROXY = "docs/operations.md, Behind a TLS proxy"


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
        yield from _check_answers(home, settings.identity.audience)
        if behind_proxy and settings.channels.trusted_proxies:
            yield from _check_forwarding(home, settings.channels.trusted_proxies)
    except requests.RequestException as error:
        yield "error", f"{home} does not answer ({type(error).__name__})", "start the service; check DNS, the certificate and the proxy"


def _check_answers(home: str, origin: str) -> Iterator[Finding]:
    """Yield whether an ordinary request and a websocket's handshake are answered.

    :raises requests.RequestException: the request is not.
    """
    requests.get(f"{home}/__version__", timeout=_SECONDS).raise_for_status()
    yield "ok", f"{home} answers", ""
    handshake = requests.get(f"{home}/presence", headers={**_HANDSHAKE, "Origin": origin}, timeout=_SECONDS, stream=True)
    handshake.close()
    if handshake.status_code == requests.codes.switching_protocols:
        yield "ok", "a websocket opens", ""
    else:
        advice = f"have the proxy pass Upgrade and Connection on, by HTTP/1.1 ({_PROXY})"
        yield "error", f"a websocket does not open: HTTP {handshake.status_code}", advice


def _check_forwarding(home: str, proxies: tuple[str, ...]) -> Iterator[Finding]:
    """Yield which client the service takes this machine for, by what the proxy sends it.

    :raises requests.RequestException: there is no answer.
    """
    seen = _seen(home)
    if seen is None:
        yield "warning", "how the service sees a client cannot be read: /__metrics__ does not answer with 403", "have the proxy pass it on"
        return
    address, scheme = seen
    if scheme != "https":
        yield "error", f"the service takes requests for {scheme}", f"have the proxy send X-Forwarded-Proto ({_PROXY})"
    if any(ipaddress.ip_address(address) in ipaddress.ip_network(proxy) for proxy in proxies):
        advice = f"run curl {home}/__metrics__ on a machine that is no proxy: if the answer names an address of the proxy, have it send \
X-Forwarded-For ({_PROXY})"
        yield "warning", f"the service sees this machine as {address}, which is a trusted proxy", advice
        return
    for name, value in (("X-Forwarded-For", _INVENTED), ("Forwarded", f"for={_INVENTED}")):
        if (now := _seen(home, {name: value})) and now[0] != address:
            advice = f"have the proxy replace or remove {name}, or add to it ({_PROXY}): a client could pretend to be another"
            yield "error", f"the service believes the {name} of a client: it sees {now[0]} instead of {address}", advice
            return
    yield "ok", f"the service sees this machine as {address}, by {scheme}, also if a client sends forwarding headers of its own", ""


def _seen(home: str, headers: dict[str, str] | None = None) -> tuple[str, str] | None:
    """Return the address and the scheme that the service has for a request of this machine; None if it does not say so."""
    found = _SEEN.search(requests.get(f"{home}/__metrics__", headers=headers, timeout=_SECONDS).text)
    return (found[1], found[2]) if found else None
