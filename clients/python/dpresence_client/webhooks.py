"""Webhooks of an application: the check of a request's signature (Standard Webhooks), and the message in it.

docs/protocol.md of dpresence, section 6, Webhooks, describes the messages.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import time
from hashlib import sha256
from typing import Any, Callable, Dict, Mapping, Union

from .errors import PresenceError

TOLERANCE_SECONDS = 300
_SECRET_PREFIX = "whsec_"  # noqa: S105 not a secret


class WebhookRefused(PresenceError):
    """A request is not one of the service: answer it with status 400."""


def verify_webhook(
    secret: str,
    headers: Mapping[str, str],
    body: Union[bytes, str],
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    now: Callable[[], float] = time.time,
) -> Dict[str, Any]:
    """Return the message of a request to a webhook: ``type``, ``timestamp`` and ``data``.

    :param secret: the text ``whsec_..`` that the service has shown.
    :param headers: headers of the request, with names in any case.
    :param body: the body as it was received, not parsed and encoded again.
    :param tolerance_seconds: maximum difference of the clocks, and so the time within which a copied request is accepted.
    :raises WebhookRefused: a header is missing, the signature is another one, or the request is too old.
    """
    received = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, timestamp = received["webhook-id"], received["webhook-timestamp"]
        signatures = received["webhook-signature"].split()
        age = abs(now() - int(timestamp))
    except (KeyError, ValueError):
        raise WebhookRefused("webhook-id, webhook-timestamp and webhook-signature: one is missing or wrong") from None
    if age > tolerance_seconds:
        raise WebhookRefused("webhook-timestamp: is too old or in the future")
    data = body.encode() if isinstance(body, str) else bytes(body)
    expected = _signature(secret, b".".join((message_id.encode(), timestamp.encode(), data)))
    if not any(hmac.compare_digest(expected, one.encode()) for one in signatures):
        raise WebhookRefused("webhook-signature: is not of this secret")
    message: Dict[str, Any] = json.loads(data)
    return message


def _signature(secret: str, signed: bytes) -> bytes:
    try:
        text = secret[len(_SECRET_PREFIX) :] if secret.startswith(_SECRET_PREFIX) else secret
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("secret: must be the text whsec_.. that the service has shown") from None
    return b"v1," + base64.b64encode(hmac.new(key, signed, sha256).digest())
