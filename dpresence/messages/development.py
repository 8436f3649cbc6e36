"""Bodies of the development issuer (docs/protocol.md, section 8)."""

from __future__ import annotations

from msgspec import Struct

from .fields import Email


class DevelopmentAssertion(Struct, forbid_unknown_fields=True):
    """``POST /__dev__/assertion`` (section 8)."""

    email: Email


class MintedAssertion(Struct):
    """The answer to ``POST /__dev__/assertion`` (section 8).

    :param assertion: a BrowserID bundle, valid for 2 minutes.
    """

    assertion: str
