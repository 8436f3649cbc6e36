"""The discovery document and keys of an OpenID Connect issuer, fetched from the configured issuer and cached.

OpenID Connect Discovery 1.0 and RFC 7517. Only the first sign-in waits for the network. Afterwards ``ProviderKeys.renew`` refreshes
the cache in the background, and the last valid response is used for up to a day.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from gevent.lock import BoundedSemaphore
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import Key, KeySet, import_key

from ..clock import Clock
from ..errors import BackendUnavailable, InvalidAssertion
from ..outbound import LOGGED_CHARACTERS, FetchFailed
from ..settings import ProviderSettings
from .provider_client import ProviderClient

REFRESH_SECONDS = 300
"""Seconds after which the keys are fetched again."""
STALE_SECONDS = 24 * 3600
"""Seconds for which cached keys are used while the issuer does not answer."""
UNKNOWN_KEY_SECONDS = 60
"""Minimum seconds between fetches that are caused by an unknown key."""
RETRY_SECONDS = 5
"""Minimum seconds between fetches after a failure."""
MODULUS_CHARACTERS = (342, 1366)
"""2048 to 8192 bits, in base64url."""

_log = logging.getLogger(__name__)
_KINDS = {
    "RS256": {"kty": "RSA"},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
    "Ed25519": {"kty": "OKP", "crv": "Ed25519"},
}
_PUBLIC = ("kid", "kty", "crv", "n", "e", "x", "y")


class Discovery(msgspec.Struct, frozen=True):
    """The fields used of an issuer's ``/.well-known/openid-configuration``."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] | None = None
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...] = ()
    authorization_response_iss_parameter_supported: bool = False


class _Jwks(msgspec.Struct):
    keys: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ProviderDocuments:
    """Discovery document and keys of an issuer, as it has published them.

    :ivar keys: the keys by the algorithm that they may be used with.
    :ivar at: time of the response, by ``Clock.monotonic``.
    """

    discovery: Discovery
    keys: Mapping[str, KeySet]
    at: float

    def key(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key that a token's header names; a header without ``kid`` refers to the only key of its algorithm."""
        try:
            return self.keys[algorithm].get_by_kid(kid)
        except (KeyError, InvalidKeyIdError):
            return None


class ProviderKeys:
    """A cache of the discovery document and keys of one issuer.

    :ivar reached: whether the last fetch succeeded; False before the first.
    """

    def __init__(self, settings: ProviderSettings, client: ProviderClient, clock: Clock) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._lock = BoundedSemaphore()  # one fetch at a time
        self._published: ProviderDocuments | None = None
        self._not_before = 0.0
        self.reached = False

    def published(self) -> ProviderDocuments:
        """Return the last valid response, at most a day old; waits for a fetch only if there is none.

        :raises BackendUnavailable: the issuer does not answer.
        """
        if self._usable() is None:
            self._fetch(lambda: self._usable() is None and self._clock.monotonic() >= self._not_before)
        published = self._usable()
        if published is None:
            raise BackendUnavailable("the identity provider does not answer", retry_after=RETRY_SECONDS)
        return published

    def key(self, kid: str | None, algorithm: str) -> Key:
        """Return the key that a token's header names; an unknown key causes a fetch once a minute at most.

        :raises InvalidAssertion: the issuer has no such key.
        :raises BackendUnavailable: the issuer does not answer.
        """
        found = self.published().key(kid, algorithm)
        if found is None:
            self._fetch(lambda: self._clock.monotonic() >= self._not_before, pause=UNKNOWN_KEY_SECONDS)
            found = self.published().key(kid, algorithm)
        if found is None:
            raise InvalidAssertion("key")
        return found

    def renew(self) -> None:
        """Fetch again if the last fetch failed or is ``REFRESH_SECONDS`` old; a failed fetch does not discard the cached response."""
        self._fetch(lambda: not self._up_to_date() and self._clock.monotonic() >= self._not_before)

    def _up_to_date(self) -> bool:
        return self.reached and self._published is not None and self._clock.monotonic() < self._published.at + REFRESH_SECONDS

    def _usable(self) -> ProviderDocuments | None:
        published = self._published
        return published if published and self._clock.monotonic() < published.at + STALE_SECONDS else None

    def _fetch(self, wanted: Callable[[], bool], pause: float = 0) -> None:
        """Fetch unless a concurrent fetch has made it unnecessary.

        :param pause: seconds in which no unknown key causes another fetch.
        """
        with self._lock:
            if not wanted():
                return
            now = self._clock.monotonic()
            self._not_before = max(self._not_before, now + pause)
            try:
                with self._client.deadline():
                    self._published = self._load(now)
                self.reached = True
            except FetchFailed as failed:
                self.reached = False
                self._not_before = max(self._not_before, now + RETRY_SECONDS)
                _log.warning("oidc.%s: its keys could not be fetched: %s", self._settings.name, failed)

    def _load(self, now: float) -> ProviderDocuments:
        issuer = self._settings.issuer
        url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        discovery = self._client.get(url, Discovery)
        if discovery.issuer != issuer:
            raise FetchFailed("status", f"its discovery document names another issuer, {discovery.issuer[:LOGGED_CHARACTERS]!a}", url)
        self._client.check(discovery.authorization_endpoint)  # browsers are redirected to this one; requests check the others
        documents = self._client.get(discovery.jwks_uri, _Jwks).keys
        keys = _key_sets(documents, self._settings.algorithms)
        if not keys:
            raise FetchFailed(
                "status", f"it has no key for {' '.join(self._settings.algorithms)}", str(self._client.check(discovery.jwks_uri))
            )
        return ProviderDocuments(discovery, keys, now)


def _key_sets(documents: Sequence[dict[str, Any]], algorithms: tuple[str, ...]) -> dict[str, KeySet]:
    """Return the valid keys of a JWK set by the algorithm that they may be used with."""
    found: dict[str, list[Key]] = {}
    for document in documents:
        for algorithm, key in _keys(document, algorithms):
            found.setdefault(algorithm, []).append(key)
    return {algorithm: KeySet(keys) for algorithm, keys in found.items()}


def _keys(document: dict[str, Any], algorithms: tuple[str, ...]) -> Iterator[tuple[str, Key]]:
    """Yield a JWK once for each algorithm it may be used with; yields nothing for an invalid key or one of another type."""
    usable = [name for name in algorithms if document.items() >= _KINDS[name].items() and _is_for(document, name)]
    if not usable or not isinstance(document.get("kid"), str | None):
        return
    try:
        if document["kty"] == "RSA" and not MODULUS_CHARACTERS[0] <= len(document["n"]) <= MODULUS_CHARACTERS[1]:
            return
        key = import_key({name: document[name] for name in _PUBLIC if document.get(name) is not None})
    except Exception:  # the libraries raise various exceptions for an invalid key
        return
    for name in usable:
        yield name, key


def _is_for(document: dict[str, Any], algorithm: str) -> bool:
    """Return whether a JWK's ``use`` and ``alg`` (RFC 7517, 4.2 and 4.4) allow an algorithm; EdDSA is the former name of Ed25519."""
    alg = document.get("alg", algorithm)
    same = alg == algorithm or {alg, algorithm} == {"EdDSA", "Ed25519"} if isinstance(alg, str) else False
    return same and document.get("use", "sig") == "sig"
