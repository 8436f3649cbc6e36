"""Values of the header ``Origin`` (RFC 6454, section 7; WHATWG URL) from browsers, from apps that embed one, and from libraries."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

import idna

_DEFAULT_PORTS = {"http": 80, "https": 443}
_WEB_SCHEMES = ("http", "https", "ws", "wss", "ftp", "data", "blob", "about", "javascript", "file")
_EXTENSION_ORIGIN = re.compile(r"(chrome|moz|safari-web)-extension://[A-Za-z0-9-]+")
_APP_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(:[1-9][0-9]{0,4})?")


def canonical_origin(value: str) -> str | None:
    """Return an http(s) origin in the form that browsers send, None for any other text.

    Browsers send the host in lower case and in ASCII, addresses in their shortest form, and no default port (WHATWG URL).
    """
    try:
        parts = urlsplit(value)
        host, port = _canonical_host(parts.hostname or ""), parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or "@" in parts.netloc or not host or port == 0:
        return None
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != _DEFAULT_PORTS[parts.scheme] else "")


def _canonical_host(name: str) -> str:
    """Return a host in the form that browsers send, "" if it is not a host name.

    :raises ValueError: an invalid IP address.
    """
    if ":" in name:
        return f"[{ipaddress.IPv6Address(name)}]"
    name = name if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
    if re.search(r"(^|\.)(\d+|0x[0-9a-f]*)$", name):
        return str(ipaddress.IPv4Address(name))
    return name if re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", name) else ""


def is_app_origin(value: str) -> bool:
    """Return whether this is the origin of an app or extension: one with a scheme of its own, ``file://`` or ``null`` (no origin).

    Examples are ``capacitor://localhost``, ``tauri://localhost`` and ``moz-extension://<uuid>``.
    """
    found = _APP_ORIGIN.fullmatch(value)
    return value in ("null", "file://") or (found is not None and found[1] not in _WEB_SCHEMES)


def is_extension_origin(value: str) -> bool:
    """Return whether this is the origin of a browser's extension. No web page can have it."""
    return _EXTENSION_ORIGIN.fullmatch(value) is not None


def without_default_port(origin: str) -> str:
    """Return an origin without ``:443`` or ``:80``, which some libraries send and no browser does."""
    scheme = origin.partition(":")[0]
    return origin.removesuffix(f":{_DEFAULT_PORTS[scheme]}") if scheme in _DEFAULT_PORTS else origin
