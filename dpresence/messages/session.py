"""Bodies of signing in and out with a browser (docs/protocol.md, section 6)."""

from __future__ import annotations

from msgspec import Struct

from .fields import Assertion, Flag


class Login(Struct, forbid_unknown_fields=True):
    """``POST /login``."""

    assertion: Assertion


class Logout(Struct, forbid_unknown_fields=True):
    """``POST /logout``."""

    everywhere: Flag = False
