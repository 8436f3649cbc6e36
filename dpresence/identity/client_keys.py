"""The key by which this service authenticates at a provider: ``private_key_jwt`` (RFC 7523; OpenID Connect Core 1.0, 9)."""

from __future__ import annotations

import json
import secrets
import warnings
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key

from ..clock import Clock
from ..errors import SettingError
from ..settings import ProviderSettings
from .oidc_tokens import REGISTRY

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 60
MIN_RSA_BITS = 2048
_ALLOWED = "must be a file with a private key as PEM or JWK: RSA of 2048 bits or more, P-256 or Ed25519"
_ALGORITHMS = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
_CURVES = {"EC": "P-256", "OKP": "Ed25519"}
_PUBLIC = ("kty", "crv", "n", "e", "x", "y")


class ClientKey:
    """A private key.

    :ivar kid: its id: that of the JWK, or its thumbprint (RFC 7638).
    """

    def __init__(self, key: Key, kid: str) -> None:
        self._key = key
        self.kid = kid
        self._algorithm = _ALGORITHMS[key.key_type]

    def public(self) -> dict[str, str]:
        """Return the public key as a JWK; without ``alg`` for Ed25519, as that has two names."""
        document = self._key.as_dict(private=False)
        found = {name: str(document[name]) for name in _PUBLIC if name in document} | {"kid": self.kid, "use": "sig"}
        return found if self._algorithm == "EdDSA" else {**found, "alg": self._algorithm}

    def sign(self, client_id: str, audience: str, clock: Clock, supported: tuple[str, ...] = ()) -> str:
        """Return a proof that this service is a client of a provider, for one use within a minute.

        :param audience: the provider.
        :param supported: the algorithms that the provider accepts; () if it does not say so. Ed25519 has two names.
        """
        name = "Ed25519" if self._algorithm == "EdDSA" and "Ed25519" in supported and "EdDSA" not in supported else self._algorithm
        now = clock.now() // 1000
        claims = {"iss": client_id, "sub": client_id, "aud": audience, "jti": secrets.token_urlsafe(16), "iat": now}
        return jwt.encode({"alg": name, "kid": self.kid}, {**claims, "exp": now + ASSERTION_SECONDS}, self._key, registry=REGISTRY)


def load_client_keys(settings: ProviderSettings) -> tuple[ClientKey, ...]:
    """Return the key that signs and the one that will replace it; fewer if they are not set.

    :raises SettingError: a file is unreadable or has no such key, or a key and a secret are set.
    """
    key, following, secret = settings.client_key_file, settings.next_client_key_file, settings.client_secret_file
    if key and secret:
        raise SettingError(f"oidc.{settings.name}.client_secret_file: must be empty if oidc.{settings.name}.client_key_file is set")
    if following and not key:
        raise SettingError(f"oidc.{settings.name}.client_key_file: must be set if oidc.{settings.name}.next_client_key_file is")
    files = {"client_key_file": key, "next_client_key_file": following}
    keys = tuple(_load(f"oidc.{settings.name}.{name}", file) for name, file in files.items() if file)
    if len({each.kid for each in keys}) < len(keys):
        raise SettingError(f"oidc.{settings.name}.next_client_key_file: must have another key id than oidc.{settings.name}.client_key_file")
    return keys


def _load(name: str, file: str) -> ClientKey:
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise SettingError(f"{name}: {_ALLOWED} ({error.strerror})") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of keys that are too short, which ``_fault`` refuses
            key, kid = _parse(data)
    except Exception:  # the libraries raise various exceptions for an invalid key, whose texts may contain a part of it
        raise SettingError(f"{name}: {_ALLOWED} (it is none)") from None
    reason = _fault(key)
    if reason:
        raise SettingError(f"{name}: {_ALLOWED} ({reason})")
    return ClientKey(key, kid or key.thumbprint())


def _parse(data: bytes) -> tuple[Key, str]:
    if not data.lstrip().startswith(b"{"):
        return _of_pem(data), ""
    document: dict[str, Any] = json.loads(data)
    kid = document.get("kid", "")
    if not isinstance(kid, str):
        raise JoseError("kid is not text")
    return import_key({name: value for name, value in document.items() if name in (*_PUBLIC, "d", "p", "q", "dp", "dq", "qi")}), kid


def _of_pem(data: bytes) -> Key:
    for kind in (RSAKey, ECKey, OKPKey):
        try:
            return kind.import_key(data)
        except (JoseError, ValueError, TypeError):
            continue
    raise JoseError("no key")


def _fault(key: Key) -> str:
    """Return why a key cannot be used, "" if it can."""
    if not key.is_private:
        return "it is a public key"
    if key.key_type == "RSA":
        bits = len(urlsafe_b64decode(str(key.as_dict(private=False)["n"]) + "==")) * 8
        return "" if bits >= MIN_RSA_BITS else f"it has {bits} bits"
    curve = key.as_dict(private=False)["crv"]
    return "" if curve == _CURVES.get(key.key_type) else f"its curve is {curve}"
