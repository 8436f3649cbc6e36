"""Mutations of good BrowserID bundles."""

from __future__ import annotations

import json
import random
import string
import time

import pytest

from dpresence.errors import InvalidAssertion
from dpresence.model import Identity
from dpresence.tests.browserid_support import (
    EMAIL,
    ISSUER,
    MINUTE,
    assertion,
    b64,
    bundle,
    certificate,
    unb64,
    verifier,
)
from dpresence.tests.support import EPOCH

from .bundles import REASONS, USER_ALGORITHMS

pytestmark = pytest.mark.slow

GOAL_SECONDS = 0.02


def mutate(rng: random.Random, pool: list[str]) -> str:
    """Return one of the bundles with one to three edits of its text or of its JSON; no signature is ever renewed."""
    text = rng.choice(pool)
    for _ in range(rng.randint(1, 3)):
        text = rng.choice(EDITS)(rng, text, pool)
    return text


def flip(rng: random.Random, text: str, _: list[str]) -> str:
    at = rng.randrange(len(text))
    return text[:at] + rng.choice(string.ascii_letters + string.digits + "-_~.=+/ \n\0\u00e9") + text[at + 1 :]


def cut(rng: random.Random, text: str, _: list[str]) -> str:
    start = rng.randrange(len(text))
    return text[:start] + text[start + rng.choice([1, 1, 4, 50, 1000]) :] or "~"


def repeat(rng: random.Random, text: str, _: list[str]) -> str:
    start = rng.randrange(len(text))
    return text[:start] + text[start : start + rng.choice([1, 4, 50, 1000])] * 2 + text[start:]


def splice(rng: random.Random, text: str, pool: list[str]) -> str:
    parts, others = (each.replace("~", ".").split(".") for each in (text, rng.choice(pool)))
    at, source = rng.randrange(len(parts)), rng.randrange(len(others))
    parts[at] = others[source]
    return ".".join(parts[:3]) + "~" + ".".join(parts[3:])


ODD = [
    None,
    True,
    0,
    -1,
    1e308,
    2**70,
    "",
    "x" * 300,
    [],
    {},
    [[]],
    {"email": "root@example.org"},
    {"email": []},
    "\ud800",
    EPOCH * 10,
    "none",
    "DS128",
    "RS256",
]


def edit_json(rng: random.Random, text: str, _: list[str]) -> str:
    parts = text.replace("~", ".").split(".")
    at = rng.choice([each for each in range(len(parts)) if each % 3 != 2])
    try:
        claims = json.loads(unb64(parts[at]))
        claims[rng.choice([*claims, "email", "principal"])] = rng.choice(ODD)
    except (ValueError, TypeError):
        return text
    parts[at] = b64(json.dumps(claims).encode())
    return ".".join(parts[:3]) + "~" + ".".join(parts[3:])


EDITS = [flip, flip, cut, repeat, splice, edit_json, edit_json]


def test_twenty_thousand_mutations_let_nothing_pass_or_escape() -> None:
    rng, checked = random.Random(20_000), verifier()
    pool = [bundle(alg) for alg in USER_ALGORITHMS]
    reasons: dict[str, int] = {}
    worst = 0.0
    for _ in range(20_000):
        text = mutate(rng, pool)
        if text in pool:
            continue
        started = time.process_time()
        try:
            pytest.fail(f"{text!r} passed as {checked.verify(text)}")
        except InvalidAssertion as refused:
            worst = max(worst, time.process_time() - started)
            reasons[refused.reason] = reasons.get(refused.reason, 0) + 1
    print(f"worst {worst * 1000:.2f} ms of CPU, {reasons}")
    assert set(reasons) <= REASONS
    assert {"malformed", "signature", "time", "algorithm", "audience", "email", "issuer", "key"} <= set(reasons)
    assert sum(reasons.values()) > 19_000
    assert worst <= 5 * GOAL_SECONDS


def test_hostile_users_and_issuers_who_sign_their_nonsense_get_nothing_else() -> None:
    rng, checked = random.Random(1_000), verifier()
    accepted = 0
    for _ in range(1_000):
        claims = {rng.choice(["aud", "exp", "iat", "nbf", "principal", "sub", "email"]): rng.choice(ODD)}
        vouched = {rng.choice(["iss", "exp", "iat", "principal", "public_key", "sub"]): rng.choice(ODD)}
        text = certificate(**(vouched if rng.random() < 0.5 else {})) + "~" + assertion(**(claims if rng.random() < 0.7 else {}))
        try:
            identity = checked.verify(text)
        except InvalidAssertion as refused:
            assert refused.reason in REASONS
        else:
            accepted += 1
            assert isinstance(identity, Identity)
            assert (identity.issuer, identity.subject) == (ISSUER, identity.email)
            assert identity.email in (EMAIL, "root@example.org")
            assert EPOCH < identity.expires_at <= EPOCH + 6 * MINUTE
    assert 0 < accepted < 1_000
