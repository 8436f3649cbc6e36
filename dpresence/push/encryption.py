"""Encryption of messages for browsers (RFC 8291)."""

from __future__ import annotations

from base64 import urlsafe_b64decode

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec

from ..errors import WrongValue

_POINT_BYTES, _SECRET_BYTES = 65, 16


def check_keys(p256dh: str, auth: str) -> None:
    """Check the public key and the secret of a browser, base64url.

    :raises WrongValue: one of them is none.
    """
    try:
        point = _decode(p256dh, _POINT_BYTES)
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise WrongValue("keys.p256dh: a point of P-256, uncompressed, in base64url") from None
    try:
        _decode(auth, _SECRET_BYTES)
    except ValueError:
        raise WrongValue("keys.auth: 16 bytes in base64url") from None


def encrypt(payload: bytes, p256dh: str, auth: str) -> bytes:
    """Return a body with the content encoding ``aes128gcm``, which only the browser can decrypt."""
    private = ec.generate_private_key(ec.SECP256R1())
    secret = _decode(auth, _SECRET_BYTES)
    body: bytes = http_ece.encrypt(payload, private_key=private, dh=_decode(p256dh, _POINT_BYTES), auth_secret=secret, version="aes128gcm")
    return body


def _decode(text: str, size: int) -> bytes:
    """Decode base64url with or without padding.

    :raises ValueError: it is none, or has another size.
    """
    found = urlsafe_b64decode(text.rstrip("=").encode("ascii") + b"==")
    if len(found) != size:
        raise ValueError("another size")
    return found
