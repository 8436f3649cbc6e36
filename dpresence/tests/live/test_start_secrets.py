"""A start that fails prints one line and no secret; one that can go on takes a percent-encoded password as it is."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from dpresence.tests.unit.test_setting_secrets import CANARY, MAIN, MISSPELLED, SERVER

from .test_start import DATABASE, WarmShipped

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
    assert CANARY.lower() not in said.lower() and "Traceback" not in said, said
    assert len([line for line in said.splitlines() if "does not start" in line]) == 1, said


LINES = {
    "no equals sign": f"redis.password {CANARY}",
    "a URL without an equals sign": f"redis.url redis://u:{CANARY}@h/0",
    "no key": f"= {CANARY}",
    "an open bracket": f"[redis {CANARY}",
    "a key": f"redis.{CANARY.lower()} = 1",
    "a key with a space": f"redis.password {CANARY} = 1",
    "a key twice": f"redis.{CANARY} = 1\nredis.{CANARY} = 1",
    "a section twice": f"[{CANARY}]\n[{CANARY}]",
    "no UTF-8": f"redis.password = {CANARY}\udcff",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_line_that_cannot_be_read_is_reported_without_what_is_in_it(tmp_path: Path, line: str) -> None:
    service = WarmShipped(tmp_path, {})
    ini = tmp_path / "presence.ini"
    ini.write_text(ini.read_text().replace(f"\n{ANYWHERE}\n", f"\n{line}\n"), errors="surrogateescape")
    check(service.fail_to_start())


TOPS = {
    "a setting before any section": f"redis.password = {CANARY}",
    "a byte order mark": f"\ufeff[app:other]\nredis.password = {CANARY}",
    "a default that is interpolated": f"[DEFAULT]\npassword = %({CANARY})s",
    "a default with a percent sign": f"[DEFAULT]\npassword = a%{CANARY}",
    "a section of another program": f"[pserve]\nwatch_files = %({CANARY})s",
}


@pytest.mark.parametrize("lines", TOPS.values(), ids=TOPS)
def test_settings_outside_of_the_sections_of_this_service_are_not_reported(tmp_path: Path, lines: str) -> None:
    service = WarmShipped(tmp_path, {})
    ini = tmp_path / "presence.ini"
    ini.write_text(f"{lines}\n{ini.read_text()}")
    check(service.fail_to_start())


def test_an_ini_that_is_not_there_is_reported_in_one_line(tmp_path: Path) -> None:
    service = WarmShipped(tmp_path, {})
    (tmp_path / "presence.ini").unlink()
    said = service.fail_to_start()
    check(said)
    assert said.endswith(f"dpresence does not start: {tmp_path}/presence.ini: No such file or directory\n")


LOGGING = {
    f"class = {CANARY}.NoSuchHandler": ("class = StreamHandler", "class of [handler_console]", "ModuleNotFoundError"),
    f"class = {CANARY}.LineFormatter": ("class = dpresence.logs.LineFormatter", "class of [formatter_line]", "ModuleNotFoundError"),
    f"style = {CANARY}": ("class = dpresence.logs.LineFormatter", "format or style of [formatter_line]", "ValueError"),
    f"formatter = {CANARY}": ("formatter = line", "formatter of [handler_console]", "KeyError"),
    f"keys = console, {CANARY}": ("keys = console", "a section that keys of [handlers] names", "KeyError"),
    f"level = {CANARY}": ("level = WARNING", "level of [logger_root]", "ValueError"),
    f"handlers = {CANARY}": ("handlers = console", "handlers of [logger_root]", "KeyError"),
    f"args = ({CANARY},)": ("args = (sys.stderr,)", "args of [handler_console]", "NameError"),
    f"args = (int('{CANARY}'),)": ("args = (sys.stderr,)", "args of [handler_console]", "ValueError"),
    f"args = ('{CANARY}'": ("args = (sys.stderr,)", "args of [handler_console]", "SyntaxError"),
    f"args = (sys.stderr, '{CANARY}')": ("args = (sys.stderr,)", "class, args or kwargs of [handler_console]", "TypeError"),
    f"kwargs = {CANARY}": ("args = (sys.stderr,)", "kwargs of [handler_console]", "NameError"),
    f"format = %({CANARY})s": (
        "format = %(asctime)s %(levelname)s %(name)s %(message)s",
        "format or style of [formatter_line]",
        "ValueError",
    ),
    f"format = %({CANARY}": (
        "format = %(asctime)s %(levelname)s %(name)s %(message)s",
        "format or style of [formatter_line]",
        "ValueError",
    ),
    f"propagate = {CANARY}": ("qualname = geventwebsocket", "qualname of [logger_geventwebsocket]", "KeyError"),
    f"keys = {CANARY}": ("keys = root, dpresence, access, geventwebsocket", "a section that keys of [loggers] names", "KeyError"),
    "keyz = console": ("keys = console", "keys of [handlers]", "KeyError"),
}


@pytest.mark.parametrize("line", LOGGING)
def test_a_wrong_logging_section_is_reported_in_one_line_without_a_value(tmp_path: Path, line: str) -> None:
    stands, key, kind = LOGGING[line]
    said = WarmShipped(tmp_path, {stands: line}).fail_to_start()
    check(said)
    named = f"dpresence does not start: the sections of the log, [loggers] to [formatter_line]: {key} is missing or wrong ({kind})"
    assert said.splitlines()[-1] == named


USES = {
    "another egg": (f"use = egg:{CANARY}", "PackageNotFoundError"),
    "another entry point": (f"use = egg:dpresence#{CANARY}", "LookupError"),
    "a section": (f"use = {CANARY}", "LookupError"),
    "a function": (f"use = call:{CANARY}:main", "ModuleNotFoundError"),
    "nothing": ("", "LookupError"),
}


@pytest.mark.parametrize(("case", "section"), [*product(USES, ("app:main", "server:main")), ("a file", "app:main")])
def test_a_section_that_uses_what_is_not_installed_is_reported_in_one_line(tmp_path: Path, case: str, section: str) -> None:
    line, kind = USES.get(case, (f"use = config:{CANARY}.ini", "FileNotFoundError"))
    said = WarmShipped(tmp_path, {f"[{section}]\nuse = egg:dpresence": f"[{section}]\n{line}"}).fail_to_start()
    check(said)
    assert said.splitlines()[-1].startswith("dpresence does not start: use in [app:main] and in [server:main]: must be egg:dpresence")
    assert said.endswith(f"({kind})\n")


@pytest.mark.parametrize("url", [f"sqlite:///%({CANARY})s/presence.db", f"sqlite:///%({CANARY})/presence.db"])
def test_a_misspelled_name_of_the_folder_is_reported_without_it(tmp_path: Path, url: str) -> None:
    said = WarmShipped(tmp_path, {DATABASE: f"directory.url = {url}"}).fail_to_start()
    check(said)
    assert said.splitlines()[-1].endswith("directory.url: must be a URL in which nothing but %(here)s stands for something else")


def test_of_a_folder_of_the_log_that_is_not_there_the_key_is_named(tmp_path: Path) -> None:
    changes = {
        "class = StreamHandler": "class = handlers.WatchedFileHandler",
        "args = (sys.stderr,)": f"args = ('{tmp_path}/{CANARY}/presence.log',)",
    }
    said = WarmShipped(tmp_path, changes).fail_to_start()
    check(said)
    assert said.splitlines()[-1].endswith(": class, args or kwargs of [handler_console] is missing or wrong (FileNotFoundError)")


ALONE = f"postgresql+psycopg://{CANARY}/db"


@pytest.mark.parametrize(
    "changes",
    [
        {ANYWHERE: f"redis.url = https://{CANARY.lower()}"},
        {ANYWHERE: f"redis.url = redis://{CANARY}", **ON_REDIS},
        {DATABASE: f"directory.url = {ALONE}", "identity.secret_file = %(here)s/presence.secret": "identity.secret_file = s"},
    ],
)
def test_a_password_that_was_written_as_a_host_is_not_reported(tmp_path: Path, changes: dict[str, str]) -> None:
    check(WarmShipped(tmp_path, changes).fail_to_start())


FEW = [
    ("redis.passwd", CANARY, "app:main"),
    ("redis.ulr", URL, "app:main"),
    ("oidc.corp.client_secret", CANARY, "app:main"),
    ("redis.url", URL, "server:main"),
    ("certfile", CANARY, "app:main"),
    ("set redis.password", CANARY, "app:main"),
    ("get redis.password", CANARY, "app:main"),
    ("get redis.password", CANARY, "server:main"),
    ("certfile", f"{CANARY}%40", "server:main"),
    ("directory.url", f"postgresql+psycopg://u:{CANARY}%40@127.0.0.1:1/db?bogus=1", "app:main"),
    ("directory.url", f"postgresql+psycopg://u:a@{CANARY}@127.0.0.1:1/db", "app:main"),
    ("identity.development_token", CANARY, "app:main"),
]


@pytest.mark.parametrize(("key", "value", "section"), FEW)
def test_a_start_that_fails_tells_no_secret(tmp_path: Path, key: str, value: str, section: str) -> None:
    check(WarmShipped(tmp_path, with_key(key, value, section)).fail_to_start())


@pytest.mark.parametrize("changes", [{}, {"redis.url = redis://127.0.0.1:6379/0": f"redis.url = {URL}"}])
def test_a_redis_that_is_away_or_has_an_unknown_option_tells_no_secret(tmp_path: Path, changes: dict[str, str]) -> None:
    away = {ANYWHERE: f"redis.url = redis://:{CANARY}%40x@127.0.0.1:1/0"}
    said = WarmShipped(tmp_path, {**ON_REDIS, **away, **changes}).fail_to_start()
    check(said)
    assert changes or said.endswith("dpresence does not start: redis.url: the Redis does not answer\n")


def test_a_database_that_is_away_is_named_without_secrets(tmp_path: Path) -> None:
    away = {DATABASE: f"directory.url = postgresql+psycopg://u:{CANARY}@127.0.0.1:1/db"}
    said = WarmShipped(tmp_path, away).fail_to_start()
    check(said)
    assert said.endswith("dpresence does not start: directory.url: the database does not answer\n")


def test_a_percent_sign_is_a_character_like_any_other(tmp_path: Path) -> None:
    service = WarmShipped(tmp_path, {"admin.emails =": "admin.emails = 100%sure@example.org 5%%@example.org"})
    service.start()
    assert service.stop() == 0
    service.assert_clean()


STARTING = (
    *("identity.secret_file", "redis.url", "redis.urls", "redis.password", "browserid.issuers"),
    *("redis.sentinel_user", "redis.sentinel_password", "pages.operator", "push.key_file", "mail.ca_file"),
)
"""Keys that accept the value or have no effect by themselves, so that the service starts; or that are tried above."""


@pytest.mark.slow
@pytest.mark.parametrize("section", ["app:main", "server:main"])
@pytest.mark.parametrize("key", [*(key for key in MAIN if not key.startswith(("oidc.corp.", "browserid.a."))), *MISSPELLED, *SERVER])
@pytest.mark.parametrize("value", [URL])
def test_no_key_in_either_section_tells_a_password(tmp_path: Path, key: str, section: str, value: str) -> None:
    if section == "app:main" and key in STARTING:
        pytest.skip("starts, or is tried above")
    check(WarmShipped(tmp_path, with_key(key, value, section)).fail_to_start())


def test_a_start_takes_settings_from_the_environment_and_names_a_wrong_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = WarmShipped(tmp_path, {ANYWHERE: "redis.url =", "tracker = memory": "tracker = redis"})
    (tmp_path / "url").write_text(f"redis://{CANARY}@127.0.0.1:1/0\n")
    monkeypatch.setenv("DPRESENCE_TRACKER", "memory")
    monkeypatch.setenv("DPRESENCE_REDIS_URL_FILE", "%(here)s/url")
    monkeypatch.setenv("DPRESENCE_PORT", str(service.port))
    service.start()
    assert service.stop() == 0
    assert f"{tmp_path}/url holds redis.url, and others may read or write it" in service.log()
    monkeypatch.setenv("DPRESENCE_REDIS_PORT", CANARY)
    check(said := service.fail_to_start())
    assert said.endswith("does not start: DPRESENCE_REDIS_PORT: no setting has this environment variable; docs/settings.md lists them\n")
