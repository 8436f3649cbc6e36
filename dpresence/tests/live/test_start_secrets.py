"""A start that fails prints one line and no secret; one that can go on takes a percent-encoded password as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpresence.tests.unit.test_setting_secrets import CANARY, MAIN, MISSPELLED, SERVER

from .test_start import Shipped

ANYWHERE = "redis.url = redis://127.0.0.1:6379/0"
SECTION = "[server:main]"
URL = f"redis://:{CANARY}%40x@127.0.0.1:1/0?bogus={CANARY}"
ON_REDIS = {"tracker = memory": "tracker = redis", "redis.timeout_seconds = 2": "redis.timeout_seconds = 0.1"}


def with_key(key: str, value: str, section: str) -> dict[str, str]:
    """Return the change of presence.ini that sets a key in a section, whatever stood there."""
    text = (Path(__file__).parents[3] / "presence.ini").read_text(encoding="utf-8")
    stood = [line for line in text.splitlines() if line.partition(" =")[0] == key]
    in_server = key in SERVER
    if stood and (section == "server:main") == in_server:
        return {stood[0].replace("8282", "{port}"): f"{key} = {value}"}  # the port that Shipped puts there
    return {SECTION: f"{SECTION}\n{key} = {value}"} if section == "server:main" else {ANYWHERE: f"{ANYWHERE}\n{key} = {value}"}


def check(said: str) -> None:
    assert CANARY not in said and "Traceback" not in said, said
    assert len([line for line in said.splitlines() if "does not start" in line]) == 1, said


FEW = [
    ("redis.password", CANARY, "app:main"),
    ("redis.ulr", URL, "app:main"),
    ("oidc.corp.client_secret", CANARY, "app:main"),
    ("redis.url", URL, "server:main"),
    ("certfile", f"{CANARY}%40", "server:main"),
    ("directory.url", f"postgresql+psycopg://u:{CANARY}%40@127.0.0.1:1/db?bogus=1", "app:main"),
    ("directory.url", f"postgresql+psycopg://u:a@{CANARY}@127.0.0.1:1/db", "app:main"),
    ("identity.development_token", CANARY, "app:main"),
]


@pytest.mark.parametrize(("key", "value", "section"), FEW)
def test_a_start_that_fails_tells_no_secret(tmp_path: Path, key: str, value: str, section: str) -> None:
    check(Shipped(tmp_path, with_key(key, value, section)).fail_to_start())


@pytest.mark.parametrize("changes", [{}, {"redis.url = redis://127.0.0.1:6379/0": f"redis.url = {URL}"}])
def test_a_redis_that_is_away_or_has_an_unknown_option_tells_no_secret(tmp_path: Path, changes: dict[str, str]) -> None:
    away = {ANYWHERE: f"redis.url = redis://:{CANARY}%40x@127.0.0.1:1/0"}
    check(Shipped(tmp_path, {**ON_REDIS, **away, **changes}).fail_to_start())


def test_a_percent_sign_is_a_character_like_any_other(tmp_path: Path) -> None:
    service = Shipped(tmp_path, {"admin.emails =": "admin.emails = 100%sure@example.org 5%%@example.org"})
    service.start()
    assert service.stop() == 0
    service.assert_clean()


@pytest.mark.faults
@pytest.mark.parametrize("section", ["app:main", "server:main"])
@pytest.mark.parametrize("key", [*(key for key in MAIN if not key.startswith(("oidc.corp.", "browserid.a."))), *MISSPELLED, *SERVER])
@pytest.mark.parametrize("value", [URL])
def test_no_key_in_either_section_tells_a_password(tmp_path: Path, key: str, section: str, value: str) -> None:
    if (key, section) in (("identity.secret_file", "app:main"), ("redis.url", "app:main"), ("browserid.issuers", "app:main")):
        pytest.skip("starts, or is tried above")
    if section == "app:main" and key in SERVER:
        pytest.skip("a key of somebody else's there")
    check(Shipped(tmp_path, with_key(key, value, section)).fail_to_start())
