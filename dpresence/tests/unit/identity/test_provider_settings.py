"""Settings of providers, client secrets, and the secret that signs sign-in attempts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dpresence import outbound
from dpresence.errors import SettingError
from dpresence.identity.oidc import load_providers
from dpresence.identity.oidc_client import load_clients
from dpresence.ini import load
from dpresence.settings import ProviderSettings
from dpresence.settings.catalog import keys
from dpresence.tests.oidc_support import CLIENT, trust

ROOT = Path(__file__).parents[4]


def ini(**changed):
    good = {
        "directory.url": "sqlite://",
        "identity.verifiers": "oidc",
        "oidc.providers": "corp",
        "oidc.corp.issuer": "https://id.example.org",
        "oidc.corp.client_id": CLIENT,
        "oidc.corp.domains": "Example.org",
    }
    merged = {**good, **{name.replace("__", "."): value for name, value in changed.items()}}
    return {name: value for name, value in merged.items() if value is not None}


def test_five_lines_make_a_provider():
    settings = load(ini(), "/srv/dpresence")
    assert settings.oidc.configured == (
        ProviderSettings("corp", issuer="https://id.example.org", client_id=CLIENT, domains=("example.org",), title="corp"),
    )
    assert settings.identity.secret_file == "/srv/dpresence/presence.secret"


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"oidc__providers": ""}, "oidc.corp.client_id"),
        ({"oidc__providers": "Corp"}, "oidc.providers"),
        ({"oidc__providers": "a/b"}, "oidc.providers"),
        ({"identity__verifiers": ""}, "identity.verifiers"),
        ({"oidc__corp__issuer": None}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "id.example.org"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "http://id.example.org"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "http://127.0.0.1:9"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "http://10.0.0.1", "oidc__corp__allow_private": "true"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "https://me@id.example.org"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "https://id.example.org?a=b"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "https://id.invalid"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "https://id.test/realm"}, "oidc.corp.issuer"),
        ({"oidc__corp__issuer": "https://id.localhost"}, "oidc.corp.issuer"),
        ({"oidc__corp__client_id": ""}, "oidc.corp.client_id"),
        ({"oidc__corp__domains": ""}, "oidc.corp.domains"),
        ({"oidc__corp__algorithms": ""}, "oidc.corp.algorithms"),
        ({"oidc__corp__algorithms": "RS256 none"}, "oidc.corp.algorithms"),
        ({"oidc__corp__algorithms": "HS256"}, "oidc.corp.algorithms"),
        ({"oidc__corp__verify": "false"}, "oidc.corp.verify"),
        ({"oidc__corp__nonce": "maybe"}, "oidc.corp.nonce"),
        ({"oidc__corp__color": "blue"}, "oidc.corp.color"),
        ({"oidc__corp__color": "#12345g"}, "oidc.corp.color"),
        ({"oidc__corp__client_key_audience": "me"}, "oidc.corp.client_key_audience"),
        ({"oidc__other__issuer": "https://other.example"}, "oidc.o….issuer"),
        ({"identity__development": "true"}, "identity.verifiers"),
    ],
    ids=str,
)
def test_a_wrong_setting_stops_the_start_and_is_named(changed, key):
    with pytest.raises(SettingError, match=f"^{re.escape(key)}( =|:) "):
        load(ini(**changed), "/srv")


def test_two_providers_cannot_have_one_issuer():
    twice = {f"oidc.two.{name}": ini()[f"oidc.corp.{name}"] for name in ("issuer", "client_id", "domains")}
    with pytest.raises(SettingError, match=r"^oidc\.corp\.issuer: "):
        load({**ini(oidc__providers="corp two"), **twice}, "/srv")


def test_loopback_may_be_plain_where_it_is_allowed():
    load(ini(oidc__corp__issuer="http://127.0.0.1:9000", oidc__corp__allow_private="true"), "/srv")


def test_settings_ini_and_docs_agree_on_the_keys_of_a_provider():
    fields = keys(ProviderSettings, "oidc.<provider>")
    docs = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(oidc\.<provider>\.\w+)` \| .* \| (.*) \|$", docs, re.MULTILINE))
    assert rows == {name: field.metadata["doc"] for name, field in fields.items()}
    shown = re.findall(r"^# oidc\.corp\.(\w+) =", (ROOT / "presence.ini").read_text(encoding="utf-8"), re.MULTILINE)
    assert [f"oidc.<provider>.{name}" for name in shown] == list(fields)


@pytest.fixture
def clients(clock, monkeypatch):
    """Return a function that loads the clients of an ini."""
    monkeypatch.setattr(outbound.ssl, "create_default_context", trust)

    def make(here, **changed):
        settings = load(ini(**changed), str(here))
        return load_clients(settings, load_providers(settings.oidc, clock), clock)

    return make


def test_the_secret_is_made_once_and_for_its_owner_alone(clients, tmp_path):
    first = clients(tmp_path).secret
    file = tmp_path / "presence.secret"
    assert len(first) >= 32 and first == clients(tmp_path).secret
    assert file.stat().st_mode & 0o777 == 0o600


def test_no_secret_is_made_without_a_provider(clients, tmp_path):
    nobody = {name.replace(".", "__"): None for name in ini() if name.startswith(("oidc", "identity"))}
    assert clients(tmp_path, **nobody).secret == b""
    assert list(tmp_path.iterdir()) == []


def test_a_secret_is_not_made_beside_another_database(clients, tmp_path):
    with pytest.raises(SettingError, match=r"^identity\.secret_file: must be a readable file of 32 random bytes"):
        clients(tmp_path, directory__url="postgresql://db.example.org/presence")
    (tmp_path / "presence.secret").write_bytes(b"x" * 32)
    (tmp_path / "presence.secret").chmod(0o400)
    assert clients(tmp_path, directory__url="postgresql://db.example.org/presence").secret == b"x" * 32


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [(b"x" * 31 + b"\n", 0o600, "32 random bytes or more"), (b"x" * 64, 0o640, "readable by its owner alone"), (b"x" * 64, 0o604, "alone")],
)
def test_a_secret_that_is_none_stops_the_start(clients, tmp_path, content, mode, why):
    file = tmp_path / "presence.secret"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(SettingError, match=why):
        clients(tmp_path)


def test_a_secret_that_cannot_be_written_stops_the_start(clients, tmp_path):
    with pytest.raises(SettingError, match=r"^identity\.secret_file: .*folder that can be written to"):
        clients(tmp_path, identity__secret_file=str(tmp_path / "nowhere" / "presence.secret"))


def test_a_client_secret_that_cannot_be_read_stops_the_start(clients, tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff")
    reasons = {"empty": "it is empty", "missing": "No such file or directory", "binary": "it is not UTF-8"}
    for file, reason in reasons.items():
        allowed = "must be a readable file that is not empty"
        with pytest.raises(SettingError, match=rf"^oidc\.corp\.client_secret_file: {allowed} \({reason}\)$"):
            clients(tmp_path, oidc__corp__client_secret_file=str(tmp_path / file))
