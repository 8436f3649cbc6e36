"""IP addresses: what counts as one, and whom a trusted proxy speaks for."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence


def network(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 of an IPv6 one."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False))


def plain_address(text: str) -> str | None:
    """Return an IP address in its usual form, an IPv4 one also when it came mapped into IPv6; None for anything else."""
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def is_in(text: str, networks: Sequence[str]) -> bool:
    """Whether ``text`` is an address of one of these networks."""
    address = plain_address(text)
    return address is not None and any(ipaddress.ip_address(address) in ipaddress.ip_network(network) for network in networks)


def client_address(hops: Sequence[str], proxies: Sequence[str]) -> str:
    """Return who a trusted proxy speaks for: the last hop that is no proxy of ours.

    :param hops: those of ``X-Forwarded-For``, then the peer itself, whose word is taken when the header is malformed.
    """
    peer = plain_address(hops[-1]) or ""
    for hop in reversed(hops[:-1]):
        address = plain_address(hop)
        if address is None:
            return peer
        if not is_in(address, proxies):
            return address
    return peer
