"""The development issuer's door (docs/protocol.md, section 8). Scanned only where it is on; elsewhere the path is unknown."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from pyramid.request import Request

from ..errors import Forbidden, UnknownPath
from ..messages import DevelopmentAssertion
from . import service
from .validators import body, same_origin

assertion = service("development_assertion", "/__dev__/assertion")

_FORWARDED = ("forwarded", "x-forwarded-", "x-real-ip", "via")  # and whatever begins so


def from_this_machine(request: Request, **_: Any) -> None:
    """Refuse whoever is not a program or page of this machine under the audience's own host.

    :raises UnknownPath: the peer is not loopback, or something forwarded the call.
    :raises Forbidden: the ``Host`` is not that of the audience, as when a name was rebound to this machine.
    """
    if not _loopback(request.remote_addr) or any(name.lower().startswith(_FORWARDED) for name in request.headers):
        raise UnknownPath()
    audience = request.registry["dpresence"].settings.identity.audience
    if request.host != urlsplit(audience).netloc:
        raise Forbidden(f"Host: this is {audience}")


def _loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


@assertion.post(validators=(from_this_machine, same_origin, body(DevelopmentAssertion)))
def mint(request: Request) -> dict[str, str]:
    """Mint an assertion for any e-mail."""
    return {"assertion": request.registry["dpresence"].development_issuer.mint(request.validated["body"].email)}
