"""The URL of a database, as in the setting ``directory.url``."""

from __future__ import annotations

from urllib.parse import urlsplit

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ...errors import SettingError
from . import postgresql, sqlite

_URLS = "a sqlite or postgresql+psycopg URL; in its password, : / ? # @ % are written as %3A %2F %3F %23 %40 %25"


def parse_url(text: str) -> URL:
    """Parse ``directory.url``.

    :raises SettingError: it is not a URL of a database that this version can use.
    """
    try:
        urlsplit(text)  # which accepts less
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise SettingError(f"directory.url: must be {_URLS}") from None
    if not (sqlite.understands(url) or postgresql.understands(url)) or "@" in (url.host or ""):
        raise SettingError(f"directory.url: must be {_URLS}")
    return url
