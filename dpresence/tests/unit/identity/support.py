"""Helpers for tests of ID tokens."""

from __future__ import annotations

import pytest

from dpresence.errors import InvalidAssertion, NotAdmitted
from dpresence.tests.support import body_of

ALGORITHMS = ("RS256", "ES256", "EdDSA", "Ed25519")
KIDS = {"RS256": "rsa-1", "ES256": "ec-1", "EdDSA": "okp-1", "Ed25519": "okp-1"}
HOUR, DAY = 3600, 86400


def reason(verifier, token):
    """Return why a token is refused."""
    with pytest.raises(InvalidAssertion) as refused:
        verifier.verify(token)
    body, reason = body_of(refused.value), NotAdmitted.REASONS.get(refused.value.reason)
    if reason is None:
        assert body == {"result": "KO", "errno": 34, "error": "Invalid assertion"}
    else:
        assert body == {"result": "KO", "errno": 34, "error": f"Invalid assertion: {reason}", "details": refused.value.reason}
    return refused.value.reason
