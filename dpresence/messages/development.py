"""Bodies of the development issuer (docs/protocol.md, section 8)."""

from __future__ import annotations

from msgspec import Struct

from .fields import Email


class DevelopmentAssertion(Struct, forbid_unknown_fields=True):
    """``POST /__dev__/assertion`` (section 8)."""

    email: Email
