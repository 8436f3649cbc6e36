"""Public and private IP addresses, and the look-up of host names.

Names are resolved by c-ares without a thread, so a look-up without an answer blocks nothing and ends with the caller's deadline.
gevent resolves ``socket.getaddrinfo`` in ten threads; ten unanswered look-ups would block those for databases as well.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from gevent.resolver.ares import Resolver

# IANA's special-purpose address registries. Global unicast IPv6 is 2000::/3, which excludes NAT64 and IPv4-compatible addresses.
_UNICAST = ipaddress.IPv6Network("2000::/3")
_RESERVED = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24
    192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3
    2001::/23 2001:db8::/32 2002::/16 3fff::/20
"""
_SPECIAL = tuple(ipaddress.ip_network(network) for network in _RESERVED.split())


def is_public(address: str) -> bool:
    """Return whether an IP address is public: global unicast, and not a tunnel to an IPv4 address."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif ip not in _UNICAST:
            return False
    return not any(ip in network for network in _SPECIAL)


def look_up(domain: str, port: int, type: int = 0) -> Sequence[tuple[Any, ...]]:
    """Resolve a name by c-ares with the resolver's current configuration; return the same as ``socket.getaddrinfo``.

    :raises OSError: the name has no address.
    """
    resolver = Resolver(use_environ=False)
    try:
        found: Sequence[tuple[Any, ...]] = resolver.getaddrinfo(domain, port, 0, type)
        return found
    finally:
        resolver.close()
