"""Browser sign-in at a provider: the code flow (OpenID Connect Core 1.0, 3.1) with PKCE (RFC 7636), state and nonce."""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus, urlencode

import msgspec

from ..clock import Clock
from ..errors import BackendUnavailable, Forbidden, InvalidAssertion, NotAdmitted, SettingError, SignInEnded, WrongValue
from ..logouts import ProviderLogout
from ..model import Identity, digest_of
from ..outbound import FetchFailed
from ..secret_files import create, others_may_access
from ..settings import Settings
from . import claimed_by
from .buttons import PLAIN, Button, load_button
from .client_keys import ASSERTION_TYPE, ClientKey, load_client_keys
from .jwks import Discovery
from .oidc import Provider
from .oidc_logout import verify_logout
from .oidc_tokens import Claims, Profile, parse
from .provider_client import decode

ATTEMPT_SECONDS = 600
SECRET_BYTES = 32

_log = logging.getLogger(__name__)
_WORD = re.compile(r"[a-z_]{1,64}")
_TOKEN_STATUSES = (200, *range(400, 500))  # 400 and 401 by RFC 6749, 5.2; some providers use others


class Attempt(msgspec.Struct, frozen=True):
    """A sign-in in progress, stored in a cookie of the browser until the provider redirects it back.

    :ivar verifier: the ``code_verifier`` of PKCE.
    :ivar next: path of this service to redirect to afterwards.
    :ivar expires_at: milliseconds since the epoch.
    """

    provider: str
    state: str
    nonce: str
    verifier: str
    next: str
    expires_at: int


class _Tokens(msgspec.Struct):
    id_token: str
    access_token: str = ""


class _TokenError(msgspec.Struct):
    error: str = ""


