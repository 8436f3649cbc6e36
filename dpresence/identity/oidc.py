"""OpenID Connect ID tokens of configured providers (docs/protocol.md, section 2; OpenID Connect Core 1.0, 3.1.3.7).

A token is a bearer credential. On a channel and in a REST header it may be used repeatedly until it expires, for devices that reconnect
and programs that make many calls. To open a browser session it may be used once, and only while it is recent.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterable, Sequence

from ..clock import Clock
from ..errors import InvalidAssertion, NotAdmitted
from ..logouts import provider_session
from ..model import Identity, digest_of
from ..settings import OidcSettings, ProviderSettings
from . import Verifier, claimed_by, normalize_email
from .jwks import ProviderKeys
from .oidc_tokens import FORM, C, Claims, CommonClaims, Profile, Token, audiences_of, parse, verified
from .provider_client import ProviderClient

LEEWAY_SECONDS = 60
RECENT_SECONDS = 600
"""Maximum age in seconds of a token that opens a browser session."""
SKEW_SECONDS = 5
"""Seconds by which the clock of a provider may be ahead without a token that it issued before a logout passing for a later one."""
LIFE_SECONDS = 24 * 3600
"""Maximum age in seconds of any token, regardless of its ``exp``."""

_log = logging.getLogger(__name__)


class Provider:
    """One configured provider: it verifies the provider's tokens and the mail domains that the provider may assert."""

    def __init__(self, settings: ProviderSettings, client: ProviderClient, clock: Clock) -> None:
        self.settings = settings
        self.client = client
        self.keys = ProviderKeys(settings, client, clock)
        self._clock = clock

    @property
    def name(self) -> str:
        """Name of the provider in the ini and in ``/login/<provider>``."""
        return self.settings.name

    @property
    def title(self) -> str:
        """Label of the provider's sign-in button."""
        return self.settings.title

    def check(self, token: Token[Claims], nonce: str | None = None, *, for_device: bool = False) -> Claims:
        """Verify everything except the e-mail address.

        :param nonce: nonce of the sign-in, which the token must contain unless ``nonce`` of the provider is off; None outside the code
            flow.
        :param for_device: the token is to open a device channel, for which tokens of other clients are also accepted.
        :raises InvalidAssertion: with ``reason`` one of algorithm, type, key, signature, issuer, audience, subject, time, expired,
            old, nonce.
        :raises BackendUnavailable: the provider's keys are not available at the moment.
        """
        # access tokens have typ at+jwt in the header (RFC 9068), or Bearer in the claims (Keycloak); logout tokens have events
        if token.typ != "jwt" or token.claims.typ == "Bearer" or token.claims.events is not None:
            raise InvalidAssertion("type")
        claims = self.verified(token)
        self._check_parties(claims, (self.settings.client_id, *(self.settings.audiences if for_device else ())))
        self.check_times(claims, claims.exp)
        if nonce is not None:
            if (self.settings.nonce or claims.nonce is not None) and not hmac.compare_digest((claims.nonce or "").encode(), nonce.encode()):
                raise InvalidAssertion("nonce")
            self.check_recent(claims)
        return claims

    def verified(self, token: Token[C]) -> C:
        """Verify the algorithm, the issuer and the signature of a token, and return its claims.

        :raises InvalidAssertion: with ``reason`` one of algorithm, issuer, key, signature, malformed; also BackendUnavailable.
        """
        header = token.header
        if header.alg not in self.settings.algorithms:
            raise InvalidAssertion("algorithm")
        if token.claims.iss != self.settings.issuer:
            raise InvalidAssertion("issuer")
        return verified(token, self.keys.key(header.kid, header.alg))

    def _check_parties(self, claims: Claims, clients: Sequence[str]) -> None:
        audiences = audiences_of(claims)
        accepted = [client for client in clients if client in audiences]
        if not accepted or (len(audiences) > 1 and claims.azp not in accepted):
            raise InvalidAssertion("audience")
        if not (0 < len(claims.sub) <= 255 and claims.sub.isascii() and claims.sub.isprintable()):
            raise InvalidAssertion("subject")

    def check_times(self, claims: CommonClaims, exp: float) -> None:
        """Check the times of a token.

        :raises InvalidAssertion: with ``reason`` one of time, expired, old.
        """
        now = self._clock.now() / 1000
        if max(claims.iat, claims.nbf or 0) > now + LEEWAY_SECONDS:
            raise InvalidAssertion("time")
        if exp + LEEWAY_SECONDS <= now:
            raise InvalidAssertion("expired")
        if claims.iat + LIFE_SECONDS + LEEWAY_SECONDS <= now:
            raise InvalidAssertion("old")

    def _is_verified(self, value: bool | str | None) -> bool:
        if value is None:
            return self.settings.email_verified_missing
        return value is True or (self.settings.email_verified_string and value == "true")

    def check_recent(self, claims: CommonClaims) -> None:
        """Refuse a token that is too old to open a browser session or to end one.

        :raises InvalidAssertion: with ``reason`` old.
        """
        if claims.iat + RECENT_SECONDS + LEEWAY_SECONDS <= self._clock.now() / 1000:
            raise InvalidAssertion("old")

    def identity(self, claims: Claims, profile: Claims | Profile, began_at: int | None = None) -> Identity:
        """Return the identity in a verified token; it expires when the token is no longer accepted.

        :param profile: source of the e-mail address: the claims, or the userinfo response.
        :param began_at: when the sign-in began, in milliseconds; None: when the token was issued.
        :raises NotAdmitted: with ``reason`` one of email, unverified, domain.
        """
        email = normalize_email(profile.email)
        if email is None:
            raise NotAdmitted("email")
        if not self._is_verified(profile.email_verified):
            raise NotAdmitted("unverified")
        domain = email.rpartition("@")[2]
        hosted = not self.settings.require_hd or (profile.hd or "").lower() == domain
        if not hosted or not {domain, "*"} & set(self.settings.domains):
            raise NotAdmitted("domain")
        ends = min(claims.exp, claims.iat + LIFE_SECONDS) + LEEWAY_SECONDS
        session = provider_session(claims.iss, claims.sid) if claims.sid is not None else None
        return Identity(
            email=email,
            issuer=claims.iss,
            subject=claims.sub,
            expires_at=int(ends * 1000),
            began_at=(int(claims.iat) - SKEW_SECONDS) * 1000 if began_at is None else began_at,
            provider_session=session,
        )


