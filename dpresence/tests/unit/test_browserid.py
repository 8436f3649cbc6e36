"""What an attacker would do to a BrowserID assertion, and the good ones that must pass."""

from __future__ import annotations

import json
import random
import socket
import string
import time
from pathlib import Path

import browserid.crypto
import browserid.jwt
import browserid.netutils
import pytest
from browserid.errors import InvalidIssuerError
from browserid.supportdoc import DEFAULT_TRUSTED_SECONDARIES
from browserid.utils import bundle_certs_and_assertion

from dpresence.errors import InvalidAssertion, SettingError
from dpresence.identity import normalize_email
from dpresence.identity.browserid import BrowserIDVerifier, replay_digest
from dpresence.identity.browserid_keys import Issuer, load_issuers
from dpresence.model import Identity
from dpresence.settings import BrowserIDSettings, IssuerSettings
from dpresence.tests.browserid_support import (
    AUDIENCE,
    EMAIL,
    GOOD,
    HOUR,
    ISSUER,
    MINUTE,
    assertion,
    b64,
    bundle,
    certificate,
    issuer,
    key,
    token,
    unb64,
    verifier,
)
from dpresence.tests.support import EPOCH, FakeClock

GOAL_SECONDS = 0.02
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


# Good ones


@pytest.mark.parametrize("alg", USER_ALGORITHMS)
def test_a_good_bundle_is_accepted(alg: str) -> None:
    assert verifier().verify(bundle(alg)) == GOOD


def test_only_bundles_are_taken_on() -> None:
    assert verifier().accepts(bundle())
    assert not verifier().accepts(assertion())


def test_the_identity_ends_with_the_earlier_token() -> None:
    short = certificate(exp=EPOCH + MINUTE) + "~" + assertion()
    assert verifier().verify(short).expires_at == EPOCH + MINUTE


def test_both_keys_of_an_issuer_that_changes_keys_are_good_and_a_third_is_not() -> None:
    both = issuer(key("issuer"), key("next issuer"))
    renewed = certificate(by=key("next issuer")) + "~" + assertion()
    assert verifier(both).verify(bundle()) == verifier(both).verify(renewed) == GOOD
    assert refusal(renewed) == "signature"
    assert refusal(certificate(by=key("other")) + "~" + assertion(), both) == "signature"


@pytest.mark.parametrize(("alg", "bits"), [*((alg, 2048) for alg in USER_ALGORITHMS), ("RS256", 2052)])
def test_a_signature_without_its_leading_zeros_is_good(alg: str, bits: int) -> None:
    user = key("user", alg, bits)
    for n in range(10_000):
        text = assertion(by=user, exp=EPOCH + MINUTE + n)
        signed, _, signature = text.rpartition(".")
        if unb64(signature)[0] == 0:
            break
    stripped = f"{certificate(user_key=user.public)}~{signed}.{b64(unb64(signature).lstrip(bytes(1)))}"
    assert verifier().verify(stripped).email == EMAIL


def test_the_domain_comes_back_in_lower_case() -> None:
    mixed = with_certificate(principal={"email": "Ann@Example.ORG"})
    assert verifier().verify(mixed).email == verifier().verify(mixed).subject == "Ann@example.org"


# What users may do to their own half


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


def test_what_a_user_adds_to_an_assertion_is_not_believed() -> None:
    extra = {"email": "root@example.org", "admin": True, "principal": 5, "iss": "evil.example", "sub": "root"}
    assert verifier().verify(with_claims(**extra)) == GOOD


# What issuers may not do


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


# Signatures and form


def test_a_token_signed_by_somebody_else_is_refused() -> None:
    assert refusal(certificate() + "~" + assertion(by=key("other"))) == "signature"
    assert refusal(certificate(by=key("other")) + "~" + assertion()) == "signature"


@pytest.mark.parametrize(
    "alg",
    ["none", "None", "", "RS64", "RS128", "DS128", "DS256", "HS256", "ES256", "RS256 ", "__class__", "../RS256", None, 1, ["RS256"], {}],
)
def test_a_certificate_is_signed_with_rs256_or_refused(alg: object) -> None:
    assert refusal(with_certificate(header={"alg": alg})) == "algorithm"


@pytest.mark.parametrize("alg", ["none", "RS64", "RS128", "HS256", "", "Key", None])
def test_an_assertion_without_an_allowed_algorithm_is_refused(alg: object) -> None:
    assert refusal(certificate() + "~" + assertion(header={"alg": alg})) == "algorithm"


def test_an_algorithm_that_is_not_the_keys_is_refused() -> None:
    assert refusal(certificate() + "~" + assertion(header={"alg": "DS256"})) == "key"
    assert refusal(certificate(user_key=key("user", "DS128").public) + "~" + assertion()) == "key"


