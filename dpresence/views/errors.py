"""Translates refusals into HTTP responses: one function builds the body, and the errno table determines the status."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from pyramid.config import Configurator
from pyramid.exceptions import URLDecodeError
from pyramid.httpexceptions import HTTPException
from pyramid.response import Response

from ..errors import Forbidden, InternalError, MethodNotAllowed, NoCredentials, NotAnObject, Refused, SessionEnded, UnknownPath, WrongValue
from ..logs import current_request
from ..messages import Refusal, encode
from ..request import Request
from . import templates
from .error_texts import explain
from .pages import page, sign_in_first, sign_in_page, wanted, wants_page
from .validators import form, is_form

log = logging.getLogger(__name__)

_QUESTIONS = {"grant": "redirect", "pair answer": "code"}
"""By the name of the route of an answer, the field of its form that the page of the question needs."""
_BY_STATUS: dict[int, type[Refused]] = {400: NotAnObject, 403: Forbidden, 404: UnknownPath}


def answer(refused: Refused, request: Request) -> Response:
    """Return the HTTP response for a refusal: the error object, or a page for a browser."""
    if wants_page(request):
        response = _page_of(refused, request)
    else:
        response = Response(encode(Refusal.of(refused)), status=refused.status, content_type="application/json", charset=None)
    if response.status_int >= 400:  # redirects to the sign-in page are not counted
        request.services.metrics.refused(refused.errno)
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(refused.retry_after)
    if isinstance(refused, MethodNotAllowed):
        response.headers["Allow"] = refused.allowed
    if refused.status == 401:
        response.headers["WWW-Authenticate"] = "BrowserID, Bearer"
    return response


def _page_of(refused: Refused, request: Request) -> Response:
    if request.method in ("GET", "HEAD") and isinstance(refused, NoCredentials | SessionEnded):
        return sign_in_first(request)
    route = getattr(request.matched_route, "name", "")
    explanation, again = explain(refused.errno, route, refused.details), _again(request, route)
    ways = {"again": again, "sign in": sign_in_page(request, again or wanted(request)), "": None}
    way, question = ways[explanation.way], route == "grant"
    template = templates.Error(explanation, way, question, refused.errno, refused.error, refused.retry_after)
    return page(request, template, status=refused.status)


def _again(request: Request, route: str) -> str | None:
    """Return the address at which a page can be opened again: ``""`` for itself, or the question that a form answered; or None.

    The page contains no other address, so that its bytes are the same for an unknown object and for one of another user.
    """
    if request.method in ("GET", "HEAD"):
        return ""
    if route not in _QUESTIONS:
        return None
    field = _QUESTIONS[route]
    try:
        asked = form(request).get(field, "") if is_form(request) else ""
    except Refused:
        asked = ""
    return f"{request.path.removesuffix('/answer')}?{field}={quote(asked, safe='')}"


def refused(context: Refused, request: Request) -> Response:
    """Respond to a refusal by the service or a validator."""
    return answer(context, request)


def http_exception(context: HTTPException, request: Request) -> Any:
    """Respond to errors of Pyramid and Cornice with the errors of the table."""
    if context.status_int == MethodNotAllowed.status:
        return answer(MethodNotAllowed(allowed=context.headers.get("Allow", "")), request)
    kind = _BY_STATUS.get(context.status_int)
    return context if kind is None else answer(kind(), request)


def unexpected(context: Exception, request: Request) -> Response:
    """Respond to an unexpected exception: the log contains it under the request id that the client receives."""
    request_id = current_request()
    log.error("request %s: %s %s failed", request_id, request.method, request.path, exc_info=context)
    return answer(InternalError(f"internal error, request {request_id}", details=request_id), request)


def undecodable(context: UnicodeDecodeError, request: Request) -> Response:
    """Respond to a path or query that is not UTF-8."""
    if isinstance(context, URLDecodeError):
        return answer(UnknownPath(), request)
    try:
        request.GET  # noqa: B018 raises the error if the query is invalid
    except UnicodeDecodeError:
        return answer(WrongValue("the query: text in UTF-8"), request)
    return unexpected(context, request)


def includeme(config: Configurator) -> None:
    """Add the exception views."""
    config.add_exception_view(refused, context=Refused)
    config.add_exception_view(http_exception, context=HTTPException)
    config.add_notfound_view(http_exception)
    config.add_forbidden_view(http_exception)
    config.add_exception_view(undecodable, context=UnicodeDecodeError)
    config.add_exception_view(unexpected, context=Exception)
