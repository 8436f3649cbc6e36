"""What may be an application's domain, and what may be a redirect or an action of it (docs/protocol.md, sections 5 and 6).

A URL is compared as text: its authority must be the domain letter for letter, so a browser that reads URLs in another way
than Python still goes nowhere else. What is left of a host name is what every browser can parse.
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
# printable ASCII without space and \ " < > ^ ` { | }, which browsers and servers read differently
_URL_BYTES = re.compile(r"[!#-;=?-\[\]_a-z~]+")
# scheme, authority, path, query, fragment: RFC 3986, appendix B, with the first two required
_URL = re.compile(r"(https?)://([^/?#]+)([^?#]*)(?:\?([^#]*))?(#.*)?", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9._-]+")


def check_domain(text: str, allow_loopback: bool) -> str:
    """Return the canonical (lower-case) form of an application's domain.

    A domain is a host name with at least one dot: no port, no trailing dot, no IP address in any spelling. Public suffixes
    (``co.uk``, ``github.io``) are not known here: beyond the dot, the proof at ``/__presence`` says whose a domain is.

    :param allow_loopback: whether ``localhost:<port>`` and ``127.0.0.1:<port>`` are domains too.
    :raises WrongValue: it is not a domain.
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
    """Return a domain that was given as an URL without path, as the prototype of 2013 took it; any other text unchanged."""
    match = re.fullmatch(r"https?://([^/]*)/?", text, re.IGNORECASE)
    return match[1] if match else text


def loopback_port(domain: str) -> int | None:
    """Return the port of ``localhost:<port>`` or ``127.0.0.1:<port>``, None for every other text."""
    match = _LOOPBACK.fullmatch(domain)
    port = int(match[1]) if match else None
    return port if port is not None and port <= 65535 else None


def redirect_url(redirect: str, domain: str, proof: Literal["https", "http"], parameter: tuple[str, str]) -> str:
    """Return the URL that takes the browser back to the application with the answer of the grant page.

    It is rebuilt from its parts: scheme, the domain, path, its own query without earlier answers, and ``parameter``.

    :param domain: the validated domain, canonical.
    :param proof: how the domain was validated; plain http is allowed only where the proof was.
    :param parameter: name and value to append.
    :raises WrongValue: the redirect is not an URL of that domain.
    """
    match = _URL.fullmatch(redirect) if len(redirect) <= MAX_REDIRECT and _URL_BYTES.fullmatch(redirect) else None
    if match is None or match[5] is not None or not _is_host(match[1].lower(), match[2].lower(), domain):
        raise WrongValue(f"redirect: an URL on {domain}, without user, other port or fragment, up to {MAX_REDIRECT} characters")
    scheme = match[1].lower()
    if scheme == "http" and proof != "http":
        raise WrongValue("redirect: must be https")
    query = "&".join([*_own_parts(match[4]), urlencode([parameter])])
    return f"{scheme}://{domain}{match[3] or '/'}?{query}"


def check_action(action: str, domain: str) -> None:
    """Check what a notification asks for: nothing, a word, or an http(s) URL on the domain or below it.

    Its length is not checked here.

    :param domain: the validated domain, canonical.
    :raises BadAction: it is none of these.
    """
    if not action or _WORD.fullmatch(action):
        return
    match = _URL.fullmatch(action) if _URL_BYTES.fullmatch(action) else None
    if match is None or not _is_host(match[1].lower(), match[2].lower(), domain, or_below=True):
        raise BadAction()


@lru_cache(maxsize=4096)
def _is_readable(host: str) -> bool:
    """Return whether every browser can parse a host name: the ``xn--`` labels decide, for some refuse what others accept.

    IDNA 2008 is stricter than the WHATWG URL standard, in which labels that were valid have become invalid and the reverse.
    """
    try:
        return all(idna.ulabel(label) for label in host.split(".") if label.startswith("xn--"))
    except UnicodeError:
        return False


def _is_host(scheme: str, authority: str, domain: str, *, or_below: bool = False) -> bool:
    """Return whether an authority names the domain at the scheme's default port; a loopback domain brings its own, over http."""
    if loopback_port(domain) is not None:
        return scheme == "http" and authority == domain
    host = authority.removesuffix(f":{_DEFAULT_PORTS[scheme]}")
    if not _is_readable(host):
        return False
    if host == domain:
        return True
    return or_below and host.endswith(f".{domain}") and len(host) <= MAX_DOMAIN and _DOMAIN.fullmatch(host) is not None


def _own_parts(query: str | None) -> list[str]:
    """Return the parts of a query that carry no answer of ours, however its name is spelled or separated."""
    ours = {name.lower() for name in RESULT_PARAMETERS}
    parts = query.split("&") if query else []
    return [part for part in parts if not any(_name(piece) in ours for piece in part.split(";"))]


def _name(piece: str) -> str:
    """Return a parameter's name as the most lenient reader would take it."""
    return unquote_plus(piece.partition("=")[0]).strip().lower()


def local_path(text: str, otherwise: str) -> str:
    """Return a path of this host to go to after signing in; ``otherwise`` when ``text`` is none.

    What a browser would take for another host (``//host``, ``/\\host``) or for more than one line is none.
    """
    return text if re.fullmatch(r"/(?![/\\])[!#-\[\]-~]*", text) else otherwise