def test_a_token_without_a_signature_is_refused() -> None:
    head, _, _ = bundle().rpartition(".")
    assert refusal(head) == refusal(head + ".") == "malformed"
    assert refusal(head + ".AAAA") == "signature"


def test_chains_and_the_old_json_bundle_are_refused() -> None:
    link = token({"iss": "x", "exp": EPOCH + HOUR, "principal": {"email": EMAIL}, "public-key": key("user").public}, key("user"))
    assert refusal(certificate() + "~" + link + "~" + assertion()) == "malformed"
    assert refusal(bundle_certs_and_assertion([certificate()], assertion(), new_style=False)) in ("malformed", "too_long")
    assert refusal(assertion()) == refusal("~" + assertion()) == refusal(certificate() + "~") == refusal("~") == "malformed"
    assert refusal(certificate() + "~" + certificate()) == "malformed"


@pytest.mark.parametrize("junk", ["!!!!", "\n", " ", "=", "==", "\r\n", "\0", "\u00e9", "+", "%2d"])
@pytest.mark.parametrize("part", range(6))
def test_base64_with_something_in_it_is_refused(junk: str, part: int) -> None:
    parts = bundle().replace("~", ".").split(".")
    for at in (0, len(parts[part]) // 2, len(parts[part])):
        dirty = [*parts[:part], parts[part][:at] + junk + parts[part][at:], *parts[part + 1 :]]
        assert refusal(".".join(dirty[:3]) + "~" + ".".join(dirty[3:])) == "malformed"


def test_base64_with_unused_bits_set_is_refused() -> None:
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    head, last = bundle()[:-1], bundle()[-1]
    twin = alphabet[alphabet.index(last) ^ 1]
    assert unb64(bundle().rpartition(".")[2]) == unb64((head + twin).rpartition(".")[2])
    assert refusal(head + twin) == "malformed"


def test_a_longer_signature_is_refused() -> None:
    for alg in USER_ALGORITHMS:
        head, _, signature = bundle(alg).rpartition(".")
        assert refusal(f"{head}.{b64(bytes(1) + unb64(signature))}") == "signature"


NOT_CLAIMS = [
    b"[" * 2000,
    b'{"a":' * 700,
    b"",
    b"[]",
    b"null",
    b'"x"',
    b"{",
    b"\xff\xfe",
    b'{"exp": NaN}',
    b'{"exp":1' + b"0" * 4400 + b"}",
    b"\x00",
]


@pytest.mark.parametrize("payload", NOT_CLAIMS)
def test_a_payload_that_is_no_plain_json_object_is_refused(payload: bytes) -> None:
    assert refusal(certificate() + "~" + token(payload, key("user"))) == "malformed"
    assert refusal(token(payload, key("issuer")) + "~" + assertion()) == "malformed"


@pytest.mark.parametrize("header", [header for header in NOT_CLAIMS if len(header) < 90])
def test_a_header_that_is_no_plain_json_object_is_refused(header: bytes) -> None:
    signed = f"{b64(header)}.{b64(b'{}')}"
    assert refusal(f"{certificate()}~{signed}.{b64(key('user').sign(signed.encode()))}") == "malformed"


@pytest.mark.parametrize("value", [None, 1, b"a~b", [], {}, ["a", "~"], bundle().encode()])
def test_what_is_no_string_is_refused(value: object) -> None:
    assert refusal(value) == "malformed"


# What is never reached


def test_pybrowserids_own_arithmetic_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def used(*_: object) -> bool:
        pytest.fail("PyBrowserID's own arithmetic was used")

    bundles = [bundle(alg) for alg in USER_ALGORITHMS]
    for place in ("RSKey", "DSKey"):
        monkeypatch.setattr(getattr(browserid.crypto, place), "verify", used)
        monkeypatch.setattr(getattr(browserid.crypto, place), "__init__", used)
    monkeypatch.setattr(browserid.jwt, "load_key", used)
    assert [verifier().verify(text) for text in bundles] == [GOOD] * 3
    assert refusal(certificate() + "~" + assertion(by=key("other"))) == "signature"


def test_no_address_is_ever_contacted(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object, **__: object) -> None:
        pytest.fail("a socket was opened")

    foreign = with_certificate(iss="localhost:8080", principal={"email": "x@localhost"})
    delegated = with_certificate(iss="idp.example", principal={"email": "x@delegates.example"})
    with_port = with_certificate(iss="169.254.169.254:80", principal={"email": "x@169.254.169.254:80"})
    good = bundle()
    monkeypatch.setattr(socket, "socket", opened)
    monkeypatch.setattr(socket, "getaddrinfo", opened)
    monkeypatch.setattr(browserid.netutils, "get", opened)
    assert verifier().verify(good) == GOOD
    assert refusal(foreign) == refusal(delegated) == "issuer"
    assert refusal(with_port) == "email"
    with pytest.raises(InvalidIssuerError):
        verifier()._keys.get_support_document("example.org")


def test_refusals_are_not_kept_and_do_not_grow() -> None:
    checked, unknown, depths = verifier(), with_certificate(iss="unknown.example"), []
    for _ in range(50):
        with pytest.raises(InvalidAssertion) as caught:
            checked.verify(unknown)
        depths.append(len(caught.traceback))
    assert len(set(depths)) == 1


# Single use


def test_an_assertion_has_one_digest_however_it_is_dressed() -> None:
    user = key("user", "DS128")
    signed_twice = (assertion(by=user), assertion(by=user))
    bundles = [f"{certificate(user_key=user.public, iat=EPOCH - n)}~{each}" for n in (1, 2) for each in signed_twice]
    assert len(set(bundles)) == 4
    assert {verifier().verify(each) for each in bundles} == {GOOD}
    assert len({replay_digest(each) for each in bundles}) == 1
    assert len(replay_digest(bundles[0])) == 32
    assert verifier().digest(bundles[0]) == replay_digest(bundles[0])


def test_two_assertions_have_two_digests_even_of_one_millisecond() -> None:
    bob = certificate(principal={"email": "bob@example.org"}) + "~" + assertion()
    assert len({replay_digest(each) for each in (bundle(), bob, with_claims(exp=EPOCH + 1))}) == 3


@pytest.mark.parametrize("text", ["", "~", "a~b", bundle() + "!", bundle().replace("~", "~~")])
def test_what_is_no_bundle_has_no_digest(text: str) -> None:
    with pytest.raises(InvalidAssertion):
        replay_digest(text)


# Fuzz


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


# Key files


def settings(*files: object, domains: tuple[str, ...] = ("example.org",)) -> BrowserIDSettings:
    return BrowserIDSettings((ISSUER,), (IssuerSettings(ISSUER, tuple(map(str, files)), domains),))


def test_key_files_are_read_bare_or_as_support_documents(tmp_path: Path) -> None:
    bare, document = tmp_path / "bare.json", tmp_path / "document.json"
    bare.write_text(json.dumps(key("issuer").public | {"comment": "2026"}))
    document.write_text(json.dumps({"public-key": key("next issuer").public, "authentication": "/sign_in", "provisioning": "/provision"}))
    assert load_issuers(settings(bare, document)) == (issuer(key("issuer"), key("next issuer")),)
    assert verifier(*load_issuers(settings(bare))).verify(bundle()) == GOOD
    assert load_issuers(BrowserIDSettings()) == ()


BAD_FILES = {
    "not JSON": lambda: "-----BEGIN PUBLIC KEY-----",
    "not UTF-8": lambda: b"\xff\xfe\x00",
    "a list": lambda: "[1]",
    "deep": lambda: "[" * 100_000,
    "empty": lambda: "",
    "no key": lambda: "{}",
    "a key that is none": lambda: '{"public-key": 5}',
    "no exponent": lambda: json.dumps({"algorithm": "RS", "n": key("issuer").public["n"]}),
    "numbers": lambda: json.dumps({"algorithm": "RS", "n": int(key("issuer").public["n"]), "e": 65537}),
    "DS": lambda: json.dumps(key("user", "DS256").public),
    "1024 bits": lambda: json.dumps(key("sized", bits=1024).public),
    "3072 bits": lambda: json.dumps(key("sized", bits=3072).public),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_key_file_stops_the_start_and_is_named(name: str, tmp_path: Path) -> None:
    content, file = BAD_FILES[name](), tmp_path / "issuer.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SettingError) as caught:
        load_issuers(settings(file))
    for word in (f"browserid.{ISSUER}.keys: file 1 must be", "RS", "2048 bits", "JSON"):
        assert word in str(caught.value)


def test_a_key_file_that_is_not_there_is_named_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=rf"browserid\.{ISSUER}\.keys: file 1 .*\(No such file or directory\)"):
        load_issuers(settings(tmp_path / "absent.json"))


@pytest.mark.parametrize(("domains", "warned"), [(("*",), True), (("example.org",), False)])
def test_an_issuer_for_every_domain_is_warned_about(
    domains: tuple[str, ...], warned: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "issuer.json"
    file.write_text(json.dumps(key("issuer").public))
    assert load_issuers(settings(file, domains=domains))[0].domains == frozenset(domains)
    assert [f"browserid.{ISSUER}.domains" in text for text in caplog.messages] == [True] * warned
