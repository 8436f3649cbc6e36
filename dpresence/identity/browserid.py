"""BrowserID assertions, verified by PyBrowserID against configured issuers only (docs/protocol.md, section 2).

PyBrowserID determines the steps and decisions of the verification. Its hooks are overridden: they fetch nothing, trust no default
issuer, compare the audience as one exact string, and verify signatures with ``cryptography``. PyBrowserID's own arithmetic is pure
Python, holds the GIL, and accepts user keys of any size.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from browserid.errors import AudienceMismatchError, InvalidIssuerError, InvalidSignatureError, TrustError
from browserid.jwt import JWT
from browserid.supportdoc import SupportDocumentManager
from browserid.utils import decode_bytes, encode_bytes
from browserid.verifiers.local import LocalVerifier
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ..clock import Clock
from ..errors import InvalidAssertion
from ..model import Identity, digest_of
from . import Verifier, claimed_by, normalize_email
from .browserid_keys import ISSUER_BITS, Issuer, is_signed, rsa_key, user_key

MAX_CHARACTERS = 8192
SKEW_MS = 60_000

_log = logging.getLogger(__name__)
_REASONS = {AudienceMismatchError: "audience", InvalidSignatureError: "signature"}
_PARTS = re.compile(r"([\w-]{1,128})\.([\w-]{1,8000})\.([\w-]{1,700})", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Role:
    """The allowed values of one of the two tokens of a bundle; all claims other than ``claims`` are ignored."""

    algorithms: frozenset[str]
    claims: frozenset[str]
    lifetime_ms: int


_CERTIFICATE = _Role(frozenset({"RS256"}), frozenset({"iss", "exp", "iat", "nbf", "principal", "public-key"}), 24 * 3600 * 1000)
_ASSERTION = _Role(frozenset({"RS256", "DS128", "DS256"}), frozenset({"aud", "exp", "iat", "nbf"}), 5 * 60 * 1000)


class _Token(JWT):  # type: ignore[misc]
    """A token whose signature is verified by ``cryptography``."""

    def check_signature(self, key: Any) -> bool:
        """Verify the signature with an issuer's keys (a tuple, which JSON cannot represent) or the key in a certificate."""
        keys = key if isinstance(key, tuple) else (user_key(self.algorithm, key),)
        return any(is_signed(each, self.algorithm, self.signature, self.signed_data.encode("ascii")) for each in keys)


class _StaticKeys(SupportDocumentManager):  # type: ignore[misc]
    """The configured issuers' keys, in place of PyBrowserID's fetching and caching."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        super().__init__()
        self._keys = {issuer.name: tuple(rsa_key(key, ISSUER_BITS) for key in issuer.keys) for issuer in issuers}

    def get_key(self, hostname: str) -> tuple[RSAPublicKey, ...]:
        return self._keys[hostname]

    def fetch_support_document(self, hostname: str) -> NoReturn:
        raise InvalidIssuerError("support documents are never fetched")


class _BundleVerifier(LocalVerifier):  # type: ignore[misc]
    """PyBrowserID's verifier for one bundle whose tokens are already parsed."""

    def __init__(self, audience: str, issuers: Mapping[str, Issuer], keys: _StaticKeys, tokens: Mapping[str, _Token]) -> None:
        super().__init__(trusted_secondaries=(), supportdocs=keys)
        self._audience = audience
        self._issuers = issuers
        self._tokens = tokens

    def parse_jwt(self, data: str) -> _Token:
        return self._tokens[data]

    def check_audience(self, assertion: str, expected_audience: None = None) -> str:
        if self._tokens[assertion.rpartition("~")[2]].payload["aud"] != self._audience:
            raise AudienceMismatchError
        return self._audience

    def is_trusted_issuer(self, hostname: str, issuer: Any) -> bool:
        known = self._issuers.get(issuer) if isinstance(issuer, str) else None
        if known is None or not known.covers(hostname.lower()):
            raise InvalidAssertion("issuer")
        return True


@contextmanager
def _translated() -> Iterator[None]:
    """Translate every exception that an invalid bundle causes into ``InvalidAssertion``."""
    try:
        yield
    except InvalidAssertion:
        raise
    except (TrustError, ValueError, RecursionError) as error:
        raise InvalidAssertion(_REASONS.get(type(error), "malformed")) from None
    except Exception as error:
        _log.warning("unexpected %s while checking a BrowserID assertion", type(error).__name__)
        raise InvalidAssertion("unexpected") from error


