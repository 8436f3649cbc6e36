"""Static files under ``/static/``. Browsers cache them but revalidate them each time, so that a page and its files match."""

from __future__ import annotations

import re
from hashlib import sha256

from pyramid.config import Configurator
from pyramid.response import Response
from pyramid.static import static_view

from ..request import Request
from .compression import compress
from .headers import REVALIDATED

FOR_ANYBODY = re.compile(r"presence(-[a-z]+)?\.js")
"""The client library and its modules, which pages of other origins may import (docs/clients.md)."""

_files = static_view("dpresence:static", cache_max_age=None, use_subpath=True)


def get_file(context: object, request: Request) -> Response:
    """Return a file, or 304 if the client's copy has the same content. Its time says nothing: that of an earlier version may be later."""
    response = _files(context, request)
    response.etag, response.last_modified = sha256(response.body).hexdigest()[:32], None
    compress(request, response)
    response.headers["Cache-Control"] = REVALIDATED
    if FOR_ANYBODY.fullmatch("/".join(request.subpath)):
        response.headers.update({"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"})
    return response


def includeme(config: Configurator) -> None:
    """Add the route."""
    config.add_route("static", "/static/*subpath", request_method=("GET", "HEAD"))
    config.add_view(get_file, route_name="static")
