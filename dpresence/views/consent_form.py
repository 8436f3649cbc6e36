"""Forms of pages that ask for a consent: an answer counts only if the user had time to read the question (docs/protocol.md, section 6).

Another site can open the page under the pointer between the two clicks of a double click. A page with scripts disables its buttons
during that time (``static/click-guard.js``). For a page without scripts, the form contains the time at which it was created.
"""

from __future__ import annotations

import hmac
from math import ceil

from ..errors import Forbidden, SlowDown, WrongField
from ..request import Request
from ..service.accounts import csrf_token
from .validators import cookie_name, form

READ_MS = 1000


def form_token(cookie: str, made_at: int) -> str:
    """Return the form field ``csrf``: the CSRF token, the creation time of the form (milliseconds), and a signature of that time."""
    return f"{csrf_token(cookie)}.{made_at}.{_signature(cookie, made_at)}"


def form_token_of(request: Request) -> str:
    """Return the form field ``csrf`` of a form created now, for the session of a request."""
    return form_token(request.cookies.get(cookie_name(request), ""), _now(request))


def is_allowed(request: Request) -> bool:
    """Return whether the form allows or denies.

    :raises WrongField: it does both or neither.
    """
    fields = form(request)
    if ("allow" in fields) == ("deny" in fields):
        raise WrongField("allow: is missing; either allow or deny")
    return "allow" in fields


def check_age(request: Request) -> None:
    """Refuse a form of a browser session that was created less than a second ago.

    :raises Forbidden: its creation time is missing or not signed by this service.
    :raises SlowDown: it is too recent.
    """
    _, _, stamp = form(request).get("csrf", "").partition(".")
    made, _, signature = stamp.partition(".")
    made_at = int(made) if made.isascii() and made.isdigit() and len(made) < 16 else -1
    if not hmac.compare_digest(signature.encode(), _signature(request.cookies.get(cookie_name(request), ""), made_at).encode()):
        raise Forbidden("csrf: is not that of a form of this service")
    left = made_at + READ_MS - _now(request)
    if left > 0:
        raise SlowDown("the answer came within a second of the question", retry_after=ceil(left / 1000))


def _signature(cookie: str, made_at: int) -> str:
    return hmac.digest(cookie.encode(), b"form:%d" % made_at, "sha256").hex()


def _now(request: Request) -> int:
    return request.shared.clock.now()
