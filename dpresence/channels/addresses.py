"""IP addresses: what counts as one, and their usual form."""

from __future__ import annotations

import ipaddress


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
