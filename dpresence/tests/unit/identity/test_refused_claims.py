"""BrowserID bundles that are refused for what a user or an issuer has put into them."""

from __future__ import annotations

import time

import pytest
from browserid.supportdoc import DEFAULT_TRUSTED_SECONDARIES

from dpresence.errors import InvalidAssertion
from dpresence.identity import normalize_email
from dpresence.identity.browserid import BrowserIDVerifier
from dpresence.tests.browserid_support import (
    AUDIENCE,
    EMAIL,
    GOOD,
    HOUR,
    ISSUER,
    MINUTE,
    assertion,
    bundle,
    certificate,
    issuer,
    key,
    verifier,
)
from dpresence.tests.support import EPOCH, FakeClock

from .bundles import refusal, with_certificate, with_claims, with_user_key

GOAL_SECONDS = 0.02


HOSTILE_KEYS = {
    "rsa of 14,000 bits": ({"algorithm": "RS", "n": str((1 << 13_999) + 1), "e": str((1 << 13_998) + 1)}, "RS256"),
    "rsa of 8,192 bits": ({"algorithm": "RS", "n": str((1 << 8_191) + 1), "e": "65537"}, "RS256"),
    "rsa with a huge exponent": ({"algorithm": "RS", "n": str((1 << 4_095) + 1), "e": str((1 << 4_094) + 1)}, "RS256"),
    "rsa of 1,024 bits": ({"algorithm": "RS", "n": str((1 << 1_023) + 1), "e": "65537"}, "RS256"),
    "rsa with exponent one": ({"algorithm": "RS", "n": str((1 << 2_047) + 1), "e": "1"}, "RS256"),
    "rsa of numbers": ({"algorithm": "RS", "n": (1 << 2_047) + 1, "e": 65537}, "RS256"),
    "rsa with underscores": ({"algorithm": "RS", "n": "1_" * 400 + "1", "e": "3"}, "RS256"),
    "rsa with arabic digits": ({"algorithm": "RS", "n": "\u0661" * 620, "e": "3"}, "RS256"),
    "rsa, negative": ({"algorithm": "RS", "n": f"-{(1 << 2_047) + 1}", "e": "3"}, "RS256"),
    "rsa under another name": ({"algorithm": "DS", "n": str((1 << 2_047) + 1), "e": "3"}, "RS256"),
    "dsa of 9,000 bits": ({"algorithm": "DS", "p": "f" * 2_250, "q": "f" * 40, "g": "2", "y": "3"}, "DS128"),
    "dsa with q as long as p": ({"algorithm": "DS", "p": "f" * 256, "q": "f" * 256, "g": "2", "y": "3"}, "DS128"),
    "dsa sizes of the other algorithm": ({"algorithm": "DS", "p": "f" * 256, "q": "f" * 40, "g": "2", "y": "3"}, "DS256"),
    "dsa with generator zero": ({"algorithm": "DS", "p": "f" * 256, "q": "f" * 40, "g": "0", "y": "3"}, "DS128"),
    "dsa under another name": ({"algorithm": "RS", "p": "f" * 256, "q": "f" * 40, "g": "2", "y": "3"}, "DS128"),
    "dsa with a prefix": ({"algorithm": "DS", "p": "0x" + "f" * 256, "q": "f" * 40, "g": "2", "y": "3"}, "DS128"),
    "no numbers": ({"algorithm": "RS"}, "RS256"),
    "a list": ([1, 2], "RS256"),
    "a string": ("RS", "DS256"),
}
COSTLY_KEYS = {
    "rsa of 4,096 even bits": ({"algorithm": "RS", "n": str((1 << 4_096) - 2), "e": "65537"}, "RS256"),
    "rsa of 4,096 odd bits": ({"algorithm": "RS", "n": str((1 << 4_096) - 1), "e": "65537"}, "RS256"),
    "dsa of composites": ({"algorithm": "DS", "p": "f" * 512, "q": "f" * 64, "g": "2", "y": "3"}, "DS256"),
    "dsa of even numbers": ({"algorithm": "DS", "p": "8" + "0" * 511, "q": "8" + "0" * 63, "g": "2", "y": "3"}, "DS256"),
    "dsa with y above p": ({"algorithm": "DS", "p": "f" * 512, "q": "f" * 64, "g": "2", "y": "f" * 600}, "DS256"),
    "dsa of 1,024 composite bits": ({"algorithm": "DS", "p": "f" * 256, "q": "f" * 40, "g": "2", "y": "3"}, "DS128"),
}


