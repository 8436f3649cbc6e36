"""An error that stops the start shows no secret, wherever in the ini it was written; origins are written as browsers send them."""

from __future__ import annotations

import pytest

from dpresence.backends.redis.connections import ConnectionFactory
from dpresence.backends.sql.engine import Database
from dpresence.errors import SettingError
from dpresence.ini import load, load_server
from dpresence.ini_file import read_section
from dpresence.origins import canonical_origin, is_app_origin
from dpresence.secret_files import without_url_values
from dpresence.settings import ProviderSettings, RedisSettings, ServerSettings
from dpresence.settings.catalog import documented, keys

CANARY = "Canary7x"
PROVIDER = [f"oidc.corp.{name}" for name in keys(ProviderSettings, "x")]
MAIN = [
    *documented(),
    *(key.replace("oidc.corp.x.", "oidc.corp.") for key in PROVIDER),
    "browserid.a.example.keys",
    "browserid.a.example.domains",
]
SERVER = list(keys(ServerSettings, ""))
MISSPELLED = ["redis.passwd", "redis.ulr", "oidc.corp.client_secret", "oidc.corp.secret", "identity.development_tokn", "identity.secret",
              "directory.passwd", "directory", "redis", "mailbox.url", "tracker.url", "admin.password", "presence.key"]  # fmt: skip
SECRETS = [
    CANARY,
    f"{CANARY} other words",
    f"redis://:{CANARY}@127.0.0.1:1/0",
    f"rediss://user:{CANARY}/x@127.0.0.1:1/0",
    f"redis://:12/{CANARY}@127.0.0.1:1/0",
    f"redis://:{CANARY}%40x@127.0.0.1:1/0?bogus={CANARY}",
    f"unix://user:{CANARY}@/nowhere?bogus={CANARY}",
    f"postgresql+psycopg://u:{CANARY}@127.0.0.1:1/db?bogus={CANARY}",
    f"postgresql+psycopg://u:a@{CANARY}@127.0.0.1:1/db",
    f"postgresql+psycopg://u:a@127.0.0.1:{CANARY}/db",
    f"postgres://u:{CANARY}@127.0.0.1/db",
    f"sqlite://u:{CANARY}@h/db",
    f"sqlite:////nowhere/x.db?password={CANARY}",
    f"https://u:{CANARY}@presence.example.org",
    f"https://presence.example.org/?token={CANARY}",
    f"https://presence.example.org/{CANARY}",
    f"https://{CANARY.lower()}",
    f"redis://{CANARY}",
    f"//u:{CANARY}@h",
]


def said(key: str, text: str) -> str:
    """Return what stops a start with this value under this key, "" when nothing does before something is connected to."""
    ini = {"oidc.providers": "corp", "identity.verifiers": "oidc", "oidc.corp.issuer": "https://id.example.org", "oidc.corp.client_id": "x",
           "oidc.corp.domains": "*", key: text}  # fmt: skip
    ini = (
        {"browserid.a.example.keys": "a.json", "browserid.issuers": "a.example", **ini, "identity.verifiers": "oidc browserid"}
        if key.startswith("browserid.a.")
        else ini
    )
    try:
        settings = load(ini, "/tmp")
        if key == "redis.url":
            ConnectionFactory(settings.redis)
        if key == "directory.url":
            Database(settings.storage.directory_url).close()
    except SettingError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("key", [*MAIN, *MISSPELLED, *SERVER])
def test_no_key_tells_its_value_where_that_may_be_a_secret(key: str) -> None:
    found = [said(key, text) for text in SECRETS]
    assert CANARY.lower() not in "".join(found).lower()
    free = (
        "oidc.corp.client_id",
        "oidc.corp.audiences",
        "oidc.corp.title",
        "oidc.corp.client_secret_file",
        "oidc.corp.client_key_file",
        "oidc.corp.next_client_key_file",
        "oidc.corp.icon",
        "identity.secret_file",
        "redis.password",
        "redis.sentinel_user",
        "redis.sentinel_password",
        "outbound.ca_file",
        "push.key_file",
        "mail.ca_file",
        "mail.user",
        "mail.password",
        "pages.operator",
        "pages.logo",
        "browserid.a.example.keys",
    )
    assert any(key in text and "\n" not in text for text in found) or key in free or key in SERVER or key == "browserid.issuers"


