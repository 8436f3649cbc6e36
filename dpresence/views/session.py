"""Sign-in and sign-out of a browser session, and tickets for pages (docs/protocol.md, sections 2 and 6)."""

from __future__ import annotations

import re
from contextlib import suppress

from pyramid.response import Response

from ..domains import local_path
from ..errors import MethodNotAllowed, Refused
from ..messages import LoggedIn, LoggedOut, Login, Logout, NewTicket
from ..model import Application
from ..request import Request
from ..service.accounts import csrf_token
from . import cornice_service, templates
from .pages import development_cookie, page, redirect_to_audience, wants_page
from .validators import Body, check_is_assertion, cookie_name, no_body, same_origin, session

login = cornice_service("login", "/login")
logout = cornice_service("logout", "/logout")
ticket = cornice_service("ticket", "/ticket")

credentials, extent = Body(Login), Body(Logout, optional=True)


@login.get(validators=(redirect_to_audience,))
def get_login(request: Request) -> Response:
    """Return the sign-in page."""
    if not wants_page(request):
        raise MethodNotAllowed("POST an assertion; the page is for browsers", allowed="POST")
    registry = request.shared
    token = registry.development_token
    next = local_path(request.GET.get("next", ""), f"{request.script_name}/")
    template = templates.Login(
        next=next,
        asking=_asking(request, next),
        providers=list(registry.clients.providers.values()),
        issuers=registry.settings.browserid.issuers,
        token_file=token.file.name if token and not token.matches(request.cookies.get(development_cookie(request), "")) else None,
    )
    return page(request, template)


def _asking(request: Request, next: str) -> Application | None:
    """Return the application whose request for access is at the path ``next``."""
    asked = re.match(re.escape(request.script_name) + r"/grant/([A-Za-z0-9_-]+)(\?|$)", next)
    with suppress(Refused):
        return request.services.grants.grantable(asked[1]) if asked else None
    return None


@login.post(validators=(same_origin, credentials))
def post_login(request: Request) -> LoggedIn:
    """Open a browser session with an assertion."""
    assertion = credentials.of(request).assertion
    check_is_assertion(assertion)
    previous = request.cookies.get(cookie_name(request), "")
    account, cookie = request.services.accounts.login(assertion, request.remote_addr, previous)
    _set_cookie(request, request.response, cookie, request.shared.settings.identity.session_seconds)
    return LoggedIn(account.email, csrf_token(cookie))


@logout.post(validators=(session, extent))
def post_logout(request: Request) -> LoggedOut:
    """End this browser session, or all of them."""
    request.services.accounts.logout(request.validated["session"], extent.of(request).everywhere)
    _set_cookie(request, request.response, "", seconds=0)
    return LoggedOut()


@ticket.post(validators=(session, no_body))
def post_ticket(request: Request) -> NewTicket:
    """Return a ticket, with which a page opens a device channel."""
    return NewTicket(request.services.accounts.issue_ticket(request.validated["signed_in"]))


def _set_cookie(request: Request, response: Response, value: str, seconds: int) -> None:
    """Set or delete the session cookie; browsers delete a ``__Host-`` cookie only if the attributes are the same."""
    secure = request.shared.secure
    response.set_cookie(cookie_name(request), value, max_age=seconds, secure=secure, httponly=True, samesite="Lax")