def timed(text: str) -> tuple[str, float]:
    started = time.process_time()
    why = refusal(text)
    return why, time.process_time() - started


@pytest.mark.parametrize("name", HOSTILE_KEYS)
def test_a_hostile_user_key_is_refused_and_costs_little(name: str) -> None:
    public, alg = HOSTILE_KEYS[name]
    why, seconds = timed(with_user_key(public, alg))
    print(f"{name}: {why}, {seconds * 1000:.2f} ms of CPU")
    assert why in ("key", "too_long", "malformed")
    assert seconds < 5 * GOAL_SECONDS


@pytest.mark.parametrize("name", COSTLY_KEYS)
def test_a_nonsense_key_of_allowed_size_verifies_nothing_and_costs_little(name: str) -> None:
    why, seconds = timed(with_user_key(*COSTLY_KEYS[name]))
    print(f"{name}: {why}, {seconds * 1000:.2f} ms of CPU")
    assert why == "signature"
    assert seconds < 5 * GOAL_SECONDS


def test_an_assertion_over_8_kib_is_refused_unread() -> None:
    assert refusal(bundle() + "A" * 8192) == "too_long"


@pytest.mark.parametrize(
    "audience",
    [
        "https://evil.example.org", "ftp://presence.example.org", "presence.example.org", AUDIENCE + ":443", AUDIENCE + "/",
        AUDIENCE + "\n", "https://PRESENCE.example.org", "*", "", [AUDIENCE], {"a": 1}, 1, True, None,
    ],
)  # fmt: skip
def test_an_assertion_for_another_audience_is_refused(audience: object) -> None:
    assert refusal(with_claims(aud=audience)) in ("audience", "malformed")


@pytest.mark.parametrize("pattern", ["*", "*example.org", "presence.example.org", "https://*.example.org"])
def test_the_configured_audience_is_no_pattern(pattern: str) -> None:
    with pytest.raises(InvalidAssertion, check=lambda refused: refused.reason == "audience"):
        verifier(audience=pattern).verify(bundle())


TOKENS = {"assertion": with_claims, "certificate": with_certificate}
LIFETIMES = {"assertion": 5 * MINUTE, "certificate": 24 * HOUR}