@pytest.mark.parametrize("key", [*SERVER, *MAIN[:5], *MISSPELLED])
def test_no_key_of_the_server_section_tells_its_value(key: str) -> None:
    for text in SECRETS:
        try:
            load_server({key: text})
        except SettingError as error:
            assert CANARY not in str(error) and key in str(error)
        else:
            assert key in SERVER


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (f"redis.{CANARY}/x", "a key that is not written a-z 0-9 _ . -"),
        (f"redis.{CANARY.lower()}", "redis.c…"),
        (f"redis.password.{CANARY.lower()}", "redis.password.c…"),
        (f"oidc.{CANARY.lower()}.client_secret", "oidc.c….client_secret"),
        ("presence.gracious_seconds", "presence.gracious_seconds"),
        ("redis.ulr", "redis.ulr"),
    ],
)
def test_a_word_of_a_key_is_reported_only_where_it_resembles_a_setting(key: str, shown: str) -> None:
    with pytest.raises(SettingError) as refused:
        load({key: "1"}, "/tmp")
    assert str(refused.value) == f"{shown}: no such setting; docs/settings.md lists them"


@pytest.mark.parametrize("url", [f"redis://{CANARY}", f"redis://{CANARY}/0", f"postgresql+psycopg://{CANARY}/db"])
def test_a_password_in_the_place_of_a_host_is_not_reported(url: str) -> None:
    said = without_url_values(f"Error -2 connecting to {CANARY.lower()}:6379. Name or service not known.", url)
    assert said == "Error -2 connecting to the host of its URL:6379. Name or service not known."


@pytest.mark.parametrize("url", ["redis://db.example:6379", "redis://db:6379/0", "redis://:x@db/0", "redis://10.0.0.1", "sqlite:///db"])
def test_a_host_that_is_none_is_reported(url: str) -> None:
    assert without_url_values("connecting to db: db.example, 10.0.0.1", url) == "connecting to db: db.example, 10.0.0.1"


@pytest.mark.parametrize(
    ("url", "words", "shown"),
    [
        (
            f"postgresql+psycopg://u@h/db?sslmode={CANARY}",
            f'invalid sslmode value: "{CANARY}"',
            'invalid sslmode value: "the value of sslmode"',
        ),
        (f"postgresql+psycopg:///db?host=a%20{CANARY}", f"cannot resolve a {CANARY}", "cannot resolve the value of host"),
        (f"postgresql+psycopg://u@h/db?connect_timeout=5&service={CANARY}", f"15 of {CANARY}", "15 of the value of service"),
        (f"unix:///run/{CANARY}", f"no such file: /run/{CANARY}.", "no such file: the path of its URL."),
        ("postgresql+psycopg://u@h/db?host=", "no host", "no host"),
    ],
)
def test_a_password_in_the_place_of_an_option_or_a_path_is_not_reported(url: str, words: str, shown: str) -> None:
    assert without_url_values(words, url) == shown


@pytest.mark.parametrize("rest", [f"u:[{CANARY}@127.0.0.1/db", f"u:{CANARY}@127.0.0.1/db?port=zz", f"u@127.0.0.1/db?port={CANARY}"])
def test_a_url_that_cannot_be_read_is_refused_without_a_traceback(rest: str) -> None:
    text = said("directory.url", f"postgresql+psycopg://{rest}")
    assert text.startswith("directory.url: must ") and CANARY not in text


@pytest.mark.parametrize("token", ["1234567", "localhost", "10.0.0.1"])
def test_a_token_is_not_reported_even_where_it_looks_harmless(token: str) -> None:
    assert said("identity.development_token", token) == "identity.development_token: must be 16 to 128 of A-Z a-z 0-9 _ -, or empty"


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("redis.url", "redis://127.0.0.1/0?bogus=1", "redis.url: must have no options but those of redis-py's connections"),
        (
            "directory.url",
            "postgresql+psycopg://h/db?bogus=1",
            "directory.url: must have no options but libpq's, such as ?sslmode=verify-full",
        ),
    ],
)
def test_an_option_that_the_driver_does_not_know_stops_the_start(key: str, text: str, message: str) -> None:
    assert said(key, text) == message


@pytest.mark.parametrize("password", ["p%40ss", "p%2Fss", "p%25ss", "%23", "p:ss"])
def test_a_percent_encoded_password_arrives(password: str) -> None:
    assert said("redis.url", f"redis://:{password}@127.0.0.1:1/0") == ""
    assert said("directory.url", f"postgresql+psycopg://u:{password}@127.0.0.1:1/db") == ""
    assert ConnectionFactory(RedisSettings("redis://:p%40ss@h/0"))._options["password"] == "p@ss"


# -- the file


