"""The icons of applications (docs/protocol.md, section 6)."""

from __future__ import annotations

from pyramid.response import Response

from ..messages import ApplicationBody
from ..request import Request
from . import cornice_service
from .validators import no_body, owned_application, user

icon = cornice_service("application icon", "/myapps/{appid}/icon")
current_icon = cornice_service("current icon", "/icons/{appid}")
shown_icon = cornice_service("icon", "/icons/{appid}/{version}")

_FOREVER = "public, max-age=31536000, immutable"
_FIVE_MINUTES = "public, max-age=300"


@icon.put(validators=(user, owned_application))
def put_icon(request: Request) -> ApplicationBody:
    """Replace the icon of an application by the picture in the body."""
    application, requester = request.validated["application"], request.validated["requester"]
    return ApplicationBody.of(request.services.icons.put(application, request.body, requester))


@icon.delete(validators=(user, owned_application, no_body))
def delete_icon(request: Request) -> Response:
    """Remove the icon of an application."""
    request.services.icons.remove(request.validated["application"], request.validated["requester"])
    return Response(status=204)


@current_icon.get()
def get_current_icon(request: Request) -> Response:
    """Return the present icon of an application, for a device that knows only the application's id."""
    return _picture(request.services.icons.current(request.matchdict["appid"]), _FIVE_MINUTES)


@shown_icon.get()
def get_application_icon(request: Request) -> Response:
    """Return the icon of an application. A changed icon has another address, so that browsers need not ask again."""
    icon = request.services.icons.find(request.matchdict["appid"], request.matchdict["version"])
    return _picture(icon, _FOREVER)


def _picture(icon: bytes, cache_control: str) -> Response:
    return Response(icon, content_type="image/webp", charset=None, cache_control=cache_control)
