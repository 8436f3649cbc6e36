"""The question of the grant page: an answer counts only once the person can have read it (docs/protocol.md, section 6).

Another site can open the page under the pointer between the two clicks of a double click. A page that runs scripts keeps its buttons
dead meanwhile (``static/page.js``). For one that does not, the form says when it was made.
"""

from __future__ import annotations

import hmac
from math import ceil

from ..errors import Forbidden, SlowDown
from ..request import Request
from ..service.accounts import csrf_token
from .validators import cookie_name, form

READ_MS = 1000


def form_token(cookie: str, made_at: int) -> str:
    """Return the field ``csrf`` of a form: the CSRF token, when the form was made (milliseconds), and the proof of that."""
    return f"{csrf_token(cookie)}.{made_at}.{_signature(cookie, made_at)}"


def form_token_of(request: Request) -> str:
    """Return the field ``csrf`` of a form that is made now, for the session of a request."""
    return form_token(request.cookies.get(cookie_name(request), ""), _now(request))


def check_was_read(request: Request) -> None:
    """Refuse the form of a browser session that was made less than a second ago.

    :raises Forbidden: it does not say when it was made.
    :raises SlowDown: it is too new.
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
    return request.dpresence.clock.now()
