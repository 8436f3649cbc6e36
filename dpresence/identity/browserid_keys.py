"""Keys of BrowserID issuers and users, and the verification of signatures with them, by ``cryptography``."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.dsa import DSAParameterNumbers, DSAPublicKey, DSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from ..errors import InvalidAssertion, SettingError
from ..settings import BrowserIDSettings, IssuerSettings

ISSUER_BITS = (2048, 2048)
USER_BITS = (2048, 4096)

_log = logging.getLogger(__name__)
_DIGITS = {10: re.compile(r"[0-9]{1,1300}"), 16: re.compile(r"[0-9A-Fa-f]{1,600}")}
_EXPONENTS = (3, 17, 257, 65537)
_DSA = {"DS128": ((1024, 160), SHA1()), "DS256": ((2048, 256), SHA256())}  # noqa: S303 - the user's own algorithm, not the issuer's


@dataclass(frozen=True, slots=True)
class Issuer:
    """An identity provider and the mail domains whose addresses it may assert.

    :param name: its host name, as in certificates.
    :param keys: its public keys, ``{"algorithm": "RS", "n": "<decimal>", "e": "<decimal>"}``, 2048 bits; two during a key rollover.
    :param domains: mail domains in lower case; ``"*"`` for all.
    :raises TypeError: ``domains`` is not a frozenset; with a string, ``in`` would match substrings.
    """

    name: str
    keys: tuple[Mapping[str, str], ...]
    domains: frozenset[str]

    def __post_init__(self) -> None:
        if not isinstance(self.domains, frozenset):
            raise TypeError("domains: a frozenset of mail domains")

    def covers(self, domain: str) -> bool:
        """Return whether the issuer may assert addresses of a mail domain, given in lower case."""
        return domain in self.domains or "*" in self.domains


def load_issuers(settings: BrowserIDSettings) -> tuple[Issuer, ...]:
    """Read the key files of the configured issuers.

    :raises SettingError: a file does not contain a valid key; names the setting, the file and the allowed formats.
    """
    for issuer in settings.configured:
        if "*" in issuer.domains:
            _log.warning("browserid.%s.domains is *: this issuer may assert any e-mail address", issuer.name)
    return tuple(
        Issuer(issuer.name, tuple(_read_key(issuer, file) for file in issuer.keys), frozenset(issuer.domains))
        for issuer in settings.configured
    )


def _read_key(issuer: IssuerSettings, file: str) -> Mapping[str, str]:
    try:
        document = json.loads(Path(file).read_bytes())
        key = document.get("public-key", document)
        rsa_key(key, ISSUER_BITS)
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not that"
        raise SettingError(
            f"browserid.{issuer.name}.keys: file {issuer.keys.index(file) + 1} must be readable JSON with an RS public key of 2048 bits, "
            f'{{"algorithm":"RS","n":"..","e":".."}} or a support document that has it as "public-key" ({why})'
        ) from None
    return {name: key[name] for name in ("algorithm", "n", "e")}


def _number(key: Any, name: str, base: int) -> int:
    text = key.get(name) if isinstance(key, Mapping) else None
    if not isinstance(text, str) or _DIGITS[base].fullmatch(text) is None:
        raise ValueError(f"{name}: digits of base {base}")
    return int(text, base)


def rsa_key(key: Any, bits: tuple[int, int]) -> RSAPublicKey:
    """Return an RSA key in the form of BrowserID: ``{"algorithm": "RS", "n": "<decimal>", "e": "<decimal>"}``.

    :param bits: minimum and maximum length of the modulus.
    :raises ValueError: the key is not of that form and length.
    """
    n, e = _number(key, "n", 10), _number(key, "e", 10)
    if key.get("algorithm") != "RS" or not bits[0] <= n.bit_length() <= bits[1] or e not in _EXPONENTS:
        raise ValueError(f"an RS key of {bits[0]} to {bits[1]} bits")
    return RSAPublicNumbers(e, n).public_key()


def user_key(algorithm: str, key: Any) -> RSAPublicKey | DSAPublicKey:
    """Return the key in a user's certificate. Issuers certify any key, so its size is limited to bound the cost of verification.

    :raises InvalidAssertion: the key is malformed or does not fit the algorithm.
    """
    try:
        if algorithm == "RS256":
            return rsa_key(key, USER_BITS)
        p, q, g, y = (_number(key, name, 16) for name in "pqgy")
        if key.get("algorithm") != "DS" or (p.bit_length(), q.bit_length()) != _DSA[algorithm][0]:
            raise ValueError(f"a DS key of {_DSA[algorithm][0]} bits")
        return DSAPublicNumbers(y, DSAParameterNumbers(p, q, g)).public_key()
    except ValueError:
        raise InvalidAssertion("key") from None


def is_signed(key: RSAPublicKey | DSAPublicKey, algorithm: str, signature: bytes, signed: bytes) -> bool:
    """Return whether a signature of a token is valid; leading zeros of it may be missing, as some signers strip them."""
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature.rjust((key.key_size + 7) // 8, b"\0"), signed, PKCS1v15(), SHA256())
        else:
            (_, q_bits), digest = _DSA[algorithm]
            key.verify(_dss_signature(signature, q_bits // 8), signed, digest)
    except InvalidSignature:
        return False
    return True


def _dss_signature(signature: bytes, half: int) -> bytes:
    """Return ``r || s`` in DER; leading zeros may be missing."""
    if len(signature) > 2 * half:
        raise InvalidSignature
    return encode_dss_signature(int.from_bytes(signature[:-half], "big"), int.from_bytes(signature[-half:], "big"))
