"""What an OpenID Connect issuer publishes: its discovery document and its keys, fetched from the configured issuer and kept.

OpenID Connect Discovery 1.0 and RFC 7517. Only the first sign-in waits for the network: after it a greenlet fetches anew
every hour, and the last good answer serves for a day.
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
"""Seconds after which the keys are fetched anew."""
STALE_SECONDS = 24 * 3600
"""How long they serve while the issuer does not answer."""
ASK_SECONDS = 60
"""How often a key that is not known may cause a fetch."""
RETRY_SECONDS = 5
"""How often an issuer is tried of which nothing is known."""
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
    """An issuer's endpoint gave nothing usable; the text is for the log and holds nothing it sent."""


@contextmanager
def deadline() -> Iterator[None]:
    """Bound all that is fetched within, where sockets are cooperative.

    :raises FetchFailed: the time is over.
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
    """HTTP to the endpoints of one issuer: no redirect, proxy or cookie; time, size and number have a bound.

    Certificates are checked against the system's store.

    :param allow_private: whether any address will do, and http on loopback.
    :param is_public: says whether an address is one of the open internet.
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
        """Return status and body; call it within ``deadline``.

        :param options: of ``requests``: ``headers``, ``data``, ``auth``.
        :raises FetchFailed: there is no answer, it is too large, or the endpoint may not be asked.
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
        """Return the JSON document behind an URL; call it within ``deadline``.

        :raises FetchFailed: see ``request``; also when it is anything but a 200 of that kind.
        """
        status, body = self.request("GET", url, **options)
        if status != 200:
            raise FetchFailed(f"status {status}")
        return decode(body, kind)

    def check(self, url: str) -> None:
        """Refuse an endpoint that is not https.

        :raises FetchFailed: it is none.
        """
        try:
            parts = urlsplit(url)
        except ValueError:
            raise FetchFailed("an endpoint is no URL") from None
        loopback = self._allow_private and parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS
        if "@" in parts.netloc or not parts.hostname or (parts.scheme != "https" and not loopback):
            raise FetchFailed("an endpoint is not https")

    def _check_addresses(self, url: str) -> None:
        """Refuse a name with an address that is not public; should it change until the connection, TLS refuses the other host."""
        if self._allow_private:
            return
        parts = urlsplit(url)
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
        if not all(self._is_public(str(each[4][0])) for each in found):
            raise FetchFailed("an endpoint is at a private address")


class _SystemTrust(HTTPAdapter):
    """Checks certificates against the system's store, which is read once and not for each connection."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=ssl.create_default_context())

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"


def decode(body: bytes, kind: type[T]) -> T:
    """Return a JSON document as a struct.

    :raises FetchFailed: it is none.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FetchFailed("the answer is not the JSON it should be") from None


class Discovery(msgspec.Struct, frozen=True):
    """What is used of an issuer's ``/.well-known/openid-configuration``."""

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
    """One good answer of an issuer.

    :ivar keys: (kid or None, algorithm, key): each under every algorithm it may be used with here.
    :ivar at: when it came, ``Clock.monotonic``.
    """

    discovery: Discovery
    keys: tuple[tuple[str | None, str, Key], ...]
    at: float

    def key(self, kid: str | None, algorithm: str) -> Key | None:
        """Return the key of a header; one without ``kid`` names the only key of its algorithm."""
        found = [key for name, kind, key in self.keys if kind == algorithm and kid in (None, name)]
        return found[0] if len(found) == 1 or (found and kid is not None) else None


class ProviderKeys:
    """What one issuer publishes, kept and renewed.

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
        """Return the last good answer, at most a day old; it is waited for only where there is none.

        :raises BackendUnavailable: the issuer does not answer.
        """
        if self._usable() is None:
            self._fetch(lambda: self._usable() is None and self._clock.monotonic() >= self._not_before)
        published = self._usable()
        if published is None:
            raise BackendUnavailable("the identity provider does not answer", retry_after=RETRY_SECONDS)
        return published

    def key(self, kid: str | None, algorithm: str) -> Key:
        """Return the key of a token's header; one that is not known is asked for once a minute at most.

        :raises InvalidAssertion: there is no such key.
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
        """Fetch anew where the last fetch failed or is ``FRESH_SECONDS`` old; what there is stays when that fails."""
        self._fetch(lambda: not self._fresh() and self._clock.monotonic() >= self._not_before)

    def _fresh(self) -> bool:
        return self.reached and self._published is not None and self._clock.monotonic() < self._published.at + FRESH_SECONDS

    def _usable(self) -> Published | None:
        published = self._published
        return published if published and self._clock.monotonic() < published.at + STALE_SECONDS else None

    def _fetch(self, wanted: Callable[[], bool], pause: float = 0) -> None:
        """Fetch if it is still wanted once nobody else does.

        :param pause: seconds for which no unknown key causes another fetch.
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
        self._fetcher.check(discovery.authorization_endpoint)  # the only one that is not asked but shown
        documents = self._fetcher.get(discovery.jwks_uri, _KeySet).keys
        keys = tuple(key for document in documents for key in _keys(document, self._settings.algorithms))
        if not keys:
            raise FetchFailed(f"it has no key for {' '.join(self._settings.algorithms)}")
        return Published(discovery, keys, now)


def _keys(document: dict[str, Any], algorithms: tuple[str, ...]) -> Iterator[tuple[str | None, str, Key]]:
    """Yield what a JWK may be used for here; nothing of one that is of another kind or broken."""
    usable = [name for name in algorithms if document.items() >= _KINDS[name].items() and _is_for(document, name)]
    kid = document.get("kid")
    if not usable or not isinstance(kid, str | None):
        return
    try:
        if document["kty"] == "RSA" and not MODULUS_CHARACTERS[0] <= len(document["n"]) <= MODULUS_CHARACTERS[1]:
            return
        key = import_key({name: document[name] for name in _PUBLIC if name in document})
    except Exception:  # whatever the libraries make of a broken key
        return
    for name in usable:
        yield kid, name, key


def _is_for(document: dict[str, Any], algorithm: str) -> bool:
    """Return whether a JWK's own ``use`` and ``alg`` (RFC 7517, 4.2 and 4.4) allow an algorithm; EdDSA is Ed25519's old name."""
    alg = document.get("alg", algorithm)
    same = alg == algorithm or {alg, algorithm} == {"EdDSA", "Ed25519"} if isinstance(alg, str) else False
    return same and document.get("use", "sig") == "sig"
