"""Validation of application domains, redirects and actions (docs/protocol.md, sections 5 and 6).

URLs are compared as text: the authority must equal the domain, so differences between the URL parsers of browsers and Python have
no effect. Only host names that every browser can parse are allowed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal
from urllib.parse import unquote_plus, urlencode

import idna

from .errors import BadAction, WrongValue

MAX_DOMAIN = 253
MAX_REDIRECT = 2048
RESULT_PARAMETERS = ("Presence-UID", "Presence-Error")

_DEFAULT_PORTS = {"https": "443", "http": "80"}
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?![0-9]){_LABEL}")
_LOOPBACK = re.compile(r"(?:localhost|127\.0\.0\.1):([1-9][0-9]{0,4})")
# printable ASCII without space and \ " < > ^ ` { | }, which browsers and servers interpret differently
_URL_BYTES = re.compile(r"[!#-;=?-\[\]_a-z~]+")
# scheme, authority, path, query, fragment: RFC 3986, appendix B, with the first two required
_URL = re.compile(r"(https?)://([^/?#]+)([^?#]*)(?:\?([^#]*))?(#.*)?", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9._-]+")


def check_domain(text: str, allow_loopback: bool) -> str:
    """Return the canonical (lower-case) form of an application's domain.

    A domain is a host name with at least one dot: no port, no trailing dot, no IP address in any spelling. Public suffixes
    (``co.uk``, ``github.io``) are not rejected here; the proof at ``/__presence`` shows who controls a domain.

    :param allow_loopback: ``localhost:<port>`` and ``127.0.0.1:<port>`` are allowed as well.
    :raises WrongValue: the text is not a domain.
    """
    if not text.isascii():
        raise WrongValue("domain: give an internationalised name in its ASCII form (xn--..)")
    domain = text.lower()
    if allow_loopback and loopback_port(domain) is not None:
        return domain
    if len(domain) > MAX_DOMAIN or _DOMAIN.fullmatch(domain) is None:
        raise WrongValue("domain: a host name such as app.example.org, without scheme, port or path")
    if not _is_readable(domain):
        raise WrongValue("domain: each label that begins with xn-- must be valid by IDNA 2008")
    return domain


def without_scheme(text: str) -> str:
    """Return the domain of a URL without a path, which the prototype of 2013 accepted as a domain; return any other text unchanged."""
    match = re.fullmatch(r"https?://([^/]*)/?", text, re.IGNORECASE)
    return match[1] if match else text


def loopback_port(domain: str) -> int | None:
    """Return the port of ``localhost:<port>`` or ``127.0.0.1:<port>``, None for any other text."""
    match = _LOOPBACK.fullmatch(domain)
    port = int(match[1]) if match else None
    return port if port is not None and port <= 65535 else None


def redirect_url(redirect: str, domain: str, validated_scheme: Literal["https", "http"], parameter: tuple[str, str]) -> str:
    """Return the URL that redirects the browser to the application with the result of the grant page.

    It is composed of scheme, domain, path, the query without results of earlier grant pages, and ``parameter``.

    :param domain: the validated domain, canonical.
    :param validated_scheme: scheme by which the domain was validated. A plain http redirect requires http.
    :param parameter: name and value to append.
    :raises WrongValue: the redirect is not a URL of that domain.
    """
    match = _URL.fullmatch(redirect) if len(redirect) <= MAX_REDIRECT and _URL_BYTES.fullmatch(redirect) else None
    if match is None or match[5] is not None or not _is_host(match[1].lower(), match[2].lower(), domain):
        raise WrongValue(f"redirect: a URL on {domain}, without user, other port or fragment, up to {MAX_REDIRECT} characters")
    scheme = match[1].lower()
    if scheme == "http" and validated_scheme != "http":
        raise WrongValue("redirect: must be https")
    query = "&".join([*_own_parts(match[4]), urlencode([parameter])])
    return f"{scheme}://{domain}{match[3] or '/'}?{query}"


def check_action(action: str, domain: str) -> None:
    """Check the action of a notification: empty, a word, or an http(s) URL on the domain or a subdomain.

    The length is not checked here.

    :param domain: the validated domain, canonical.
    :raises BadAction: the action is none of these.
    """
    if not action or _WORD.fullmatch(action):
        return
    match = _URL.fullmatch(action) if _URL_BYTES.fullmatch(action) else None
    if match is None or not _is_host(match[1].lower(), match[2].lower(), domain, or_below=True):
        raise BadAction()


def check_webhook_url(url: str, domain: str) -> None:
    """Check the URL of a webhook: https on the domain or a subdomain; http only on a loopback domain.

    :param domain: the validated domain, canonical.
    :raises WrongValue: the URL is none of these.
    """
    match = _URL.fullmatch(url) if _URL_BYTES.fullmatch(url) else None
    scheme = match[1].lower() if match else ""
    loopback = loopback_port(domain) is not None
    on_domain = match is not None and _is_host(scheme, match[2].lower(), domain, or_below=True)
    if match is None or match[5] is not None or not on_domain or not (scheme == "https" or loopback):
        where = f"an http URL on {domain}" if loopback else f"an https URL on {domain} or below it"
        raise WrongValue(f"url: {where}, without user, other port or fragment")


@lru_cache(maxsize=4096)
def _is_readable(host: str) -> bool:
    """Return whether every browser can parse a host name. Browsers differ in the ``xn--`` labels that they accept.

    IDNA 2008 is stricter than the WHATWG URL standard, whose versions accept different labels.
    """
    try:
        return all(idna.ulabel(label) for label in host.split(".") if label.startswith("xn--"))
    except UnicodeError:
        return False


def _is_host(scheme: str, authority: str, domain: str, *, or_below: bool = False) -> bool:
    """Return whether an authority is the domain at the scheme's default port. A loopback domain includes its port and requires http."""
    if loopback_port(domain) is not None:
        return scheme == "http" and authority == domain
    host = authority.removesuffix(f":{_DEFAULT_PORTS[scheme]}")
    if not _is_readable(host):
        return False
    if host == domain:
        return True
    return or_below and host.endswith(f".{domain}") and len(host) <= MAX_DOMAIN and _DOMAIN.fullmatch(host) is not None


def _own_parts(query: str | None) -> list[str]:
    """Return the parts of a query other than ``RESULT_PARAMETERS``, in any spelling and with any separator."""
    ours = {name.lower() for name in RESULT_PARAMETERS}
    parts = query.split("&") if query else []
    return [part for part in parts if not any(_name(piece) in ours for piece in part.split(";"))]


def _name(piece: str) -> str:
    """Return the name of a query parameter as the most lenient parser reads it."""
    return unquote_plus(piece.partition("=")[0]).strip().lower()


def local_path(text: str, otherwise: str) -> str:
    """Return ``text`` if it is a path on this host, for a redirect after sign-in; otherwise return ``otherwise``.

    Paths that a browser interprets as another host (``//host``, ``/\\host``) and paths with line breaks are rejected.
    """
    return text if re.fullmatch(r"/(?![/\\])[!#-\[\]-~]*", text) else otherwise
