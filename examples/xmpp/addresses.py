"""Addresses of contacts: PUIDs are case-sensitive, the local parts of JIDs are not."""

from __future__ import annotations

import base64


def local_part(puid: str) -> str:
    """Return the local part of the JID of a PUID: base32 in lower case, without padding."""
    return base64.b32encode(puid.encode()).decode().rstrip("=").lower()


def puid_of(local: str) -> str | None:
    """Return the PUID of a local part; None if there is none."""
    padded = local.upper() + "=" * (-len(local) % 8)
    try:
        puid = base64.b32decode(padded).decode()
    except ValueError:
        return None
    return puid if puid and local_part(puid) == local.lower() else None
