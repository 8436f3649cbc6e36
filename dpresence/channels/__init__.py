"""The two websocket channels. Their views run before the 101: what they refuse is an ordinary HTTP answer.

``connection.py`` and ``wire.py`` are the only files that touch a websocket; a channel is driven by its events.
"""

from __future__ import annotations

from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPMethodNotAllowed
from pyramid.request import Request
from pyramid.response import Response

from ..errors import WrongField
from .appservice import AppServiceChannel
from .device import DeviceChannel


class _Websocket:
    """Route predicate: whether the request may become a channel."""

    def __init__(self, wanted: bool, config: Configurator) -> None:
        self._wanted = wanted

    def text(self) -> str:
        """Return how Pyramid shows it."""
        return f"websocket = {self._wanted}"

    phash = text

    def __call__(self, info: Any, request: Request) -> bool:
        return _is_websocket(request) is self._wanted


def _is_websocket(request: Request) -> bool:
    return request.environ.get("wsgi.websocket") is not None


def device_channel(request: Request) -> Response:
    """Open the Device Presence Channel."""
    if request.method != "GET":
        raise HTTPMethodNotAllowed(headers=[("Allow", "GET")])
    if not _is_websocket(request):
        raise WrongField("Upgrade: websocket is missing; this path is a websocket")
    parts = request.registry["dpresence"]
    request.environ["wsgi.websocket"].open(DeviceChannel(parts.presence, parts.settings, parts.clock))
    return request.response


def appservice_channel(request: Request) -> Response:
    """Open the AppService Presence Channel of an application that exists and is active."""
    parts, appid = request.registry["dpresence"], request.matchdict["appid"]
    parts.presence.applications.reachable(appid)
    request.environ["wsgi.websocket"].open(AppServiceChannel(appid, parts.presence, parts.settings, parts.clock))
    return request.response


def includeme(config: Configurator) -> None:
    """Add the routes of the channels; that of an application gives way to REST without a websocket."""
    config.add_route_predicate("websocket", _Websocket)
    config.add_route("device_channel", "/presence")
    config.add_view(device_channel, route_name="device_channel")
    config.add_route("appservice_channel", "/myapps/{appid}", request_method="GET", websocket=True)
    config.add_view(appservice_channel, route_name="appservice_channel")
