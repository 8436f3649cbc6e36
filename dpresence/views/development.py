"""The endpoint of the development issuer (docs/protocol.md, section 8). Added only if the issuer is on; otherwise the path is unknown."""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ..errors import Forbidden, UnknownPath
from ..messages import DevelopmentAssertion, MintedAssertion
from ..request import Request
from . import cornice_service
from .pages import development_cookie, redirect_to_audience
from .validators import Body, same_origin

assertion = cornice_service("development_assertion", "/__dev__/assertion")

minted = Body(DevelopmentAssertion)

_FORWARDED = ("forwarded", "x-forwarded-", "x-real-ip", "via")  # prefixes of header names


def from_this_machine(request: Request, **_: Any) -> None:
    """Refuse requests that do not come directly from this machine with the audience's own host name.

    :raises UnknownPath: the peer's address is not loopback, or a proxy forwarded the request.
    :raises Forbidden: the ``Host`` is not that of the audience, as in DNS rebinding.
    """
    if not _loopback(request.remote_addr) or any(name.lower().startswith(_FORWARDED) for name in request.headers):
        raise UnknownPath()
    audience = request.shared.settings.identity.audience
    if request.host != urlsplit(audience).netloc:
        raise Forbidden(f"Host: this is {audience}")


def _loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def has_token(request: Request, **_: Any) -> None:
    """Refuse a program without the token, and a page whose browser lacks the token's cookie.

    :raises Forbidden: the token is missing or wrong.
    """
    given = request.headers.get("X-Development-Token") or request.cookies.get(development_cookie(request), "")
    _check_token(request, "X-Development-Token", given)


def _check_token(request: Request, name: str, given: str) -> None:
    token = request.shared.development_token
    if token is None:
        raise UnknownPath()
    if not token.matches(given):
        raise Forbidden(
            f"{name}: must be the development token, which is in {token.file.name} beside the ini. "
            "In a browser, open the link with ?token= that the service printed when it started"
        )


@view_config(route_name="home", request_method="GET", request_param="token")
def get_home_with_token(request: Request) -> Response:
    """Store the token of the link that is printed at startup in a cookie, and redirect to the address without it."""
    redirect_to_audience(request)
    from_this_machine(request)
    _check_token(request, "token", request.GET["token"])
    response = HTTPSeeOther(request.path)
    response.set_cookie(development_cookie(request), request.GET["token"], httponly=True, samesite="Lax")
    return response


@assertion.post(validators=(from_this_machine, same_origin, has_token, minted))
def mint(request: Request) -> MintedAssertion:
    """Create an assertion for any e-mail address."""
    issuer = request.shared.development_issuer
    if issuer is None:
        raise UnknownPath()
    return MintedAssertion(issuer.mint(minted.of(request).email))
