"""BrowserID bundles that are refused for their signatures or their form."""

from __future__ import annotations

import string

import pytest
from browserid.utils import bundle_certs_and_assertion

from dpresence.tests.browserid_support import (
    EMAIL,
    HOUR,
    assertion,
    b64,
    bundle,
    certificate,
    key,
    token,
    unb64,
)
from dpresence.tests.support import EPOCH

from .bundles import USER_ALGORITHMS, refusal, with_certificate


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
def test_a_value_that_is_no_string_is_refused(value: object) -> None:
    assert refusal(value) == "malformed"