class BrowserIDVerifier(Verifier):
    """Verifies BrowserID bundles ``certificate~assertion``, without certificate chains, delegation or fetching.

    :param audience: the origin that assertions must be made for, compared as a string.
    :param issuers: the only trusted issuers.
    :raises ValueError: an issuer's key is not an RS key of 2048 bits.
    """

    name = "browserid"

    def __init__(self, audience: str, issuers: Sequence[Issuer], clock: Clock) -> None:
        self._audience = audience
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._keys = _StaticKeys(issuers)
        self._clock = clock

    def accepts(self, assertion: str) -> bool:
        """Return whether an assertion has the form of a bundle."""
        return "~" in assertion

    def verify(self, assertion: str, for_device: bool = False) -> Identity:
        """Verify a bundle; the identity expires with the earlier of its two tokens.

        :raises InvalidAssertion: with ``reason`` one of too_long, malformed, algorithm, time, expired, audience, email,
            issuer, key, signature, or unexpected, which indicates a bug.
        """
        with _translated():
            tokens = _parse_bundle(assertion)
        claims = next(iter(tokens.values())).payload
        issuer, principal = claims.get("iss"), claims.get("principal")
        known = isinstance(issuer, str) and issuer in self._issuers
        with claimed_by(issuer if known else "another issuer", principal.get("email") if isinstance(principal, dict) else None):
            return self._verify(assertion, tokens)

    def digest(self, assertion: str) -> bytes:
        """Return ``replay_digest`` of a verified bundle."""
        return replay_digest(assertion)

    @_translated()
    def _verify(self, assertion: str, tokens: dict[str, _Token]) -> Identity:
        certificate, token = tokens.values()
        now = self._clock.now()
        expires_at = min(_expiry(certificate.payload, _CERTIFICATE, now), _expiry(token.payload, _ASSERTION, now))
        email = _email(certificate)
        result = _BundleVerifier(self._audience, self._issuers, self._keys, tokens).verify(assertion, now=now)
        return Identity(email=email, issuer=result["issuer"], subject=email, expires_at=expires_at)


def replay_digest(assertion: str) -> bytes:
    """Return 32 bytes that identify a verified bundle for single use, even if its signatures or certificate are re-encoded.

    The digest covers the signed text of the assertion and the e-mail address: two users may sign the same audience and expiry.

    :raises InvalidAssertion: the text is not a bundle.
    """
    try:
        certificate, token = _parse_bundle(assertion).values()
    except (ValueError, RecursionError):
        raise InvalidAssertion("malformed") from None
    return digest_of(f"{_email(certificate)}\n{token.signed_data}")


def _parse_bundle(bundle: Any) -> dict[str, _Token]:
    """Return the certificate and the assertion, in this order, keyed by their text; a single entry if both are equal.

    :raises InvalidAssertion: the bundle is too long or malformed, or an algorithm is not allowed for its token.
    :raises ValueError: a token is not JSON; RecursionError if it is nested too deeply.
    """
    if not isinstance(bundle, str):
        raise InvalidAssertion("malformed")
    if len(bundle) > MAX_CHARACTERS:
        raise InvalidAssertion("too_long")
    certificate, tilde, assertion = bundle.partition("~")
    if not tilde:  # tokens cannot contain a second tilde, see _PARTS
        raise InvalidAssertion("malformed")
    return {certificate: _parse_token(certificate, _CERTIFICATE), assertion: _parse_token(assertion, _ASSERTION)}


def _parse_token(text: str, role: _Role) -> _Token:
    match = _PARTS.fullmatch(text)
    if match is None:
        raise InvalidAssertion("malformed")
    raw = [decode_bytes(part) for part in match.groups()]
    if [encode_bytes(part) for part in raw] != list(match.groups()):  # refuses non-zero unused bits in a last character
        raise InvalidAssertion("malformed")
    header, payload = _json_object(raw[0]), _json_object(raw[1])
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in role.algorithms:
        raise InvalidAssertion("algorithm")
    return _Token(algorithm, {name: payload[name] for name in role.claims & payload.keys()}, raw[2], text.rpartition(".")[0])


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _json_object(raw: bytes) -> dict[str, Any]:
    value = _DECODER.decode(raw.decode("utf-8"))
    if not isinstance(value, dict):
        raise InvalidAssertion("malformed")
    return value


def _expiry(claims: Mapping[str, Any], role: _Role, now: int) -> int:
    """Validate the times of a token (integers in milliseconds, not expired, within the limits of its role) and return ``exp``."""
    latest = {"exp": now + role.lifetime_ms + SKEW_MS, "iat": now + SKEW_MS, "nbf": now + SKEW_MS}
    for name in latest.keys() & (claims.keys() | {"exp"}):
        if type(claims.get(name)) is not int or claims[name] > latest[name]:
            raise InvalidAssertion("time")
    expires_at: int = claims["exp"]
    if expires_at <= now:
        raise InvalidAssertion("expired")
    return expires_at


def _email(certificate: _Token) -> str:
    principal = certificate.payload.get("principal")
    email = normalize_email(principal.get("email")) if isinstance(principal, dict) else None
    if email is None:
        raise InvalidAssertion("email")
    return email
