"""URLs that are requested."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import urlsplit

Scheme = Literal["https", "http"]

_URL = re.compile(r"[!-~]{1,2048}")
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Target:
    """A URL to request, as text: ``https://host/path``, without the query.

    :ivar host: host name or IP address, which the certificate must be valid for.
    :ivar authority: value of the ``Host`` header.
    :ivar path: path and query.
    """

    scheme: Scheme
    host: str
    port: int
    authority: str
    path: str

    @classmethod
    def parse(cls, url: str) -> Target:
        """Return the target of an absolute URL.

        :raises ValueError: the text is not an ASCII URL with http or https, or it contains a user name.
        """
        parts = urlsplit(url)
        if not _URL.fullmatch(url) or parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
            raise ValueError("not an http(s) URL in ASCII without a user name")
        scheme = cast(Scheme, parts.scheme)
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        return cls(scheme, parts.hostname, parts.port or _PORTS[scheme], parts.netloc, path)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path.partition('?')[0]}"