class OidcClient:
    """This service as a client of one provider.

    :param secret: client secret; empty for a public client, and with keys.
    :param home: public base URL of this service, which the provider redirects the browser to.
    :param keys: the key that signs proofs for the provider, and the one that will replace it.
    :ivar button: what the sign-in button looks like.
    """

    def __init__(
        self, provider: Provider, secret: str, home: str, clock: Clock, keys: Sequence[ClientKey] = (), button: Button = PLAIN
    ) -> None:
        self._provider = provider
        self._secret = secret
        self._keys = tuple(keys)
        self.button = button
        self._redirect = f"{home}/login/{provider.name}/callback"
        self._clock = clock
        self.name = provider.name
        self.title = provider.title

    @property
    def reached(self) -> bool:
        """True if the latest request to the provider for its keys succeeded."""
        return self._provider.keys.reached

    def public_keys(self) -> list[dict[str, str]]:
        """Return the public keys of this service as JWKs."""
        return [key.public() for key in self._keys]

    def renew(self) -> None:
        """Fetch the provider's keys if the last fetch failed or is some minutes old."""
        self._provider.keys.renew()

    def begin(self, next: str) -> tuple[str, Attempt]:
        """Return the provider's URL to redirect the browser to, and the attempt to store in the browser.

        :raises BackendUnavailable: the provider does not answer.
        """
        endpoint = self._provider.keys.published().discovery.authorization_endpoint
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        query = {
            "response_type": "code",
            "client_id": self._provider.settings.client_id,
            "redirect_uri": self._redirect,
            "scope": "openid email",
            "state": state,
            "nonce": nonce,
            "code_challenge": urlsafe_b64encode(digest_of(verifier)).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        attempt = Attempt(self.name, state, nonce, verifier, next, self._clock.now() + ATTEMPT_SECONDS * 1000)
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", attempt

    def check(self, attempt: Attempt | None, answer: Mapping[str, str]) -> Attempt:
        """Return the attempt if it belongs to this provider and this state and has not expired.

        :param answer: query parameters of the provider's redirect.
        :raises Forbidden: it does not, or it has expired.
        :raises SignInEnded: the same, and the provider ended the sign-in. Some providers omit the state then.
        """
        state = answer.get("state", "")
        if not state and "error" in answer:
            raise SignInEnded(_word(answer["error"]), self.name)
        if attempt is None or attempt.provider != self.name or attempt.expires_at <= self._clock.now():
            raise Forbidden("the sign-in was not started in this browser, or it has expired")
        if not hmac.compare_digest(attempt.state.encode(), state.encode()):
            raise Forbidden("state: does not belong to this sign-in")
        return attempt

    def finish(self, attempt: Attempt, answer: Mapping[str, str]) -> Identity:
        """Complete a sign-in and return the verified identity.

        :param attempt: an attempt that ``check`` has returned.
        :param answer: query parameters of the provider's redirect.
        :raises InvalidAssertion: the provider refused the sign-in, or its token is invalid; or NotAdmitted.
        :raises WrongValue: the code is missing.
        :raises BackendUnavailable: the provider does not answer.
        """
        with claimed_by(self.name):
            claims, profile = self._ask(attempt, answer)
        with claimed_by(self.name, profile.email):
            return self._provider.identity(claims, profile, attempt.expires_at - ATTEMPT_SECONDS * 1000)

    def verify_logout(self, token: str) -> ProviderLogout:
        """Verify a logout token of this provider; see ``oidc_logout.verify_logout``."""
        return verify_logout(self._provider, token, self._clock)

    def _ask(self, attempt: Attempt, answer: Mapping[str, str]) -> tuple[Claims, Claims | Profile]:
        """Return the claims of the ID token, and the source of the e-mail address."""
        discovery = self._provider.keys.published().discovery
        self._check_issuer(discovery, answer.get("iss"))
        if "error" in answer:
            raise SignInEnded(_word(answer["error"]))
        if not answer.get("code"):
            raise WrongValue("code: is missing")
        try:
            with self._provider.client.deadline():
                tokens = self._redeem(discovery, attempt, answer["code"])
                token = parse(tokens.id_token)
                claims = self._provider.check(token, attempt.nonce)
                return claims, claims if claims.email is not None else self._userinfo(discovery, tokens.access_token, claims)
        except FetchFailed as failed:
            _log.warning("oidc.%s: a sign-in failed: %s", self.name, failed)
            raise BackendUnavailable("the identity provider does not answer") from None

    def _check_issuer(self, discovery: Discovery, issuer: str | None) -> None:
        """Refuse a redirect that names another issuer (RFC 9207)."""
        if issuer != discovery.issuer and (issuer is not None or discovery.authorization_response_iss_parameter_supported):
            raise InvalidAssertion("issuer")

    def _redeem(self, discovery: Discovery, attempt: Attempt, code: str) -> _Tokens:
        """Exchange the code for tokens (RFC 6749, 4.1.3)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "code_verifier": attempt.verifier,
        }
        headers = self._authenticate(discovery, form)
        response = self._provider.client.post(discovery.token_endpoint, form, headers, _TOKEN_STATUSES)
        if response.status == 200:
            return decode(response, _Tokens)
        error = decode(response, _TokenError).error
        if error == "invalid_grant":
            raise InvalidAssertion("code")
        raise FetchFailed("status", f"status {response.status} {_word(error)}", response.where)

    def _authenticate(self, discovery: Discovery, form: dict[str, str]) -> dict[str, str]:
        """Add the client's credentials to the form, or return them as headers (RFC 6749, 2.3.1; RFC 7523, 2.2)."""
        client = self._provider.settings.client_id
        if self._keys:
            form |= {"client_id": client, "client_assertion_type": ASSERTION_TYPE, "client_assertion": self._proof(discovery)}
            return {}
        methods = discovery.token_endpoint_auth_methods_supported or ("client_secret_basic",)
        if self._secret and ("client_secret_basic" in methods or "client_secret_post" not in methods):
            pair = f"{quote_plus(client)}:{quote_plus(self._secret)}"
            return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        form["client_id"] = client
        if self._secret:
            form["client_secret"] = self._secret
        return {}

    def _proof(self, discovery: Discovery) -> str:
        settings = self._provider.settings
        audience = discovery.issuer if settings.client_key_audience == "issuer" else discovery.token_endpoint
        return self._keys[0].sign(settings.client_id, audience, self._clock, discovery.token_endpoint_auth_signing_alg_values_supported)

    def _userinfo(self, discovery: Discovery, access_token: str, claims: Claims) -> Profile:
        """Request the e-mail address (OpenID Connect Core 1.0, 5.3); the response must have the same subject as the token."""
        if not discovery.userinfo_endpoint or not access_token:
            raise NotAdmitted("email")
        profile = self._provider.client.get(discovery.userinfo_endpoint, Profile, access_token)
        if profile.sub != claims.sub:
            raise InvalidAssertion("subject")
        return profile


def _word(text: str) -> str:
    """Return an OAuth error code for the log; any other text is replaced."""
    return text if _WORD.fullmatch(text) else "an unknown error"


@dataclass(frozen=True, slots=True)
class Clients:
    """The clients for signing in at a provider.

    :ivar providers: the clients by name, in the order of the ini.
    :ivar secret: key that signs the attempt stored in the browser; empty without a provider.
    """

    providers: Mapping[str, OidcClient]
    secret: bytes


def load_clients(settings: Settings, providers: Sequence[Provider], clock: Clock) -> Clients:
    """Return the clients of the providers.

    :raises SettingError: a secret is unreadable or invalid.
    """
    clients = {each.name: _load_client(each, settings.identity.home, clock) for each in providers}
    return Clients(clients, load_secret(settings) if clients else b"")


def _load_client(provider: Provider, home: str, clock: Clock) -> OidcClient:
    keys, button = load_client_keys(provider.settings), load_button(provider.settings)
    return OidcClient(provider, _client_secret(provider), home, clock, keys, button)


def _client_secret(provider: Provider) -> str:
    file = provider.settings.client_secret_file
    if not file:
        return ""
    reason: str | None = "it is empty"
    try:
        secret = Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        secret, reason = "", error.strerror
    except UnicodeDecodeError:
        secret, reason = "", "it is not UTF-8"
    if not secret:
        raise SettingError(f"oidc.{provider.name}.client_secret_file: must be a readable file that is not empty ({reason})")
    return secret


def load_secret(settings: Settings) -> bytes:
    """Return the secret of ``identity.secret_file``. With an SQLite database a missing file is created, readable by its owner only.

    :raises SettingError: the secret is missing or shorter than 32 bytes, or others can read it (``private.others_may_access``).
    """
    file = Path(settings.identity.secret_file)
    key = "identity.secret_file: must be"
    if settings.storage.directory_url.startswith("sqlite") and not file.exists():
        _make_secret(file)
    try:
        found, secret = file.stat(), file.read_bytes().strip()
    except OSError as error:
        raise SettingError(f"{key} a readable file of {SECRET_BYTES} random bytes or more ({error.strerror})") from None
    if others_may_access(found):
        raise SettingError(f"{key} readable by its owner alone, as after chmod 600")
    if len(secret) < SECRET_BYTES:
        raise SettingError(f"{key} {SECRET_BYTES} random bytes or more")
    return secret


def _make_secret(file: Path) -> None:
    try:
        with open(create(file), "w", encoding="ascii") as new:
            new.write(secrets.token_urlsafe(48))
    except OSError as error:
        raise SettingError(f"identity.secret_file: must be in a folder that can be written to ({error.strerror})") from None
    _log.info("created the file of identity.secret_file")
