"""Webhooks of an application: the check of a request's signature (Standard Webhooks), and the message in it.

docs/protocol.md of dpresence, section 6, Webhooks, describes the messages.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import re
import time
from hashlib import sha256
from typing import Any, Callable, Dict, Mapping, Union

from .errors import PresenceError

TOLERANCE_SECONDS = 300
_SECRET_PREFIX = "whsec_"  # noqa: S105 not a secret
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


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
    :raises ValueError: the secret is none, for example empty.
    """
    received = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, timestamp = received["webhook-id"], received["webhook-timestamp"]
        signatures = [one.encode() for one in received["webhook-signature"].split()]
        age = abs(now() - _seconds(timestamp))
        data = body.encode() if isinstance(body, str) else bytes(body)
        signed = b".".join((message_id.encode(), timestamp.encode(), data))
    except (KeyError, ValueError):  # also of text that has no bytes
        raise WebhookRefused("webhook-id, webhook-timestamp and webhook-signature: one is missing or wrong") from None
    if age > tolerance_seconds:
        raise WebhookRefused("webhook-timestamp: is too old or in the future")
    expected = _signature(secret, signed)
    if not any(hmac.compare_digest(expected, one) for one in signatures):
        raise WebhookRefused("webhook-signature: is not of this secret")
    message: Dict[str, Any] = json.loads(data)
    return message


def _seconds(timestamp: str) -> int:
    if not _TIMESTAMP.fullmatch(timestamp):
        raise ValueError("not a number of seconds")
    return int(timestamp)


def _signature(secret: str, signed: bytes) -> bytes:
    return b"v1," + base64.b64encode(hmac.new(_key(secret), signed, sha256).digest())


def _key(secret: str) -> bytes:
    """Return the key of a secret, which is never empty: anybody can sign with an empty key."""
    text = secret[len(_SECRET_PREFIX) :] if secret.startswith(_SECRET_PREFIX) else secret
    with contextlib.suppress(ValueError):
        if key := base64.b64decode(text, validate=True):
            return key
    raise ValueError("secret: must be the text whsec_.. that the service has shown")
