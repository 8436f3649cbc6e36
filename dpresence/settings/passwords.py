"""Puts a password that is a setting of its own into a URL."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

from .declaration import refuse


def with_password(url: str, password: str, prefix: str) -> str:
    """Return a URL with a password. The URL stays as it is if the password is empty.

    :param prefix: ``directory`` or ``redis``, the prefix of both keys.
    :raises SettingError: the URL contains a password already, or is of a database without passwords.
    """
    if not password:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return url  # its own check refuses it
    key = f"{prefix}.password"
    user, _, host = parts.netloc.rpartition("@")
    refuse(parts.scheme.startswith("sqlite"), key, "", "empty, because SQLite has no passwords")
    refuse(":" in user, key, "", f"empty if {prefix}.url contains a password")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))