def test_a_section_is_read_as_it_is_written(tmp_path) -> None:
    file = tmp_path / "presence.ini"
    text = "[app:main]\nuse = egg:dpresence\nredis.url = redis://:p%40ss%%@h/0\ndirectory.url = sqlite:///%(here)s/x.db\n"
    file.write_text("\ufeff" + text, encoding="utf-8")
    found = {"redis.url": "redis://:p%40ss%%@h/0", "directory.url": f"sqlite:///{tmp_path}/x.db"}
    assert read_section(file, "app:main") == found


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f"{CANARY}\n", "line 1"),
        (f"[app:main]\nredis.url redis {CANARY}\n", "line 2"),
        (f"[app:main]\nredis.url = {CANARY}\udcff\n", "not UTF-8"),
    ],
)
def test_a_file_that_is_no_ini_is_reported_in_one_line_without_what_is_in_it(tmp_path, text: str, where: str) -> None:
    file = tmp_path / "presence.ini"
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(SettingError) as refused:
        read_section(file, "app:main")
    assert str(refused.value) == f"presence.ini: must be an ini: sections with lines of key = value ({where})"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"[app:main]\nredis.url = {CANARY}\nredis.url = {CANARY}\n", "line 3: redis.url is set twice"),
        (f"[app:main]\nredis.{CANARY.lower()} = 1\nredis.{CANARY.lower()} = 1\n", "line 3: redis.c… is set twice"),
        (f"[app:main]\n[app:main]\nredis.url = {CANARY}\n", "line 2: [app:main] begins a second time"),
        (f"[{CANARY}]\n[{CANARY}]\n", "line 2: a section of another name begins a second time"),
    ],
)
def test_settings_written_twice_are_named(tmp_path, text: str, message: str) -> None:
    file = tmp_path / "presence.ini"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingError) as refused:
        read_section(file, "app:main")
    assert str(refused.value) == f"presence.ini: {message}"


# -- origins


@pytest.mark.parametrize(
    ("origin", "sent"),
    [
        ("https://presence.example.org:443", "https://presence.example.org"),
        ("http://presence.example.org:80", "http://presence.example.org"),
        ("https://presence.example.org:08443", "https://presence.example.org:8443"),
        ("HTTPS://Presence.Example.org", "https://presence.example.org"),
        ("https://presence.example.org/", "https://presence.example.org"),
        ("https://m\u00fcnchen.example", "https://xn--mnchen-3ya.example"),
        ("https://M\u00dcNCHEN.example:443", "https://xn--mnchen-3ya.example"),
        ("http://[0:0:0:0:0:0:0:1]:8282", "http://[::1]:8282"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused_with_the_form_to_write(origin: str, sent: str) -> None:
    assert canonical_origin(origin) == sent and canonical_origin(sent) == sent
    assert said("channels.origins", f"https://a.example {origin}") == (
        f"channels.origins: must be written as browsers send it: {sent} (this is about word 2)"
    )
    assert said("identity.audience", origin) == f"identity.audience: must be written as browsers send it: {sent}"


NONE = ["https://*.example.org", "*", "https://a.example,", "https://a.example,https://b.example", "https://127.1",
        "https://0x7f.1", "ftp://a.example", "https://", "https://a..example", "https://a.example:0", "https://a.example:65536",
        "https://u@a.example", "https://[::1", "https://a b"]  # fmt: skip


@pytest.mark.parametrize("origin", NONE)
def test_an_invalid_origin_is_refused(origin: str) -> None:
    assert "one origin, such as https://presence.example.org: no wildcard, no comma, no path" in said("channels.origins", origin)
    assert "one origin, such as https://presence.example.org: no wildcard, no comma, no path" in said("identity.audience", origin)


@pytest.mark.parametrize(
    "origin", ["https://a.example", "http://localhost:3000", "http://my_host", "http://10.0.0.1:8080", "http://[::1]:8282"]
)
def test_an_origin_as_browsers_send_it_is_taken(origin: str) -> None:
    assert said("channels.origins", origin) == ""


APPS = ["capacitor://localhost", "ionic://localhost", "tauri://localhost", "app://obsidian.md", "file://", "null",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop", "moz-extension://9b7f2e6a-0a5d-4a8b-8a3e-3d0b8a7c1f11"]  # fmt: skip


@pytest.mark.parametrize("origin", APPS)
def test_the_origin_of_an_app_or_extension_is_taken_for_channels_and_is_no_audience(origin: str) -> None:
    assert is_app_origin(origin) and said("channels.origins", f"https://a.example {origin}") == ""
    assert said("identity.audience", origin) != ""


@pytest.mark.parametrize("origin", ["capacitor://", "capacitor://localhost/", "ws://a.example", "data://x", "javascript://x", "blob://x",
                                    "file:///home", "Capacitor://localhost", "tauri://*", "a b://x", "x://y:0"])  # fmt: skip
def test_an_origin_that_no_app_sends_is_refused(origin: str) -> None:
    assert "this is about word" in said("channels.origins", origin)
