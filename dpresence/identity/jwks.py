"""The discovery document and keys of an OpenID Connect issuer, fetched from the configured issuer and cached.

OpenID Connect Discovery 1.0 and RFC 7517. Only the first sign-in waits for the network. Afterwards ``ProviderKeys.renew`` refreshes
the cache in the background, and the last valid response is used for up to a day.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import urlsplit

import gevent
import msgspec
import requests
import urllib3
from gevent.lock import BoundedSemaphore
from joserfc.jwk import Key, import_key
from requests.adapters import HTTPAdapter

from ..clock import Clock
from ..errors import BackendUnavailable, InvalidAssertion
from ..settings import LOOPBACK_HOSTS, ProviderSettings

DEADLINE_SECONDS = 5.0
BODY_BYTES = 262_144
FRESH_SECONDS = 300
"""Seconds after which the keys are fetched again."""
STALE_SECONDS = 24 * 3600
"""Seconds for which cached keys are used while the issuer does not answer."""
ASK_SECONDS = 60
"""Minimum seconds between fetches that are caused by an unknown key."""
RETRY_SECONDS = 5
"""Minimum seconds between fetches after a failure."""
IN_FLIGHT = 20
MODULUS_CHARACTERS = (342, 1366)
"""2048 to 8192 bits, in base64url."""

T = TypeVar("T")

_log = logging.getLogger(__name__)
_KINDS = {
    "RS256": {"kty": "RSA"},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
    "Ed25519": {"kty": "OKP", "crv": "Ed25519"},
}
_PUBLIC = ("kty", "crv", "n", "e", "x", "y")


class FetchFailed(Exception):
    """An issuer's endpoint returned nothing usable; the message is for the log and contains no data from the endpoint."""


@contextmanager
def deadline() -> Iterator[None]:
    """Limit the total time of the requests in this context; requires cooperative sockets.

    :raises FetchFailed: the time has run out.
    """
    timeout = gevent.Timeout(DEADLINE_SECONDS)
    try:
        with timeout:
            yield
    except gevent.Timeout as expired:
        if expired is not timeout:
            raise
        raise FetchFailed("timeout") from None


class Fetcher:
    """An HTTP client for the endpoints of one issuer, without redirects, proxies and cookies; time, size and concurrency are limited.

    Certificates are verified against the system's trust store.

    :param allow_private: whether private addresses, and http on loopback, are allowed.
    :param is_public: returns whether an address is a public internet address.
    """

    def __init__(self, allow_private: bool, is_public: Callable[[str], bool]) -> None:
        self._allow_private = allow_private
        self._is_public = is_public
        self._in_flight = 0
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self._session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "dpresence"})
        self._session.mount("https://", _SystemTrust(pool_maxsize=IN_FLIGHT))

    def request(self, method: str, url: str, **options: Any) -> tuple[int, bytes]:
        """Return status and body; must be called within ``deadline``.

        :param options: options of ``requests``: ``headers``, ``data``, ``auth``.
        :raises FetchFailed: the request failed, the response is too large, or the endpoint is not allowed.
        """
        if self._in_flight >= IN_FLIGHT:
            raise FetchFailed("too many requests are in flight")
        self._in_flight += 1
        try:
            self.check(url)
            self._check_addresses(url)
            options |= {"timeout": DEADLINE_SECONDS, "allow_redirects": False, "stream": True}
            with self._session.request(method, url, **options) as response:
                body = response.raw.read(BODY_BYTES + 1)
                status = response.status_code
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise FetchFailed(type(error).__name__) from None
        finally:
            self._in_flight -= 1
        if len(body) > BODY_BYTES:
            raise FetchFailed("the answer is too large")
        return status, body

    def get(self, url: str, kind: type[T], **options: Any) -> T:
        """Return the JSON document at a URL; must be called within ``deadline``.

        :raises FetchFailed: see ``request``; also if the response is not a 200 with a document of that type.
        """
        status, body = self.request("GET", url, **options)
        if status != 200:
            raise FetchFailed(f"status {status}")
        return decode(body, kind)

    def check(self, url: str) -> None:
        """Refuse a URL that is not https.

        :raises FetchFailed: the URL is invalid or not https.
        """
        try:
            parts = urlsplit(url)
        except ValueError:
            raise FetchFailed("an endpoint is no URL") from None
        loopback = self._allow_private and parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS
        if "@" in parts.netloc or not parts.hostname or (parts.scheme != "https" and not loopback):
            raise FetchFailed("an endpoint is not https")

    def _check_addresses(self, url: str) -> None:
        """Refuse a host with a private address. If its address changes before the connection, TLS verification refuses the other host."""
        if self._allow_private:
            return
        parts = urlsplit(url)
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
        if not all(self._is_public(str(each[4][0])) for each in found):
            raise FetchFailed("an endpoint is at a private address")


