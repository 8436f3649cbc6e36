"""Signing in at an OpenID Connect provider: away to it and back (docs/identity.md).

What has to come back is kept in a signed cookie of its own, which ends with its use. SameSite=Lax: the way back is a
navigation that another site starts.
"""

from __future__ import annotations

from typing import Any

import msgspec
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from webob.cookies import SignedSerializer

from ..domains import local_path
from ..errors import NotFound, WrongValue
from ..identity.oidc_client import ATTEMPT_SECONDS, Attempt
from . import service
from .validators import cookie_name, presence

away = service("signin", "/login/{provider}")
back = service("signin_back", "/login/{provider}/callback")

MAX_NEXT = 2000
"""Characters of ``next``; the cookie that holds it may have 4096 bytes."""


class _Attempts:
    """How an attempt is written."""

    dumps = staticmethod(msgspec.json.encode)
    loads = staticmethod(msgspec.json.Decoder(Attempt).decode)


def _client(request: Request, **_: Any) -> None:
    """Fill ``client`` with the one of the provider in the path.

    :raises NotFound: no such provider is configured.
    """
    client = request.registry["dpresence"].clients.providers.get(request.matchdict["provider"])
    if client is None:
        raise NotFound()
    request.validated["client"] = client


def _attempt(request: Request, **_: Any) -> None:
    """Fill ``attempt`` from the cookie, which is used up, and ``answer`` from the query.

    :raises WrongValue: a part of the query comes twice.
    :raises Forbidden: the sign-in was not begun in this browser.
    """
    answer = request.GET.mixed()
    if not all(isinstance(value, str) for value in answer.values()):
        raise WrongValue("a part of the query comes twice")
    attempt = _read(request, request.cookies.get(_name(request), ""))
    request.validated["attempt"] = request.validated["client"].check(attempt, answer.get("state", ""))
    request.validated["answer"] = answer
    request.add_response_callback(lambda request, response: _set(request, response, _name(request), "", 0))


@away.get(validators=(_client,))
def get_away(request: Request) -> Response:
    """Send the browser to the provider."""
    next = request.GET.get("next", "")
    url, attempt = request.validated["client"].begin(local_path(next if len(next) <= MAX_NEXT else "", f"{request.script_name}/"))
    response = HTTPSeeOther(url)
    _set(request, response, _name(request), _serializer(request).dumps(attempt).decode(), ATTEMPT_SECONDS)
    return response


@back.get(validators=(_client, _attempt))
def get_back(request: Request) -> Response:
    """Open a browser session for who the provider says it is, and go on to where it was asked for."""
    parts, attempt, answer = request.registry["dpresence"], request.validated["attempt"], request.validated["answer"]
    client = request.validated["client"]
    previous = request.cookies.get(cookie_name(request), "")
    _, cookie = presence(request).accounts.login_by(lambda: client.finish(attempt, answer), attempt.state, request.remote_addr, previous)
    response = HTTPSeeOther(parts.settings.identity.audience + attempt.next)
    _set(request, response, cookie_name(request), cookie, parts.settings.identity.session_seconds)
    return response


def _name(request: Request) -> str:
    return f"{cookie_name(request)}-oidc"


def _serializer(request: Request) -> SignedSerializer:
    return SignedSerializer(request.registry["dpresence"].clients.secret, "oidc", serializer=_Attempts)


def _read(request: Request, value: str) -> Attempt | None:
    try:
        attempt: Attempt = _serializer(request).loads(value.encode())
    except (ValueError, msgspec.DecodeError):  # not ours, or of another version
        return None
    return attempt


def _set(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """Set a cookie as ``__Host-`` wants it; with 0 seconds it ends."""
    secure = request.registry["dpresence"].secure
    response.set_cookie(name, value, max_age=seconds, secure=secure, httponly=True, samesite="Lax")
