"""Checks of values. Each returns a description of the allowed values if the value is not allowed, else None."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit, urlunsplit

from ..origins import canonical_origin, is_app_origin

ONE_ORIGIN = "one origin, such as https://presence.example.org"
REDIS_URL = "a redis://, rediss:// or unix:// URL; in its password, : / ? # @ % are written as %3A %2F %3F %23 %40 %25"


def origin(value: str) -> str | None:
    """Check an origin as browsers send it."""
    sent = canonical_origin(value)
    if sent == value:
        return None
    return f"written as browsers send it: {sent}" if sent else f"{ONE_ORIGIN}: no wildcard, no comma, no path"


def origins(values: tuple[str, ...]) -> str | None:
    """Check origins of pages and apps."""
    wrong = ((number, origin(value)) for number, value in enumerate(values, 1) if not is_app_origin(value))
    return next((f"{allowed} (this is about word {number})" for number, allowed in wrong if allowed), None)


def path(value: str) -> str | None:
    """Check a path without trailing slash."""
    valid = re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", value)
    return None if valid else "empty, or words of a-z A-Z 0-9 . _ ~ - each after a /, such as /_presence"


def networks(values: tuple[str, ...]) -> str | None:
    """Check IP addresses and networks."""
    try:
        for value in values:
            ipaddress.ip_network(value)
    except ValueError:
        return "IP addresses or networks, such as 127.0.0.1 or 10.0.0.0/8"
    return None


def database_url(value: str) -> str | None:
    """Check a URL of a database: the path of a file has no name in ``%(..)s`` for which nothing is put. Drivers check the rest."""
    misspelled = value.startswith("sqlite") and re.search(r"%\([^)]*\)", value)
    return "a URL in which nothing but %(here)s stands for something else" if misspelled else None


def redis_url(value: str) -> str | None:
    """Check a URL of Redis. A URL is wrong if a driver would parse it differently and log a part of the password as the host."""
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 raises the error if the port is invalid
    except ValueError:
        return REDIS_URL
    path = "@" not in parts.path if parts.scheme == "unix" else re.fullmatch(r"/?|/[0-9]+/?", parts.path)
    valid = parts.scheme in ("redis", "rediss", "unix") and path and not parts.fragment and parts.netloc.count("@") <= 1
    return None if valid else REDIS_URL


def redis_urls(values: tuple[str, ...]) -> str | None:
    """Check several URLs of Redis, each of another server."""
    wrong = next((found for found in map(redis_url, values) if found), None)
    return wrong or (None if len(set(map(redis_name, values))) == len(values) else "URLs of different servers")


def redis_name(url: str) -> str:
    """Return a URL of Redis without its user and password: the host, the port and the database, or the path of a socket."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or 6379}/{parts.path.strip('/') or 0}"


def redis_url_like(url: str, name: str) -> str:
    """Return the URL of another server, with the scheme, the user, the password and the options of a URL.

    :param name: see ``redis_name``.
    """
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0]
    if name.startswith("/"):
        return f"unix://{credentials}{credentials and '@'}{name}"
    host, _, database = name.rpartition("/")
    scheme, options = ("redis", "") if parts.scheme == "unix" else (parts.scheme, parts.query)
    return urlunsplit((scheme, f"{credentials}{credentials and '@'}{host}", f"/{database}", options, ""))


def sentinels(values: tuple[str, ...]) -> str | None:
    """Check addresses of Sentinels."""
    try:
        wrong = any(
            not urlsplit(f"//{value}").hostname or urlsplit(f"//{value}").port == 0 or set("/@?#,;") & set(value) for value in values
        )
    except ValueError:
        wrong = True
    return "host or host:port, with spaces between them, such as 10.0.0.11:26379 10.0.0.12:26379" if wrong else None


def sentinel_master(value: str) -> str | None:
    """Check the name of a primary at the Sentinels."""
    return None if re.fullmatch(r"[A-Za-z0-9._-]+", value) else "one or more of A-Z a-z 0-9 . _ -"


def redis_prefix(value: str) -> str | None:
    """Check a prefix of keys in Redis."""
    return None if re.fullmatch(r"[A-Za-z0-9_.:-]+", value) else "one or more of A-Z a-z 0-9 _ . : -"


def token(value: str) -> str | None:
    """Check a token."""
    return None if re.fullmatch(r"([A-Za-z0-9_-]{16,128})?", value) else "16 to 128 of A-Z a-z 0-9 _ -, or empty"


def dsn(value: str) -> str | None:
    """Check a DSN of Sentry."""
    return (
        None
        if re.fullmatch(r"(https?://[A-Za-z0-9]+@[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~-]+)*/[0-9]+)?", value)
        else "https://key@host/project, or empty"
    )


def color(value: str) -> str | None:
    """Check a colour."""
    return None if re.fullmatch(r"(#[0-9A-Fa-f]{6})?", value) else "a colour as #rrggbb, such as #24292f, or empty"


def required(value: str | tuple[str, ...]) -> str | None:
    """Check that a value is set."""
    return None if value else "set"


def issuer_url(value: str) -> str | None:
    """Check the URL of an OpenID Connect issuer."""
    parts = urlsplit(value)
    exact = parts.scheme in ("http", "https") and parts.hostname and not set("@?# ") & set(value)
    return None if exact else "the issuer's URL as its tokens spell it, such as https://id.example.org"


def mail_domains(values: tuple[str, ...]) -> str | None:
    """Check mail domains; ``*`` is every domain."""
    words = all(re.fullmatch(r"\*|[a-z0-9.-]+", value, re.IGNORECASE) for value in values)
    return None if values and words else "mail domains with spaces between them, or *"


def key_files(values: tuple[str, ...]) -> str | None:
    """Check the number of an issuer's key files."""
    return None if 1 <= len(values) <= 2 else "one or two files"


def emails(values: tuple[str, ...]) -> str | None:
    """Check e-mail addresses."""
    whole = all(re.fullmatch(r"[!-?A-~]+@[a-zA-Z0-9.-]+", value) for value in values)
    return None if whole else "e-mails with spaces between them"


def sender(value: str) -> str | None:
    """Check the address that mail comes from."""
    return emails((value,)) and "an e-mail address" if value else None


def mail_host(value: str) -> str | None:
    """Check the name or address of a mail server."""
    valid = re.fullmatch(r"[A-Za-z0-9.:-]*", value)
    return None if valid and (":" not in value or networks((value,)) is None) else "a host name without a port, or an IP address"


def title(value: str) -> str | None:
    """Check a short text for people."""
    return None if len(value) <= 64 and value.isprintable() else "up to 64 visible characters"


def web_address(value: str) -> str | None:
    """Check the address of a web page."""
    parts = urlsplit(value) if value.isascii() and value.isprintable() and " " not in value else None
    return None if not value or (parts and parts.scheme in ("https", "http") and parts.hostname) else "an https or http URL, or empty"


def push_services(values: tuple[str, ...]) -> str | None:
    """Check domains of push services."""
    names = all(re.fullmatch(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]", value) for value in values)
    return None if names else "host names in lower case with spaces between them, such as push.example.org"


def contact(value: str) -> str | None:
    """Check an e-mail address, or the address of a web page."""
    is_email = re.fullmatch(r"[^@\s:/?#&%]+@[A-Za-z0-9.-]+", value) is not None
    return None if is_email or web_address(value) is None else "an e-mail, or an https or http URL, or empty"
