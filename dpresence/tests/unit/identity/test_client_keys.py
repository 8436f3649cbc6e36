"""The key by which this service authenticates at a provider: files, proofs, and what stops the start."""

from __future__ import annotations

import json
import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jwt
from joserfc.jwk import import_key

from dpresence.errors import SettingError
from dpresence.identity.client_keys import load_client_keys
from dpresence.identity.oidc_tokens import REGISTRY
from dpresence.settings import ProviderSettings
from dpresence.tests.oidc_support import key

KINDS = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
FORMATS = {"pkcs8": PrivateFormat.PKCS8, "traditional": PrivateFormat.TraditionalOpenSSL}


def pem(private, form="pkcs8"):
    return private.private_bytes(Encoding.PEM, FORMATS[form], NoEncryption())


@pytest.fixture
def load(tmp_path):
    """Return a function that loads the keys in files with these contents."""

    def load(*contents, **changed):
        names = ("client_key_file", "next_client_key_file")
        files = {name: tmp_path / name for name, _ in zip(names, contents, strict=False)}
        for file, content in zip(files.values(), contents, strict=False):
            file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return load_client_keys(ProviderSettings("corp", **{name: str(file) for name, file in files.items()}, **changed))

    return load


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_may_be_pem_or_jwk_and_signs_with_its_algorithm(load, clock, kind):
    private = key(kind)
    loaded = [load(content)[0] for content in (private.as_pem(private=True), private.as_dict(private=True))]
    assert {each.kid for each in loaded} == {private.thumbprint()}
    for each in loaded:
        token = jwt.decode(each.sign("dpresence", "https://id.example.org/token", clock), import_key(each.public()), registry=REGISTRY)
        assert token.header == {"typ": "JWT", "alg": KINDS[kind], "kid": private.thumbprint()}
        claims, now = token.claims, clock.now() // 1000
        assert len(claims.pop("jti")) >= 22
        audience = {"iss": "dpresence", "sub": "dpresence", "aud": "https://id.example.org/token"}
        assert claims == {**audience, "iat": now, "exp": now + 60}


def test_a_published_key_has_no_private_part(load):
    for kind in KINDS:
        assert set(load(key(kind).as_pem(private=True))[0].public()) <= {"kty", "crv", "n", "e", "x", "y", "kid", "use", "alg"}


def test_a_traditional_pem_of_rsa_is_a_key_too(load):
    assert load(pem(rsa.generate_private_key(65537, 2048), "traditional"))[0].public()["alg"] == "RS256"


def test_a_jwk_keeps_its_key_id(load):
    assert load({**key("EC").as_dict(private=True), "kid": "2026-11"})[0].public()["kid"] == "2026-11"


def test_ed25519_has_the_name_that_the_provider_accepts(load, clock):
    signing = load(key("OKP").as_pem(private=True))[0]

    def name(*supported):
        return jwt.decode(signing.sign("x", "y", clock, supported), import_key(signing.public()), registry=REGISTRY).header["alg"]

    assert [name(), name("EdDSA", "Ed25519"), name("RS256", "Ed25519")] == ["EdDSA", "EdDSA", "Ed25519"]


def test_no_two_proofs_are_the_same(load, clock):
    signing = load(key("OKP").as_pem(private=True))[0]
    assert signing.sign("x", "y", clock) != signing.sign("x", "y", clock)


def test_the_next_key_is_published_and_signs_nothing(load):
    first, following = load(key("RSA").as_pem(private=True), key("EC").as_pem(private=True))
    assert (first.public()["alg"], following.public()["alg"]) == ("RS256", "ES256")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is none"),
        (b"a secret", "it is none"),
        (b"{", "it is none"),
        (b"\xff\xfe", "it is none"),
        ({"kty": "oct", "k": "c2VjcmV0"}, "it is none"),
        ({"kty": "RSA", "n": 7}, "it is none"),
        ({**key("EC").as_dict(private=True), "kid": 7}, "it is none"),
        (key("RSA").as_pem(private=False), "it is a public key"),
        (key("EC").as_dict(private=False), "it is a public key"),
        (pem(rsa.generate_private_key(65537, 1024)), "it has 1024 bits"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "its curve is P-384"),
    ],
)
def test_a_file_without_a_key_stops_the_start_and_its_content_is_not_shown(load, content, why):
    allowed = "must be a file with a private key as PEM or JWK: RSA of 2048 bits or more, P-256 or Ed25519"
    with pytest.raises(SettingError, match=rf"^oidc\.corp\.client_key_file: {allowed} \({why}\)$"):
        load(content)


def test_a_public_key_of_ssh_is_no_private_key(load):
    private = ed25519.Ed25519PrivateKey.generate()
    with pytest.raises(SettingError, match="it is a public key"):
        load(private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))


def test_a_missing_file_stops_the_start(tmp_path):
    with pytest.raises(SettingError, match=r"client_key_file: .* \(No such file or directory\)$"):
        load_client_keys(ProviderSettings("corp", client_key_file=str(tmp_path / "missing")))


def test_settings_that_do_not_go_together_stop_the_start(load, tmp_path):
    good = key("EC").as_pem(private=True)
    both = re.escape("oidc.corp.client_secret_file: must be empty if oidc.corp.client_key_file is set")
    with pytest.raises(SettingError, match=f"^{both}$"):
        load(good, client_secret_file="x")
    alone = re.escape("oidc.corp.client_key_file: must be set if oidc.corp.next_client_key_file is")
    with pytest.raises(SettingError, match=f"^{alone}$"):
        load_client_keys(ProviderSettings("corp", next_client_key_file="x"))
    same = re.escape("oidc.corp.next_client_key_file: must have another key id than oidc.corp.client_key_file")
    with pytest.raises(SettingError, match=f"^{same}$"):
        load(good, good)
