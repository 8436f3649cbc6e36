"""Makes BrowserID keys, tokens and bundles for the tests, good and bad; everything is signed by ``cryptography``."""

from __future__ import annotations

import base64
import functools
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from dpresence.identity.browserid import BrowserIDVerifier
from dpresence.identity.browserid_keys import Issuer
from dpresence.model import Identity
from dpresence.tests.support import EPOCH, FakeClock

AUDIENCE = "https://presence.example.org"
ISSUER = "login.example.org"
EMAIL = "ann@example.org"
MINUTE = 60_000
HOUR = 60 * MINUTE


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class RSKey:
    """An RSA key pair that signs as RS256."""

    alg = "RS256"

    def __init__(self, bits: int = 2048) -> None:
        self.private = rsa.generate_private_key(65537, bits)
        numbers = self.private.public_key().public_numbers()
        self.public = {"algorithm": "RS", "n": str(numbers.n), "e": str(numbers.e)}

    def sign(self, data: bytes) -> bytes:
        return self.private.sign(data, PKCS1v15(), SHA256())


class DSKey:
    """A DSA key pair that signs as DS128 (1024 bits) or DS256 (2048 bits)."""

    def __init__(self, alg: str) -> None:
        self.alg = alg
        bits, self.half, self.digest = {"DS128": (1024, 20, SHA1()), "DS256": (2048, 32, SHA256())}[alg]
        self.private = dsa.generate_private_key(bits)
        public = self.private.public_key().public_numbers()
        parameters = public.parameter_numbers
        values = {"p": parameters.p, "q": parameters.q, "g": parameters.g, "y": public.y}
        self.q = parameters.q
        self.public = {"algorithm": "DS"} | {name: format(value, "x") for name, value in values.items()}

    def sign(self, data: bytes) -> bytes:
        r, s = decode_dss_signature(self.private.sign(data, self.digest))
        return r.to_bytes(self.half, "big") + s.to_bytes(self.half, "big")


@functools.cache
def key(name: str, alg: str = "RS256", bits: int = 2048) -> Any:
    """Return the key of that name, made once per run."""
    return RSKey(bits) if alg == "RS256" else DSKey(alg)


def token(payload: Any, signer: Any, *, header: Any = None) -> str:
    """Return a signed token; ``payload`` and ``header`` may be bytes, to be sent as they are."""
    texts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header or {"alg": signer.alg}, payload)]
    signed = ".".join(b64(text) for text in texts)
    return f"{signed}.{b64(signer.sign(signed.encode()))}"


def certificate(*, by: Any = None, header: Any = None, user_key: Any = None, **changes: Any) -> str:
    """Return a good certificate with ``changes`` to its claims (``_`` stands for ``-``; None takes one out)."""
    claims = {
        "iss": ISSUER,
        "iat": EPOCH - HOUR,
        "exp": EPOCH + HOUR,
        "principal": {"email": EMAIL},
        "public-key": user_key if user_key is not None else key("user").public,
    }
    return token(changed(claims, changes), by or key("issuer"), header=header)


def assertion(*, by: Any = None, header: Any = None, **changes: Any) -> str:
    """Return a good assertion with ``changes`` to its claims."""
    return token(changed({"aud": AUDIENCE, "exp": EPOCH + 2 * MINUTE}, changes), by or key("user"), header=header)


def changed(claims: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = claims | {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in merged.items() if value is not None}


def bundle(alg: str = "RS256") -> str:
    """Return a good bundle whose assertion is signed with ``alg``."""
    user = key("user", alg)
    return certificate(user_key=user.public) + "~" + assertion(by=user)


def issuer(*keys: Any, name: str = ISSUER, domains: frozenset[str] = frozenset({"example.org"})) -> Issuer:
    return Issuer(name, tuple(each.public for each in keys or (key("issuer"),)), domains)


def verifier(*issuers: Issuer, clock: FakeClock | None = None, audience: str = AUDIENCE) -> BrowserIDVerifier:
    return BrowserIDVerifier(audience, issuers or (issuer(),), clock or FakeClock())


GOOD = Identity(email=EMAIL, issuer=ISSUER, subject=EMAIL, expires_at=EPOCH + 2 * MINUTE)
