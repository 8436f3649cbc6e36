"""Client addresses behind trusted proxies, from ``X-Forwarded-For`` and ``Forwarded`` (RFC 7239)."""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Mapping, Sequence

from ..addresses import plain_address
from ..limits import LogLimit

log = logging.getLogger("dpresence.server")

_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([0-9.]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?")
"""Matches ``203.0.113.1:50001`` and ``[2001:db8::1]:443``, with obfuscated ports too (RFC 7239, section 6.3)."""
_PAIR = re.compile(r'[ \t]*+([!#$%&\'*+.^_`|~0-9A-Za-z-]++)=(?:"((?:[^"\\]|\\.)*+)"|([^\s";,]*+))[ \t]*+([;,]|$)')
_EMPTY = re.compile(r"[ \t,]*+")
_SCHEMES = ("http", "https")


class Forwarding:
    """Reads the forwarding headers of trusted proxies. It logs one warning per kind of error in them.

    :param proxies: ``channels.trusted_proxies``.
    :param warns: also warn of forwarding headers from untrusted peers.
    """

    def __init__(self, proxies: Sequence[str], warnings: LogLimit, warns: bool = True) -> None:
        self._proxies = [ipaddress.ip_network(proxy) for proxy in proxies]
        self._warnings = warnings
        self._warns = warns

    def trusts(self, address: str | None) -> bool:
        """Return whether an address is that of a trusted proxy."""
        plain = plain_address(address or "") if self._proxies else None
        return plain is not None and any(ipaddress.ip_address(plain) in proxy for proxy in self._proxies)

    def client(self, environ: Mapping[str, str]) -> tuple[str, str | None]:
        """Return the client's address, and the scheme (``http`` or ``https``) that the proxy states, or None.

        The client is the last hop that is not a trusted proxy. The result is the peer's own address if there is no such hop, if a
        header is malformed, or if the two headers differ, because then one of them may be the client's own.

        :param environ: the WSGI environ of the request.
        """
        peer = plain_address(environ.get("REMOTE_ADDR", "")) or environ.get("REMOTE_ADDR", "")
        listed, forwarded = environ.get("HTTP_X_FORWARDED_FOR", ""), environ.get("HTTP_FORWARDED", "")
        if not self.trusts(peer):
            if self._warns and (listed or forwarded):
                self._warnings.warn(log, f"a request from {peer} has forwarding headers, which are ignored: if it is your proxy, add it to "
                                 "channels.trusted_proxies", "untrusted")  # fmt: skip
            return peer, None
        elements = forwarded_elements(forwarded)
        hops = [hop.strip() for hop in listed.split(",") if hop.strip()], [element.get("for", "") for element in elements]
        schemes = (environ.get("HTTP_X_FORWARDED_PROTO", ""), elements[-1].get("proto", "") if elements else "")
        return self._one_client(hops, peer), next((scheme.lower() for scheme in schemes if scheme.lower() in _SCHEMES), None)

    def _one_client(self, headers: Sequence[Sequence[str]], peer: str) -> str:
        found = {self._last_client(hops, peer) for hops in headers if hops}
        if len(found) > 1:
            self._warnings.warn(log, f"the proxy {peer} sends X-Forwarded-For and Forwarded that name two clients: it must remove the one "
                             "that it does not write; its own address counts instead", "two")  # fmt: skip
        return found.pop() if len(found) == 1 else peer

    def _last_client(self, hops: Sequence[str], peer: str) -> str:
        for hop in reversed(hops):
            address = node_address(hop)
            if address is None:
                self._warnings.warn(log, f"the proxy {peer} sends X-Forwarded-For or Forwarded without the address of its client "
                                 f"({hop[:100]!r}): its own address counts instead", "unreadable")  # fmt: skip
                return peer
            if not self.trusts(address):
                return address
        return peer


def node_address(text: str) -> str | None:
    """Return the IP address of a hop, without its port and brackets; None for anything else."""
    node = _NODE.fullmatch(text)
    return plain_address(node[1] or node[2] if node else text)


def forwarded_elements(header: str) -> list[dict[str, str]]:
    """Return the elements of a ``Forwarded`` header, each as its parameters by name in lower case.

    A malformed header gives one element without parameters, because an unbalanced quote may hide the elements of later proxies.
    """
    elements: list[dict[str, str]] = []
    position, separator = _skip_empty(header, 0), ","
    while position < len(header):
        if separator == ",":
            elements.append({})
        pair = _PAIR.match(header, position)
        if pair is None or pair[1].lower() in elements[-1]:
            return [{}]
        elements[-1][pair[1].lower()] = pair[3] if pair[2] is None else re.sub(r"\\(.)", r"\1", pair[2])
        position, separator = pair.end(), pair[4]
        if separator == ",":
            position = _skip_empty(header, position)
    return elements


def _skip_empty(header: str, position: int) -> int:
    """Return the position of the next non-empty list element (RFC 9110, 5.6.1.2)."""
    match = _EMPTY.match(header, position)
    return match.end() if match else position
