"""IP addresses: the key that rate limits count them by, and their canonical form."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from functools import lru_cache
from socket import AF_INET, inet_ntop, inet_pton

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@lru_cache(1024)  # each limit looks it up
def network(address: str) -> str:
    """Return the key of an address for limits: the address itself for IPv4, also behind a NAT64 (RFC 6052), its /64 network for IPv6."""
    if ":" not in address:
        return address
    given = ipaddress.IPv6Address(address)
    if given in _NAT64:
        return str(ipaddress.IPv4Address(int(given) & 0xFFFF_FFFF))
    return str(ipaddress.ip_network((address, 64), strict=False))


@lru_cache(1024)  # a connection looks its peer up several times, and parsing takes 4 us
def plain_address(text: str) -> str | None:
    """Return an IP address in canonical form, or None if ``text`` is none. An IPv4-mapped IPv6 address becomes IPv4."""
    with suppress(OSError, ValueError):  # nearly all are IPv4, which C functions recognize in a tenth of the time
        return inet_ntop(AF_INET, inet_pton(AF_INET, text))
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