@pytest.mark.parametrize("which", TOKENS)
@pytest.mark.parametrize("exp", [EPOCH, EPOCH - 1, 0, -1, EPOCH // 1000])
def test_an_expired_token_is_refused(which: str, exp: int) -> None:
    assert refusal(TOKENS[which](exp=exp)) == "expired"


def test_a_bundle_expires_as_time_passes() -> None:
    clock = FakeClock()
    checked = verifier(clock=clock)
    clock.advance(119.999)
    assert checked.verify(bundle()) == GOOD
    clock.advance(0.001)
    assert refusal(bundle(), clock=clock) == "expired"


@pytest.mark.parametrize("which", TOKENS)
def test_a_token_may_not_outlast_what_its_role_allows(which: str) -> None:
    latest = EPOCH + LIFETIMES[which] + MINUTE
    assert verifier().verify(TOKENS[which](exp=latest)).email == EMAIL
    assert refusal(TOKENS[which](exp=latest + 1)) == "time"
    assert refusal(TOKENS[which](exp=EPOCH + 10 * 365 * 24 * HOUR)) == "time"


@pytest.mark.parametrize("which", TOKENS)
@pytest.mark.parametrize("exp", [float(EPOCH + MINUTE), 1e300, True, str(EPOCH + MINUTE), [EPOCH + MINUTE], {}, None])
def test_a_time_that_is_no_whole_number_is_refused(which: str, exp: object) -> None:
    assert refusal(TOKENS[which](exp=exp)) == "time"


@pytest.mark.parametrize("which", TOKENS)
@pytest.mark.parametrize("constant", [float("nan"), float("inf"), float("-inf")])
def test_a_token_that_never_expires_is_refused(which: str, constant: float) -> None:
    assert refusal(TOKENS[which](exp=constant)) == "malformed"


@pytest.mark.parametrize("which", TOKENS)
@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_token_from_the_future_is_refused(which: str, claim: str) -> None:
    assert verifier().verify(TOKENS[which](**{claim: EPOCH + MINUTE})) == GOOD
    assert refusal(TOKENS[which](**{claim: EPOCH + MINUTE + 1})) == "time"
    assert refusal(TOKENS[which](**{claim: "now"})) == "time"


def test_claims_a_user_adds_to_an_assertion_are_not_believed() -> None:
    extra = {"email": "root@example.org", "admin": True, "principal": 5, "iss": "evil.example", "sub": "root"}
    assert verifier().verify(with_claims(**extra)) == GOOD


def test_an_issuer_speaks_for_its_domains_only() -> None:
    for email in ("ceo@bank.example", "ann@sub.example.org", "ann@example.org.evil", "ann@org", f"ann@{ISSUER}"):
        assert refusal(with_certificate(principal={"email": email})) == "issuer"


def test_an_issuer_with_a_star_speaks_for_every_domain() -> None:
    assert (
        verifier(issuer(domains=frozenset({"*"}))).verify(with_certificate(principal={"email": "ceo@bank.example"})).email
        == "ceo@bank.example"
    )


def test_an_issuer_does_not_speak_for_the_domains_of_another() -> None:
    other = issuer(key("other"), name="login.other.example", domains=frozenset({"other.example"}))
    forged = certificate(by=key("other"), iss="login.other.example") + "~" + assertion()
    assert refusal(forged, issuer(), other) == "issuer"
    borrowed_name = certificate(by=key("other")) + "~" + assertion()
    assert refusal(borrowed_name, issuer(), other) == "signature"


@pytest.mark.parametrize("name", [*DEFAULT_TRUSTED_SECONDARIES, "example.org", "", ISSUER.upper(), "o", None, 1, [ISSUER], {"a": 1}, True])
def test_an_issuer_that_is_not_configured_is_refused(name: object) -> None:
    assert refusal(with_certificate(iss=name)) in ("issuer", "malformed")


def test_without_issuers_nobody_is_believed() -> None:
    with pytest.raises(InvalidAssertion, check=lambda refused: refused.reason == "issuer"):
        BrowserIDVerifier(AUDIENCE, (), FakeClock()).verify(bundle())


@pytest.mark.parametrize("domains", ["example.org", ("example.org",), ["example.org"]])
def test_domains_given_as_a_string_or_a_list_are_a_mistake(domains: object) -> None:
    with pytest.raises(TypeError, match="domains"):
        issuer(domains=domains)  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", [1024, 3072])
def test_an_issuer_key_of_another_size_is_not_taken(bits: int) -> None:
    with pytest.raises(ValueError, match="2048"):
        verifier(issuer(key("sized", bits=bits)))


@pytest.mark.parametrize(
    "email",
    [
        "ann@example.org\n", " ann@example.org", "ann@example.org ", "ann@b\u00fccher.org", "\u00e4nn@example.org", "ann", "ann@",
        "@example.org", "", "a@b@example.org", "ann@example.org:443", "ann@-example.org", "ann@example..org", "ann@example.org.",
        "ann smith@example.org", "ann\0@example.org", "ann\ud800@example.org", "a" * 65 + "@example.org", "ann@" + "a" * 64 + ".org",
        "ann@" + "a." * 125 + "org", 1, None, ["ann@example.org"], {},
    ],
)  # fmt: skip
def test_an_address_of_doubtful_form_is_refused(email: object) -> None:
    assert normalize_email(email) is None
    assert refusal(with_certificate(principal={"email": email}), issuer(domains=frozenset({"*"}))) == "email"


@pytest.mark.parametrize("principal", [None, EMAIL, [EMAIL], {"host": "example.org"}, 5])
def test_a_certificate_that_names_nobody_is_refused(principal: object) -> None:
    assert refusal(with_certificate(principal=principal)) == "email"
