"""The language of the pages: what the person has chosen, else what their browser asks for (docs/pages.md)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response

from ..domains import local_path
from ..errors import UnknownPath, WrongField, WrongValue
from ..request import Request
from . import cornice_service
from .catalogues import ENGLISH, catalogues
from .compression import compress
from .headers import REVALIDATED
from .validators import cookie_name, form, same_origin

language = cornice_service("language", "/language")

KEPT_SECONDS = 31_536_000
"""How long a browser keeps the choice: a year."""


def negotiate(request: Any) -> str:
    """Return the language of a page: the one that was chosen, else the best match for ``Accept-Language`` (RFC 4647), else English."""
    return chosen_language(request) or str(request.accept_language.lookup(list(catalogues()), default_tag=ENGLISH, default=ENGLISH))


def chosen_language(request: Any) -> str:
    """Return the language that the person has chosen; empty if they have chosen none that the pages are in."""
    chosen = str(request.cookies.get(_cookie(request), ""))
    return chosen if chosen in catalogues() else ""


@language.post(validators=(same_origin,))
def post_language(request: Request) -> Response:
    """Keep the choice of a language in a cookie, delete it if the choice is empty, and return to the page."""
    chosen = _chosen(request)
    response = HTTPSeeOther(_previous(request))
    attributes = {"secure": request.shared.secure, "httponly": True, "samesite": "Lax"}
    response.set_cookie(_cookie(request), chosen, max_age=KEPT_SECONDS if chosen else 0, **attributes)
    return response


def _chosen(request: Request) -> str:
    """Return the language of the form.

    :raises WrongField: the form has none.
    :raises WrongValue: the pages are not in this language.
    """
    chosen = form(request).get("language")
    if chosen is None:
        raise WrongField("language: is missing")
    if chosen and chosen not in catalogues():
        raise WrongValue(f"language: empty or one of {', '.join(catalogues())}")
    return chosen


def get_texts(request: Request) -> Response:
    """Return the texts of scripts in a language, or 304 if the client's copy is current."""
    catalogue = catalogues().get(request.matchdict["language"])
    if catalogue is None or catalogue.language == ENGLISH:
        raise UnknownPath()
    response = Response(catalogue.script, content_type="text/javascript", charset="utf-8", conditional_response=True)
    response.etag, response.cache_control = catalogue.etag, REVALIDATED
    return compress(request, response)


def _cookie(request: Request) -> str:
    return f"{cookie_name(request)}-language"


def _previous(request: Request) -> str:
    """Return the path of the page that the form was on, or of the home page."""
    home = f"{request.script_name}/"
    try:
        came_from = urlsplit(request.referer or "")
    except ValueError:  # such as a host with one bracket
        return home
    if f"{came_from.scheme}://{came_from.netloc}" != request.shared.settings.identity.audience:
        return home
    return local_path(came_from.path + (f"?{came_from.query}" if came_from.query else ""), home)


def includeme(config: Configurator) -> None:
    """Find the catalogues, and add the routes; that of the texts comes before the one of static files."""
    catalogues()
    config.set_locale_negotiator(negotiate)
    config.add_route("texts", "/static/texts-{language}.js", request_method=("GET", "HEAD"))
    config.add_view(get_texts, route_name="texts")
    config.scan(__name__)
