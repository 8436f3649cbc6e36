"""The routes and views of the two websocket channels. A view runs before the 101, so its errors are ordinary HTTP responses.

Only ``connection.py`` and ``wire.py`` use the socket of a websocket. A channel receives events from its connection.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPMethodNotAllowed
from pyramid.response import Response

from ..errors import WrongField
from ..registry import KEY, Registry
from ..request import Request
from .appservice import AppServiceChannel
from .channel import Channel
from .device import DeviceChannel

NO_UPGRADE = "Upgrade: websocket is missing; this path is a websocket, and a proxy in front has to pass Upgrade and Connection on"


class _Websocket:
    """Route predicate that matches websocket requests."""

    def __init__(self, wanted: bool, config: Configurator) -> None:
        self._wanted = wanted

    def text(self) -> str:
        """Return the description that Pyramid shows."""
        return f"websocket = {self._wanted}"

    phash = text

    def __call__(self, info: Any, request: Request) -> bool:
        return _is_websocket(request) is self._wanted


def _is_websocket(request: Request) -> bool:
    """Return whether the client asks for a websocket, also when a proxy has removed ``Upgrade``."""
    return request.environ.get("wsgi.websocket") is not None or "Sec-WebSocket-Key" in request.headers


def _open(request: Request, channel: Channel) -> Response:
    connection = request.environ.get("wsgi.websocket")
    if connection is None:
        raise WrongField(NO_UPGRADE)
    connection.open(channel)
    return request.response


def _report_refusal(request: Request) -> None:
    """Answer a request without an upgrade with the error that a handshake would get. Pages of any origin may read the answer.

    A browser does not show a page why its websocket was refused.
    """
    request.add_response_callback(lambda _, response: response.headers.update({"Access-Control-Allow-Origin": "*"}))
    check = request.environ.get("wsgi.websocket.check")
    if check is not None:
        check(request.GET.get("origin", request.headers.get("Origin")))
    raise WrongField(NO_UPGRADE)


def device_channel(request: Request) -> Response:
    """Open the Device Presence Channel."""
    if request.method != "GET":
        raise HTTPMethodNotAllowed(headers=[("Allow", "GET")])
    if request.environ.get("wsgi.websocket") is None:
        _report_refusal(request)
    return _open(request, _new_device_channel(request.shared))


def _new_device_channel(registry: Registry) -> DeviceChannel:
    return DeviceChannel(registry.services, registry.settings, registry.clock)


def appservice_channel(request: Request) -> Response:
    """Open the AppService Presence Channel of an application.

    :raises Refused: the application does not exist or is not active.
    """
    registry, appid = request.shared, request.matchdict["appid"]
    registry.services.api_keys.require_active(appid)
    return _open(request, AppServiceChannel(appid, registry.services, registry.settings, registry.clock))


def includeme(config: Configurator) -> None:
    """Add the routes of the channels. Without a websocket, the REST view answers at the path of an application.

    The view of the device channel has nothing to check in an ordinary handshake, so ``first_request`` opens the channel without it.
    """
    registry = config.registry[KEY]
    registry.gate.direct_channels["/presence"] = partial(_new_device_channel, registry)
    config.add_route_predicate("websocket", _Websocket)
    config.add_route("device_channel", "/presence")
    config.add_view(device_channel, route_name="device_channel")
    config.add_route("appservice_channel", "/myapps/{appid}", request_method="GET", websocket=True)
    config.add_view(appservice_channel, route_name="appservice_channel")
