"""The home page, the operator's logo and the sidebar (docs/pages.md)."""

from __future__ import annotations

from pyramid.response import Response

from ..errors import NotFound
from ..messages import Version
from ..request import Request
from . import cornice_service, templates
from .compression import compress
from .headers import REVALIDATED
from .ops import service_version
from .pages import for_browsers, page, redirect_to_audience, wants_page
from .validators import session

home = cornice_service("home", "/")
logo = cornice_service("logo", "/logo")
sidebar = cornice_service("sidebar", "/sidebar")


@home.get(validators=(redirect_to_audience,))
def get_home(request: Request) -> Response | Version:
    """Return the home page, or the service's name and version for a program."""
    if not wants_page(request):
        return service_version()
    return page(request, templates.Home(request.shared.settings.identity.audience))


@logo.get()
def get_logo(request: Request) -> Response:
    """Return the operator's logo. The policy of every answer keeps an SVG from running scripts and loading anything."""
    picture = request.shared.logo
    if picture is None:
        raise NotFound()
    response = Response(picture.data, content_type=picture.content_type, charset=None, conditional_response=True)
    response.etag, response.cache_control = picture.digest, REVALIDATED
    return compress(request, response)


@sidebar.get(validators=(for_browsers, redirect_to_audience, session))
def get_sidebar(request: Request) -> Response:
    """Return the page with the user's status, devices and grants; the page connects as a device itself."""
    return page(request, templates.Sidebar(request.shared.settings.presence.inbox_days))
