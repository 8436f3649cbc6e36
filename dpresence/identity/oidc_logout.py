"""Logout tokens of OpenID Connect providers (OpenID Connect Back-Channel Logout 1.0, 2.6)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from ..clock import Clock
from ..errors import InvalidAssertion, InvalidLogout
from ..logouts import ProviderLogout
from ..model import digest_of
from .oidc import LEEWAY_SECONDS, LIFE_SECONDS, RECENT_SECONDS, Provider
from .oidc_tokens import audiences_of, parse_as

EVENT = "http://schemas.openid.net/event/backchannel-logout"
_Word = Annotated[str, Meta(min_length=1, max_length=255)]
_TYPES = ("jwt", "logout+jwt", "application/logout+jwt")
_STORED_SECONDS = LIFE_SECONDS + RECENT_SECONDS + 2 * LEEWAY_SECONDS
"""Seconds for which a logout is stored. The ID token of a sign-in in progress may be issued ``RECENT_SECONDS`` after the logout."""


class _LogoutClaims(msgspec.Struct):
    """The used claims of a logout token; times are seconds since the epoch. Older versions of the specification have no ``exp``."""

    iss: str
    aud: str | tuple[str, ...]
    iat: float
    jti: _Word
    events: dict[str, Any]
    exp: float | None = None
    nbf: float | None = None
    sub: str = ""
    sid: _Word | None = None
    nonce: Any = UNSET


def verify_logout(provider: Provider, text: str, clock: Clock) -> ProviderLogout:
    """Verify a logout token of a provider.

    :raises InvalidLogout: it is not valid.
    :raises BackendUnavailable: the provider's keys are not available at the moment.
    """
    try:
        claims = _check(provider, text)
    except InvalidAssertion as refused:
        raise InvalidLogout(refused.reason) from None
    now = clock.now()
    digest = digest_of(f"logout\n{claims.iss}\n{claims.jti}")
    return ProviderLogout(digest, claims.iss, claims.sid, claims.sub, now, now + _STORED_SECONDS * 1000)


def _check(provider: Provider, text: str) -> _LogoutClaims:
    token = parse_as(text, _LogoutClaims)
    if token.typ not in _TYPES:
        raise InvalidAssertion("type")
    claims, settings = provider.verified(token), provider.settings
    if not {settings.client_id, *settings.audiences} & set(audiences_of(claims)):
        raise InvalidAssertion("audience")
    provider.check_times(claims, claims.iat + LIFE_SECONDS if claims.exp is None else claims.exp)
    provider.check_recent(claims)
    if not isinstance(claims.events.get(EVENT), dict):
        raise InvalidAssertion("events")
    if claims.nonce is not UNSET:
        raise InvalidAssertion("nonce")
    if claims.sid is None and (settings.backchannel_logout_session_required or not claims.sub):
        raise InvalidAssertion("session" if settings.backchannel_logout_session_required else "subject")
    return claims
