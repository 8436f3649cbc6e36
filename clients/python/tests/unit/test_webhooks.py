"""The check of requests to a webhook, against the library of Standard Webhooks."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from standardwebhooks import Webhook

from dpresence_client import PresenceError, WebhookRefused, verify_webhook

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"type": "webhook.test", "timestamp": "2026-11-22T16:21:37Z", "data": {}}'
AT = 1795364497


def headers(*secrets: str, at: int = AT, **changed: str) -> dict[str, str]:
    moment = datetime.fromtimestamp(at, timezone.utc)
    signed = " ".join(Webhook(secret).sign("msg_1", moment, BODY) for secret in secrets)
    return {"Webhook-Id": "msg_1", "webhook-timestamp": str(at), "WEBHOOK-SIGNATURE": signed, **changed}


@pytest.mark.parametrize("body", [BODY, BODY.encode()])
@pytest.mark.parametrize("secrets", [(SECRET,), (OTHER, SECRET)])
def test_a_message_that_is_signed_with_the_secret_is_returned(body, secrets) -> None:
    assert verify_webhook(SECRET, headers(*secrets), body, now=lambda: AT + 299) == json.loads(BODY)


@pytest.mark.parametrize(
    ("given", "body"),
    [
        (headers(OTHER), BODY),
        (headers(SECRET), BODY + " "),
        (headers(SECRET, **{"Webhook-Id": "msg_2"}), BODY),
        (headers(SECRET, at=AT - 301), BODY),
        (headers(SECRET, at=AT + 301), BODY),
        (headers(SECRET, **{"webhook-timestamp": "now"}), BODY),
        (headers(SECRET, **{"webhook-timestamp": "9" * 400}), BODY),
        (headers(SECRET, **{"webhook-timestamp": "9" * 5000}), BODY),
        (headers(SECRET, **{"webhook-timestamp": f" +{AT}"}), BODY),
        (headers(SECRET, **{"webhook-timestamp": "\udcff"}), BODY),
        (headers(SECRET, **{"Webhook-Id": "msg_\udcff"}), BODY),
        (headers(SECRET, **{"WEBHOOK-SIGNATURE": "v1,\udcff"}), BODY),
        (headers(SECRET), BODY + "\udcff"),
        ({}, BODY),
        (headers(), BODY),
    ],
)
def test_any_other_request_is_refused(given, body) -> None:
    with pytest.raises(WebhookRefused) as refused:
        verify_webhook(SECRET, given, body, now=lambda: float(AT))
    assert isinstance(refused.value, PresenceError) and SECRET not in str(refused.value)


@pytest.mark.parametrize("secret", ["whsec_?", "whsec_ä", "whsec_", ""])
def test_a_secret_that_is_none_is_named(secret) -> None:
    with pytest.raises(ValueError, match="secret: must be the text"):
        verify_webhook(secret, headers(SECRET), BODY, now=lambda: AT)
