"""Helpers for tests of BrowserID bundles."""

from __future__ import annotations

import pytest

from dpresence.errors import InvalidAssertion
from dpresence.identity.browserid_keys import Issuer
from dpresence.tests.browserid_support import (
    assertion,
    b64,
    certificate,
    verifier,
)
from dpresence.tests.support import FakeClock

REASONS = {"too_long", "malformed", "algorithm", "time", "expired", "audience", "email", "issuer", "key", "signature"}
USER_ALGORITHMS = ["RS256", "DS128", "DS256"]


def refusal(text: object, *issuers: Issuer, clock: FakeClock | None = None) -> str:
    """Return why a verifier refuses ``text``; an unexpected error behind a refusal is a failure."""
    with pytest.raises(InvalidAssertion) as caught:
        verifier(*issuers, clock=clock).verify(text)  # type: ignore[arg-type]
    assert caught.value.reason in REASONS
    return caught.value.reason


def with_claims(**changes: object) -> str:
    return certificate() + "~" + assertion(**changes)


def with_certificate(**changes: object) -> str:
    return certificate(**changes) + "~" + assertion()


def with_user_key(public: object, alg: str = "RS256") -> str:
    """Return a bundle with any user key, as an issuer would sign it, and a signature of the right length."""
    signature = b64(b"\x11" * {"RS256": 256, "DS128": 40, "DS256": 64}[alg])
    text = assertion(header={"alg": alg}).rpartition(".")[0]
    return f"{certificate(user_key=public)}~{text}.{signature}"
