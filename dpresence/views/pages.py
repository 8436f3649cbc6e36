"""Pages for browsers. Only clients that name ``text/html`` in ``Accept`` get HTML; every page has a strict content security policy."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

from pyramid.httpexceptions import HTTPSeeOther, HTTPTemporaryRedirect
from pyramid.renderers import render_to_response
from pyramid.response import Response

from ..errors import Refused, UnknownPath
from ..pictures import Picture
from ..request import Request
from ..service.accounts import csrf_token
from ..settings import PagesSettings
from .catalogues import Catalogue, catalogues
from .headers import page_policy
from .language import chosen_language
from .templates import Template, sign
from .validators import cookie_name, is_operator


def wants_page(request: Request) -> bool:
    """Return whether the client names ``text/html`` in ``Accept``."""
    ranges = getattr(request.accept, "parsed", None) or ()
    return any(str(range_[0]).lower() == "text/html" and range_[1] > 0 for range_ in ranges)


@dataclass(frozen=True, slots=True)
class Visitor:
    """The variables that the templates of all pages have.

    :param root: path of this service, without a final slash.
    :param email: address of the signed-in user, None without a session.
    :param csrf: CSRF token of the session, None without one.
    :param here: path of the page, without ``root``.
    :param pages: the operator's name and links.
    :param logo: the operator's logo, None without one.
    :param catalogue: the texts in the language of the page.
    :param catalogues: those of all languages.
    :param chosen: the language that the person has chosen; empty if the browser's wish decides.
    :param admin: the user is an operator.
    """

    root: str
    here: str
    pages: PagesSettings
    logo: Picture | None
    development: bool
    catalogue: Catalogue
    catalogues: Collection[Catalogue]
    chosen: str
    email: str | None = None
    csrf: str | None = None
    admin: bool = False


def page(request: Request, template: Template, *, status: int = 200, form_target: str = "") -> Response:
    """Return a page; its header shows the signed-in user.

    :param form_target: another origin that the page's form may redirect to.
    """
    visitor = _visitor(request, look=status < 500)
    texts = visitor.catalogue
    functions = {"_": texts.gettext, "gettext": texts.gettext, "ngettext": texts.ngettext, "sign": partial(sign, visitor.root)}
    values = {**_variables(visitor), **_variables(template), **functions}
    response = render_to_response(f"dpresence:templates/{template.name}.jinja2", values, request=request)
    response.status_int = status
    response.headers.update({"Content-Language": texts.language, "Vary": "Accept, Accept-Language, Cookie"})
    response.headers["Content-Security-Policy"] = page_policy(request.shared.settings.identity.audience, form_target)
    return response


def _variables(item: Visitor | Template) -> dict[str, object]:
    return {field.name: getattr(item, field.name) for field in fields(item)}


def _visitor(request: Request, look: bool) -> Visitor:
    """Return the variables of the visitor.

    :param look: whether to look up the session if no validator has; False if the directory may be unavailable.
    """
    settings = request.shared.settings
    here = request.environ["PATH_INFO"]  # ``request.path`` fails where it is no text
    texts = catalogues()
    languages = texts[request.locale_name], texts.values(), chosen_language(request)
    visitor = Visitor(request.script_name, here, settings.pages, request.shared.logo, settings.identity.development, *languages)
    cookie = request.cookies.get(cookie_name(request), "")
    known = getattr(request, "validated", {})  # missing if a tween refused the request
    account = known.get("account") if "session" in known else None
    if account is None and cookie and look:
        with suppress(Refused):
            _, account = request.services.accounts.session(cookie)
    if account is None:
        return visitor
    return replace(visitor, email=account.email, csrf=csrf_token(cookie), admin=is_operator(request, account))


def sign_in_first(request: Request) -> Response:
    """Return a redirect to the sign-in page, which leads back to this request, or to where a sign-in was to lead that this request ends."""
    return HTTPSeeOther(sign_in_page(request, wanted(request) or request.path_qs))


def sign_in_page(request: Request, next: str) -> str:
    """Return the path of the sign-in page.

    :param next: path that the sign-in leads to; empty for the home page.
    """
    login = f"{request.script_name}/login"
    return login if next in ("", f"{request.script_name}/") else f"{login}?next={quote(next, safe='')}"


def wanted(request: Request) -> str:
    """Return the path that the sign-in leads to of which a request is a part, "" for other requests."""
    known = getattr(request, "validated", {})  # missing if a tween refused the request
    return str(known.get("next", ""))


def development_cookie(request: Request) -> str:
    """Return the name of the development token's cookie. It contains the port, as all ports of a host share their cookies."""
    return f"dpresence-development-{urlsplit(request.shared.settings.identity.audience).port or 80}"


def for_browsers(request: Request, **_: object) -> None:
    """Refuse requests that do not accept a page.

    :raises UnknownPath: this path has no other representation.
    """
    if not wants_page(request):
        raise UnknownPath("this path is a page: Accept has to name text/html")


def redirect_to_audience(request: Request, **_: Any) -> None:
    """Redirect a browser that used another name of this machine to the audience, the origin that assertions are made for (section 8)."""
    registry = request.shared
    audience = registry.settings.identity.audience
    if registry.development_issuer and wants_page(request) and request.host_url != audience:
        raise HTTPTemporaryRedirect(audience + request.path_qs)
