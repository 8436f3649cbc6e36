"""Sign-in at an OpenID Connect provider: the redirect to the provider and its callback (docs/identity.md).

Each sign-in in progress has its own signed cookie, named after its state, so that several tabs can sign in at the same
time. The callback deletes it. The cookie is SameSite=Lax because another site starts the navigation to the callback.
"""

from __future__ import annotations

import logging
import zlib
from contextlib import suppress
from typing import Any

import msgspec
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from webob.cookies import SignedSerializer

from ..domains import local_path
from ..errors import Forbidden, Refused, SignInEnded, WrongValue
from ..identity.oidc_client import ATTEMPT_SECONDS, Attempt
from ..request import Request
from . import cornice_service
from .providers import client
from .validators import cookie_name

log = logging.getLogger(__name__)

away = cornice_service("signin", "/login/{provider}")
back = cornice_service("signin_back", "/login/{provider}/callback")

COOKIE_BYTES = 3900
"""Maximum size of an attempt's cookie in bytes: browsers accept 4096 including name and attributes."""
COOKIES_BYTES = 7000
"""Maximum size of all attempts' cookies of a browser in bytes: the ``Cookie`` header of a request may have 8192."""
STATE_CHARACTERS = 16
"""Number of characters of the state in a cookie's name."""

_decoder = msgspec.json.Decoder(Attempt)


class _Attempts:
    """Serializes attempts, compressed so that the longest allowed redirect fits into a cookie."""

    @staticmethod
    def dumps(attempt: Attempt) -> bytes:
        return zlib.compress(msgspec.json.encode(attempt), 9)

    @staticmethod
    def loads(data: bytes) -> Attempt:
        return _decoder.decode(zlib.decompress(data))  # safe, as SignedSerializer has verified the signature


def _attempt(request: Request, **_: Any) -> None:
    """Fill ``attempt`` from its cookie, which the response deletes, ``next`` from the attempt, and ``answer`` from the query.

    :raises WrongValue: a query parameter is repeated.
    :raises Forbidden: the sign-in was not started in this browser, and the browser has no session.
    :raises SignInEnded: the provider ended the sign-in and does not say which one.
    :raises HTTPSeeOther: the same, but the browser has a session: redirects to the start page.
    """
    answer = request.GET.mixed()
    if not all(isinstance(value, str) for value in answer.values()):
        raise WrongValue("a part of the query comes twice")
    name = _name(request, answer.get("state", ""))
    attempt = _read(request, request.cookies.get(name, ""))
    try:
        checked = request.validated["attempt"] = request.validated["client"].check(attempt, answer)
    except SignInEnded as ended:
        log.info("sign-in refused: %s (%s)", ended.reason, ended.about)
        raise
    except Forbidden:
        if _signed_in(request):
            raise HTTPSeeOther(f"{request.shared.settings.identity.audience}{request.script_name}/") from None
        raise
    request.validated["answer"], request.validated["next"] = answer, checked.next
    request.add_response_callback(lambda request, response: _set(request, response, name, "", 0))


def _signed_in(request: Request) -> bool:
    """Return whether the browser has a session, as when the callback of a completed sign-in is loaded again."""
    with suppress(Refused):
        request.services.accounts.session(request.cookies.get(cookie_name(request), ""))
        return True
    return False


def _next(request: Request, **_: Any) -> None:
    """Fill ``next`` with the path that the sign-in leads to, which the page of a refusal needs as well."""
    request.validated["next"] = local_path(request.GET.get("next", ""), f"{request.script_name}/")


@away.get(validators=(_next, client))
def get_away(request: Request) -> Response:
    """Send the browser to the provider."""
    provider = request.validated["client"]
    url, attempt = provider.begin(request.validated["next"])
    cookie = _serializer(request).dumps(attempt).decode()
    if len(cookie) > COOKIE_BYTES:
        url, attempt = provider.begin(f"{request.script_name}/")
        cookie = _serializer(request).dumps(attempt).decode()
    response = HTTPSeeOther(url)
    _make_room(request, response, len(cookie))
    _set(request, response, _name(request, attempt.state), cookie, ATTEMPT_SECONDS)
    return response


def _make_room(request: Request, response: Response, size: int) -> None:
    """Delete unreadable attempts and the oldest ones until the cookies leave room for one of ``size`` bytes."""
    attempts = [(name, value, _read(request, value)) for name, value in request.cookies.items() if name.startswith(_name(request, ""))]
    attempts.sort(key=lambda each: each[2].expires_at if each[2] else 0, reverse=True)
    for name, value, attempt in attempts:
        size += len(name) + len(value)
        if attempt is None or size > COOKIES_BYTES:
            _set(request, response, name, "", 0)


@back.get(validators=(client, _attempt))
def get_back(request: Request) -> Response:
    """Open a browser session for the user that the provider asserts, and redirect to the page that required the sign-in."""
    registry, attempt, answer = request.shared, request.validated["attempt"], request.validated["answer"]
    provider = request.validated["client"]
    previous = request.cookies.get(cookie_name(request), "")
    _, cookie = request.services.accounts.login_with_provider(
        lambda: provider.finish(attempt, answer), attempt.state, request.remote_addr, previous
    )
    response = HTTPSeeOther(registry.settings.identity.audience + attempt.next)
    _set(request, response, cookie_name(request), cookie, registry.settings.identity.session_seconds)
    return response


def _name(request: Request, state: str) -> str:
    return f"{cookie_name(request)}-oidc-{state[:STATE_CHARACTERS]}"


def _serializer(request: Request) -> SignedSerializer:
    return SignedSerializer(request.shared.clients.secret, "oidc", serializer=_Attempts)


def _read(request: Request, value: str) -> Attempt | None:
    try:
        attempt: Attempt = _serializer(request).loads(value.encode())
    except (ValueError, zlib.error, msgspec.DecodeError):  # invalid signature, or a cookie of another version
        return None
    return attempt


def _set(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """Set a cookie with the attributes that ``__Host-`` requires; 0 seconds delete it."""
    secure = request.shared.secure
    response.set_cookie(name, value, max_age=seconds, secure=secure, httponly=True, samesite="Lax")