class OidcVerifier(Verifier):
    """Verifies ID tokens; the ``iss`` claim, compared exactly, selects the provider.

    :param providers: providers with distinct issuers.
    """

    name = "oidc"

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._providers = {provider.settings.issuer: provider for provider in providers}

    def accepts(self, assertion: str) -> bool:
        """Return whether an assertion has the form of a JWS in compact serialization."""
        return FORM.fullmatch(assertion) is not None

    def verify(self, assertion: str, for_device: bool = False) -> Identity:
        """Verify a token.

        :raises InvalidAssertion: with ``reason`` one of too_long, malformed, those of ``Provider.check`` and of ``Provider.identity``.
        :raises BackendUnavailable: the provider's keys are not available at the moment.
        """
        token = parse(assertion)
        provider = self._provider(token)
        with claimed_by(provider.name, token.claims.email):
            claims = provider.check(token, for_device=for_device)
            identity = provider.identity(claims, claims)
            if not provider.settings.nonce:
                raise NotAdmitted("direct")
            return identity

    def digest(self, assertion: str) -> bytes:
        """Return the digest of the signed part, as the signature has several valid encodings.

        :raises InvalidAssertion: the token is too old for single use.
        """
        token = parse(assertion)
        self._provider(token).check_recent(token.claims)
        return digest_of(assertion.rpartition(".")[0])

    def _provider(self, token: Token[Claims]) -> Provider:
        provider = self._providers.get(token.claims.iss)
        if provider is None:
            raise InvalidAssertion("issuer")
        return provider


def load_providers(settings: OidcSettings, clock: Clock) -> tuple[Provider, ...]:
    """Return the configured providers."""
    for each in settings.configured:
        if "*" in each.domains:
            _log.warning("oidc.%s.domains is *: this provider may assert any e-mail address", each.name)
    return tuple(Provider(each, ProviderClient(each.allow_private), clock) for each in settings.configured)
