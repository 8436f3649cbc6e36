"""Bodies of signing in and out with a browser (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from .fields import Assertion, Flag


class Login(Struct, forbid_unknown_fields=True):
    """``POST /login``."""

    assertion: Assertion


class Logout(Struct, forbid_unknown_fields=True):
    """``POST /logout``."""

    everywhere: Flag = False


class LoggedIn(Struct):
    """The answer to ``POST /login`` (section 6).

    :param email: the user's address.
    :param csrf: value of the header ``X-CSRF-Token`` for this session.
    """

    email: str
    csrf: str


class LoggedOut(Struct):
    """The answer to ``POST /logout`` (section 6)."""

    result: Literal["OK"] = "OK"


class JwkSet(Struct):
    """The answer to ``GET /login/<provider>/jwks`` (section 6; RFC 7517, 5).

    :param keys: public keys.
    """

    keys: list[dict[str, str]]


class NewTicket(Struct):
    """The answer to ``POST /ticket`` (section 6).

    :param ticket: opens one device channel (section 2).
    """

    ticket: str
