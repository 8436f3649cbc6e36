"""Settings from environment variables and secrets from files; nothing tells the value of a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.connection import parse_url
from sqlalchemy import make_url

from dpresence.errors import SettingError
from dpresence.ini import load, load_server
from dpresence.settings import ProviderSettings, ServerSettings
from dpresence.settings.catalog import documented, keys, secrets
from dpresence.settings.environment import variable

PROVIDER = {
    "DPRESENCE_IDENTITY_VERIFIERS": "oidc",
    "DPRESENCE_OIDC_PROVIDERS": "my-corp",
    "DPRESENCE_OIDC_MY_CORP_ISSUER": "https://id.example.org",
    "DPRESENCE_OIDC_MY_CORP_CLIENT_ID": "x",
    "DPRESENCE_OIDC_MY_CORP_DOMAINS": "example.org",
}
UNKNOWN = ": no setting has this environment variable; docs/settings.md lists them"


def refused(ini: dict[str, str], environment: dict[str, str], here: str = "/tmp") -> str:
    with pytest.raises(SettingError) as error:
        load(ini, here, environment)
    return str(error.value)


def test_a_variable_overrides_the_ini_and_the_default() -> None:
    environment = {"DPRESENCE_PRESENCE_GRACE_SECONDS": "20", "DPRESENCE_TRACKER": "redis", "DPRESENCE_MAILBOX_REDIS_ALLOW_VOLATILE": "true"}
    settings = load({"presence.grace_seconds": "10", "presence.ping_seconds": "30"}, "/tmp", environment)
    assert (settings.presence.grace_seconds, settings.presence.ping_seconds) == (20, 30)
    assert settings.storage.tracker == "redis" and settings.redis_mailbox.allow_volatile
    assert load_server({"port": "1"}, "/", {"DPRESENCE_PORT": "9000", "DPRESENCE_WORKERS": "2"}) == ServerSettings(port=9000, workers=2)


def test_a_provider_may_be_configured_by_variables_alone() -> None:
    (provider,) = load({}, "/tmp", PROVIDER).oidc.configured
    assert provider == ProviderSettings(
        "my-corp", issuer="https://id.example.org", client_id="x", domains=("example.org",), title="my-corp"
    )


def test_no_two_keys_have_the_same_variable() -> None:
    known = [*documented(), *keys(ServerSettings, ""), *keys(ProviderSettings, "oidc.corp")]
    assert len({variable(key) for key in known}) == len(known)


def test_the_folder_of_the_ini_is_replaced_in_a_variable() -> None:
    environment = {"DPRESENCE_DIRECTORY_URL": "sqlite:///%(here)s/x.db", "DPRESENCE_OUTBOUND_CA_FILE": "%(here)s/ca.pem"}
    settings = load({}, "/etc", environment)
    assert settings.storage.directory_url == "sqlite:////etc/x.db" and settings.outbound.ca_file == "/etc/ca.pem"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DPRESENCE_PRESENCE_GRACE", "1", f"DPRESENCE_PRESENCE_GRACE{UNKNOWN}"),
        ("DPRESENCE_HUNTER2", "1", f"DPRESENCE_H…{UNKNOWN}"),
        ("DPRESENCE_hunter2", "1", f"DPRESENCE_*{UNKNOWN}"),
        ("DPRESENCE_PRESENCE_GRACE_SECONDS", "x",
         "presence.grace_seconds: must be a whole number (DPRESENCE_PRESENCE_GRACE_SECONDS sets it)"),
        ("DPRESENCE_REDIS_PASSWORD_FILE", "/none", "redis.password_file: must be a readable file with one line (No such file or directory) "
         "(DPRESENCE_REDIS_PASSWORD_FILE sets it)"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named(name: str, value: str, said: str) -> None:
    assert refused({}, {name: value}) == said


def test_a_wrong_variable_of_the_server_is_named() -> None:
    with pytest.raises(SettingError, match=r"^port = 70000: must be from 0 to 65535 \(DPRESENCE_PORT sets it\)$"):
        load_server({}, "/", {"DPRESENCE_PORT": "70000"})


def test_variables_of_kubernetes_and_of_clients_are_none_of_the_service() -> None:
    environment = {
        "DPRESENCE_PORT": "tcp://10.0.0.1:8282",
        "DPRESENCE_PORT_8282_TCP_ADDR": "10.0.0.1",
        "DPRESENCE_REDIS_PORT": "tcp://10.0.0.2:6379",
        "DPRESENCE_SERVICE_HOST": "10.0.0.1",
        "DPRESENCE_REDIS_SERVICE_PORT_REDIS": "6379",
        "DPRESENCE_KEY": "x",
    }
    assert load({}, "/tmp", environment) == load({}, "/tmp", {})
    assert load_server({"port": "9000"}, "/", environment).port == 9000


VALUES = {"directory.url": "sqlite://", "redis.url": "redis://h/1", "redis.urls": "redis://h/1", "sentry.dsn": "https://key@example.org/1"}
"""Secrets that are not just any text."""
BESIDE = {"directory.password": {"directory.url": "postgresql+psycopg://u@h/db"}, "mail.password": {"mail.user": "u"}}
"""Settings without which a secret is refused."""


@pytest.mark.parametrize("key", secrets())
def test_a_secret_is_read_from_a_file_and_refused_if_it_is_given_twice(key: str, tmp_path: Path) -> None:
    base, value, file = BESIDE.get(key, {}), VALUES.get(key, "any-secret-of-20-letters"), tmp_path / "secret"
    file.write_text(f"{value}\n")
    settings = load({**base, f"{key}_file": str(file)}, "/tmp", {})
    assert settings == load({**base, key: value}, "/tmp", {})
    assert settings.secret_files == {key: str(file)}
    assert load({**base, key: "overridden"}, "/tmp", {variable(f"{key}_file"): str(file)}) == settings
    assert refused({**base, key: value, f"{key}_file": str(file)}, {}) == f"{key}: must be empty if {key}_file is set"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"a\nb", "it has more than one line"),
        (b"a" * 70000, "it has more than one line"),
        (b"\xff", "it is not UTF-8"),
    ],
)
def test_a_file_without_a_secret_names_the_setting(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(content)
    said = refused({"redis.password_file": str(tmp_path / "secret")}, {})
    assert said == f"redis.password_file: must be a readable file with one line ({reason})"


@pytest.mark.parametrize(
    ("url", "user"), [("postgresql+psycopg://u@h:1/db?sslmode=require", "u"), ("postgresql+psycopg:///db?host=/run/postgresql", "")]
)
def test_a_password_of_its_own_is_any_text(url: str, user: str) -> None:
    parsed = make_url(load({"directory.url": url, "directory.password": "p/@:#?%"}, "/tmp", {}).storage.directory_url)
    assert (parsed.password, parsed.username, parsed.database) == ("p/@:#?%", user, "db")
    assert (parsed.host, parsed.port, parsed.query) == (make_url(url).host, make_url(url).port, make_url(url).query)


@pytest.mark.parametrize(("url", "host"), [("redis://h:1/2", "h"), ("rediss://u@h:1/2", "h"), ("unix:///run/redis.sock", None)])
def test_a_password_of_redis_reaches_its_driver(url: str, host: str | None) -> None:
    found = parse_url(load({"redis.url": url, "redis.password": "p/@:#?%"}, "/tmp", {}).redis.url)
    assert found["password"] == "p/@:#?%" and found.get("host") == host


@pytest.mark.parametrize(
    ("ini", "said"),
    [
        ({"redis.url": "redis://:x@h", "redis.password": "hunter2"}, "redis.password: must be empty if redis.url contains a password"),
        ({"directory.password": "hunter2"}, "directory.password: must be empty, because SQLite has no passwords"),
    ],
)
def test_a_password_that_has_no_place_is_refused(ini: dict[str, str], said: str) -> None:
    assert refused(ini, {}) == said
