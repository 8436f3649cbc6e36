"""Reading of settings: values by their types; a wrong key, value or combination stops the start."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from dpresence.errors import SettingError
from dpresence.ini import load, load_server
from dpresence.settings import REDIS_URL, ServerSettings, Settings
from dpresence.settings.catalog import documented, keys

SERVER = keys(ServerSettings, "")
MAIN = documented()


def test_the_default_database_lies_beside_the_ini(tmp_path: Path) -> None:
    assert load({}, str(tmp_path)).storage.directory_url == f"sqlite:///{tmp_path}/presence.db"


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().presence.ping_seconds = 1  # type: ignore[misc]


# -- reading


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("presence.ping_seconds", " 30 ", 30),
        ("presence.status_rate", "0.5", 0.5),
        ("presence.status_rate", "2", 2.0),
        ("outbound.http_proof", "false", False),
        ("channels.origins", "https://a.example.org  http://b.example.org:8080", ("https://a.example.org", "http://b.example.org:8080")),
        ("channels.trusted_proxies", "127.0.0.1\n10.0.0.0/8", ("127.0.0.1", "10.0.0.0/8")),
        ("directory.url", "sqlite://", "sqlite://"),
    ],
)
def test_a_value_is_read_by_its_type(key: str, text: str, value: object) -> None:
    concern, _, name = key.partition(".")
    settings = load({key: text}, "/tmp")
    found = settings.storage.directory_url if concern == "directory" else getattr(getattr(settings, concern), name)
    assert found == value and type(found) is type(value)


def test_keys_of_others_are_left_alone() -> None:
    assert load({"pyramid.default_locale_name": "en", "debugtoolbar.hosts": "x", "presences": "x"}, "/tmp") == load({}, "/tmp")


def test_an_issuer_has_keys_and_domains() -> None:
    ini = {
        "identity.verifiers": "browserid",
        "browserid.issuers": "login.example.org",
        "browserid.login.example.org.keys": "/a.json /b.json",
        "browserid.login.example.org.domains": "Example.ORG *",
    }
    (issuer,) = load(ini, "/tmp").browserid.configured
    assert (issuer.name, issuer.keys, issuer.domains) == ("login.example.org", ("/a.json", "/b.json"), ("example.org", "*"))


# -- refusals

DEVELOPMENT = {"identity.development": "true"}
ISSUER = {
    "identity.verifiers": "browserid",
    "browserid.issuers": "login.example.org",
    "browserid.login.example.org.keys": "/a.json",
    "browserid.login.example.org.domains": "example.org",
}
ONE_ORIGIN = "one origin, such as https://presence.example.org: no wildcard, no comma, no path"


@pytest.mark.parametrize(
    ("ini", "message"),
    [
        ({"presence.grace": "1"}, "presence.grace: no such setting; docs/settings.md lists them"),
        ({"presence": "1"}, "presence: no such setting; docs/settings.md lists them"),
        ({"tracker.url": "x"}, "tracker.url: no such setting; docs/settings.md lists them"),
        ({"browserid.other.keys": "x"}, "browserid.o….keys: no such setting; docs/settings.md lists them"),
        ({"presence.ping_seconds": "x"}, "presence.ping_seconds: must be a whole number"),
        ({"presence.ping_seconds": "25.5"}, "presence.ping_seconds = 25.5: must be a whole number"),
        ({"presence.ping_seconds": "-1"}, "presence.ping_seconds = -1: must be a whole number"),
        ({"presence.ping_seconds": ""}, "presence.ping_seconds = : must be a whole number"),
        ({"presence.ping_seconds": "\u0662\u0665"}, "presence.ping_seconds: must be a whole number"),
        ({"presence.ping_seconds": "4"}, "presence.ping_seconds = 4: must be from 5 to 300"),
        # a heartbeat without ``lease`` asks for 60 s
        ({"presence.device_lease_seconds": "59"}, "presence.device_lease_seconds = 59: must be from 60 to 3600"),
        ({"presence.ping_seconds": "301"}, "presence.ping_seconds = 301: must be from 5 to 300"),
        ({"presence.status_rate": "1e3"}, "presence.status_rate: must be a number"),
        ({"presence.status_rate": "nan"}, "presence.status_rate: must be a number"),
        ({"outbound.http_proof": "yes"}, "outbound.http_proof: must be true or false"),
        *(
            ({key: "paper"}, f"{key}: must be one of {', '.join(MAIN[key].metadata['one_of'])}")
            for key in ("tracker", "mailbox", "identity.verifiers")
        ),
        ({"identity.audience": "https://a.example.org/"}, "identity.audience: must be written as browsers send it: https://a.example.org"),
        ({"identity.audience": "https://A.example.org"}, "identity.audience: must be written as browsers send it: https://a.example.org"),
        ({"identity.audience": "https://u@a.example.org"}, f"identity.audience: must be {ONE_ORIGIN}"),
        ({"identity.audience": "a.example.org"}, f"identity.audience: must be {ONE_ORIGIN}"),
        ({"redis.url": "http://h"}, f"redis.url: must be {REDIS_URL}"),
        (
            {"redis.sentinels": "a:1 b:x"},
            "redis.sentinels: must be host or host:port, with spaces between them, such as 10.0.0.11:26379 10.0.0.12:26379",
        ),
        ({"redis.sentinel_master": "a b"}, "redis.sentinel_master: must be one or more of A-Z a-z 0-9 . _ -"),
        (
            {"redis.sentinels": "a", "redis.url": "unix:///run/redis.sock"},
            "redis.sentinels: must be empty if redis.url or redis.urls has a unix:// URL",
        ),
        ({"redis.ca_file": "/x.pem"}, "redis.ca_file: must be empty unless redis.url is a rediss:// URL"),
        ({"redis.url": "rediss://h", "redis.key_file": "/x.key"}, "redis.key_file: must be empty unless redis.cert_file is set"),
        ({"redis.urls": "redis://a http://b", "redis.partitions": "2"}, f"redis.urls: must be {REDIS_URL}"),
        ({"redis.urls": "redis://u:p@a redis://a:6379/0", "redis.partitions": "2"}, "redis.urls: must be URLs of different servers"),
        (
            {"redis.urls": "redis://a redis://b", "redis.partitions": "1"},
            "redis.partitions = 1: must be at least the number of URLs in redis.urls",
        ),
        (
            {"redis.urls": "redis://a", "redis.partitions": "2", "redis.cluster": "true", "redis.sentinels": "b"},
            "redis.sentinels: must be empty in a Redis Cluster",
        ),
        ({"redis.prefix": "a*"}, "redis.prefix: must be one or more of A-Z a-z 0-9 _ . : -"),
        ({"mailbox.redis.allow_volatile": "1"}, "mailbox.redis.allow_volatile = 1: must be true or false"),
        ({"mailbox.redis.url": "x"}, "mailbox.redis.url: no such setting; docs/settings.md lists them"),
        # combinations of section 4
        ({"presence.pong_seconds": "25"}, "presence.pong_seconds = 25: must be less than presence.ping_seconds (25)"),
        (
            {"presence.lease_seconds": "49"},
            "presence.lease_seconds = 49: must be at least 50: twice presence.refresh_seconds (20) and 10",
        ),
        ({"presence.grace_seconds": "61"}, "presence.grace_seconds = 61: must be at most presence.lease_seconds (60)"),
        # identity providers
        ({"identity.verifiers": "browserid"}, "browserid.issuers = : must be set when identity.verifiers names browserid"),
        (
            {**ISSUER, "identity.verifiers": ""},
            "identity.verifiers = : must be browserid among others when browserid.issuers is set",
        ),
        ({**ISSUER, "browserid.login.example.org.keys": ""}, "browserid.login.example.org.keys = : must be one or two files"),
        ({**ISSUER, "browserid.login.example.org.keys": "a b c"}, "browserid.login.example.org.keys: must be one or two files"),
        (
            {**ISSUER, "browserid.login.example.org.domains": ""},
            "browserid.login.example.org.domains = : must be mail domains with spaces between them, or *",
        ),
        (
            {**ISSUER, "browserid.login.example.org.domains": "example.org,example.net"},
            "browserid.login.example.org.domains: must be mail domains with spaces between them, or *",
        ),
        ({**ISSUER, "browserid.issuers": "Login.example.org"}, "browserid.issuers: must be host names in lower case"),
        *(
            (
                {
                    "identity.verifiers": "browserid",
                    "browserid.issuers": name,
                    f"browserid.{name}.keys": "/a.json",
                    f"browserid.{name}.domains": "*",
                },
                "browserid.issuers: must be a name that can be owned: not under .invalid, .test or .localhost",
            )
            for name in ("dev.invalid", "a.test", "b.localhost")
        ),
        (
            {"identity.audience": "http://presence.example.org"},
            "identity.audience = http://presence.example.org: must be https, or http on localhost, 127.0.0.1 or [::1]",
        ),
        (
            {**DEVELOPMENT, "identity.audience": "https://presence.example.org"},
            "identity.audience = https://presence.example.org: must be http on loopback while identity.development is on",
        ),
        (
            {**DEVELOPMENT, "identity.audience": "https://localhost"},
            "identity.audience = https://localhost: must be http on loopback while identity.development is on",
        ),
        ({**DEVELOPMENT, **ISSUER}, "identity.verifiers: must be empty while identity.development is on"),
        (
            {**DEVELOPMENT, "channels.trusted_proxies": "127.0.0.1"},
            "channels.trusted_proxies = 127.0.0.1: must be empty while identity.development is on",
        ),
        (
            {**DEVELOPMENT, "directory.url": "sqlite:////srv/presence.db"},
            "directory.url: must be a database of its own while identity.development is on, not presence.db",
        ),
        ({"pages.operator": 65 * "x"}, "pages.operator: must be up to 64 visible characters"),
        ({"pages.privacy_url": "javascript:alert(1)"}, "pages.privacy_url: must be an https or http URL, or empty"),
        ({"mail.host": "mail.example.org:587"}, "mail.host: must be a host name without a port, or an IP address"),
        ({"mail.host": "bad:25"}, "mail.host: must be a host name without a port, or an IP address"),
        ({"mail.port": "465"}, "mail.security: must be tls with mail.port = 465"),
        ({"mail.user": "a", "mail.password": "b", "mail.security": "none"}, "mail.user: must be empty with mail.security = none"),
        ({"mail.user": "a"}, "mail.password: must be set if mail.user is set, and only then"),
        ({"mail.password": "a"}, "mail.password: must be set if mail.user is set, and only then"),
        ({"pages.contact": "help"}, "pages.contact: must be an e-mail, or an https or http URL, or empty"),
        ({"pages.contact": "a@b?bcc=c@d"}, "pages.contact: must be an e-mail, or an https or http URL, or empty"),
        ({"outbound.allow_loopback": "true"}, "outbound.allow_loopback = true: must be false unless identity.development is on"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_its_key_and_what_is_allowed(ini: dict[str, str], message: str) -> None:
    with pytest.raises(SettingError) as refused:
        load(ini, "/tmp")
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("key", "text", "allowed"),
    [
        ("channels.origins", "https://a.example.org b", ONE_ORIGIN),
        ("channels.trusted_proxies", "proxy.example.org", "IP addresses or networks, such as 127.0.0.1 or 10.0.0.0/8"),
        ("channels.trusted_proxies", "10.0.0.1/8", "IP addresses or networks, such as 127.0.0.1 or 10.0.0.0/8"),
    ],
)
def test_a_list_with_one_wrong_word_stops_the_start(key: str, text: str, allowed: str) -> None:
    with pytest.raises(SettingError) as refused:
        load({key: text}, "/tmp")
    message = str(refused.value)
    assert message.startswith(f"{key}: must be ") and allowed in message


@pytest.mark.parametrize(
    ("ini", "message"),
    [
        ({"threads": "4"}, "threads: no such setting of [server:main]; docs/settings.md lists them"),
        ({"port": "65536"}, "port = 65536: must be from 0 to 65535"),
        ({"port": "http"}, "port: must be a whole number"),
        ({"certfile": "/a.pem"}, "certfile: must be set together with keyfile"),
        ({"keyfile": "/a.pem"}, "certfile = : must be set together with keyfile"),
    ],
)
def test_a_wrong_setting_of_the_server_stops_the_start(ini: dict[str, str], message: str) -> None:
    with pytest.raises(SettingError) as refused:
        load_server(ini)
    assert str(refused.value) == message


@pytest.mark.parametrize("key", [key for key, field in {**MAIN, **SERVER}.items() if field.metadata["low"] is not None])
def test_a_number_may_be_its_bounds_and_no_more(key: str) -> None:
    field = {**MAIN, **SERVER}[key]
    low, high = field.metadata["low"], field.metadata["high"]
    assert low <= field.default <= high
    read = load_server if key in SERVER else lambda ini: load(ini, "/tmp")
    with pytest.raises(SettingError, match=rf"^{re.escape(key)} = {high + 1}(\.0)?: must be from {low} to {high}$"):
        read({key: str(high + 1)})
