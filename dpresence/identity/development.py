"""The development issuer: BrowserID assertions for any e-mail address (docs/protocol.md, section 8).

The views restrict access to it; this module only signs. It is imported only if ``identity.development`` is on.
"""

from __future__ import annotations

import secrets
from typing import Any

from browserid import jwt
from browserid.utils import bundle_certs_and_assertion
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from ..clock import Clock
from ..errors import WrongValue
from . import normalize_email
from .browserid_keys import Issuer

NAME = "dev.invalid"
CERTIFICATE_SECONDS = 3600
ASSERTION_SECONDS = 120


class RS256Key:
    """A new 2048-bit RSA key that exists in memory only; ``jwt.generate`` derives the algorithm from the class name."""

    def __init__(self) -> None:
        self._private = generate_private_key(65537, 2048)
        numbers = self._private.public_key().public_numbers()
        self.public = {"algorithm": "RS", "n": str(numbers.n), "e": str(numbers.e)}

    def sign(self, data: bytes) -> bytes:
        """Return the signature of ``data``, 256 bytes."""
        return self._private.sign(data, PKCS1v15(), SHA256())


class DevelopmentIssuer:
    """A BrowserID issuer named ``dev.invalid``, a domain that nobody can own, that asserts any e-mail address.

    :param audience: the origin that its assertions are made for.
    """

    def __init__(self, audience: str, clock: Clock) -> None:
        self._audience = audience
        self._clock = clock
        self._key = RS256Key()
        self._user_key = RS256Key()
        self.issuer = Issuer(NAME, (self._key.public,), frozenset({"*"}))

    def mint(self, email: Any) -> str:
        """Return a bundle of a certificate valid for 1 hour and an assertion valid for 2 minutes; every bundle is unique.

        :raises WrongValue: ``email`` is not an e-mail address.
        """
        address = normalize_email(email)
        if address is None:
            raise WrongValue("email: an e-mail address in ASCII, at most 254 characters")
        now = self._clock.now()
        certificate = {
            "iss": NAME,
            "iat": now,
            "exp": now + CERTIFICATE_SECONDS * 1000,
            "principal": {"email": address},
            "public-key": self._user_key.public,
        }
        # all users share one key here: without jti, two assertions of the same millisecond would be equal
        assertion = {"aud": self._audience, "exp": now + ASSERTION_SECONDS * 1000, "jti": secrets.token_urlsafe(12)}
        bundle: str = bundle_certs_and_assertion([jwt.generate(certificate, self._key)], jwt.generate(assertion, self._user_key))
        return bundle
