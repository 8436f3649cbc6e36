"""What the pages are made of, under ``/static/``: kept by browsers, and asked about each time, so that a page and its parts agree."""

from __future__ import annotations

import re

from pyramid.config import Configurator
from pyramid.response import Response
from pyramid.static import static_view

from ..request import Request

FOR_ANYBODY = re.compile(r"presence(-[a-z]+)?\.js")
"""The client that pages of other origins may import, and its parts (docs/clients.md)."""

_files = static_view("dpresence:static", cache_max_age=None, use_subpath=True)


def get_file(context: object, request: Request) -> Response:
    """Answer a file; 304 to who has it."""
    response = _files(context, request)
    response.headers["Cache-Control"] = "public, no-cache"
    if FOR_ANYBODY.fullmatch("/".join(request.subpath)):
        response.headers.update({"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"})
    return response


def includeme(config: Configurator) -> None:
    """Add the route."""
    config.add_route("static", "/static/*subpath", request_method=("GET", "HEAD"))
    config.add_view(get_file, route_name="static")