class _SystemTrust(HTTPAdapter):
    """Verifies certificates against the system's trust store, which is loaded once instead of once per connection."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=ssl.create_default_context())

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"


def decode(body: bytes, kind: type[T]) -> T:
    """Decode a JSON document into a struct.

    :raises FetchFailed: the document is not JSON of that type.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FetchFailed("the answer is not the JSON it should be") from None


class Discovery(msgspec.Struct, frozen=True):
    """The fields used of an issuer's ``/.well-known/openid-configuration``."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] | None = None
    authorization_response_iss_parameter_supported: bool = False


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Published:
    """One valid response of an issuer.

    :ivar keys: (kid or None, algorithm, key), with one entry for each algorithm that a key may be used with.
    :ivar at: time of the response, by ``Clock.monotonic``.
    """

    discovery: Discovery
    keys: tuple[tuple[str | None, str, Key], ...]
    at: float

    def key(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key that a token's header names; a header without ``kid`` refers to the only key of its algorithm."""
        found = [key for name, kind, key in self.keys if kind == algorithm and kid in (None, name)]
        return found[0] if len(found) == 1 or (found and kid is not None) else None


class ProviderKeys:
    """A cache of the discovery document and keys of one issuer.

    :ivar reached: whether the last fetch succeeded; False before the first.
    """

    def __init__(self, settings: ProviderSettings, fetcher: Fetcher, clock: Clock) -> None:
        self._settings = settings
        self._fetcher = fetcher
        self._clock = clock
        self._lock = BoundedSemaphore()  # one fetch at a time
        self._published: Published | None = None
        self._not_before = 0.0
        self.reached = False

    def published(self) -> Published:
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
            self._fetch(lambda: self._clock.monotonic() >= self._not_before, pause=ASK_SECONDS)
            found = self.published().key(kid, algorithm)
        if found is None:
            raise InvalidAssertion("key")
        return found

    def renew(self) -> None:
        """Fetch again if the last fetch failed or is ``FRESH_SECONDS`` old; a failed fetch does not discard the cached response."""
        self._fetch(lambda: not self._fresh() and self._clock.monotonic() >= self._not_before)

    def _fresh(self) -> bool:
        return self.reached and self._published is not None and self._clock.monotonic() < self._published.at + FRESH_SECONDS

    def _usable(self) -> Published | None:
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
                with deadline():
                    self._published = self._load(now)
                self.reached = True
            except FetchFailed as failed:
                self.reached = False
                self._not_before = max(self._not_before, now + RETRY_SECONDS)
                _log.warning("oidc.%s: its keys could not be fetched: %s", self._settings.name, failed)

    def _load(self, now: float) -> Published:
        issuer = self._settings.issuer
        discovery = self._fetcher.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration", Discovery)
        if discovery.issuer != issuer:
            raise FetchFailed("its discovery document names another issuer")
        self._fetcher.check(discovery.authorization_endpoint)  # browsers are redirected to this one; ``request`` checks the others
        documents = self._fetcher.get(discovery.jwks_uri, _KeySet).keys
        keys = tuple(key for document in documents for key in _keys(document, self._settings.algorithms))
        if not keys:
            raise FetchFailed(f"it has no key for {' '.join(self._settings.algorithms)}")
        return Published(discovery, keys, now)


def _keys(document: dict[str, Any], algorithms: tuple[str, ...]) -> Iterator[tuple[str | None, str, Key]]:
    """Yield a JWK once for each algorithm it may be used with; yields nothing for an invalid key or one of another type."""
    usable = [name for name in algorithms if document.items() >= _KINDS[name].items() and _is_for(document, name)]
    kid = document.get("kid")
    if not usable or not isinstance(kid, str | None):
        return
    try:
        if document["kty"] == "RSA" and not MODULUS_CHARACTERS[0] <= len(document["n"]) <= MODULUS_CHARACTERS[1]:
            return
        key = import_key({name: document[name] for name in _PUBLIC if name in document})
    except Exception:  # the libraries raise various exceptions for an invalid key
        return
    for name in usable:
        yield kid, name, key


def _is_for(document: dict[str, Any], algorithm: str) -> bool:
    """Return whether a JWK's ``use`` and ``alg`` (RFC 7517, 4.2 and 4.4) allow an algorithm; EdDSA is the former name of Ed25519."""
    alg = document.get("alg", algorithm)
    same = alg == algorithm or {alg, algorithm} == {"EdDSA", "Ed25519"} if isinstance(alg, str) else False
    return same and document.get("use", "sig") == "sig"
