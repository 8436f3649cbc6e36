"""The routes and views of the two websocket channels, and of the feed without a websocket. A view runs before the 101, or before the
head of a stream, so its errors are ordinary HTTP responses.

Only ``connection.py`` and ``wire.py`` use the socket of a websocket. A channel receives events from its connection.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPMethodNotAllowed
from pyramid.response import Response

from ..errors import WrongField, WrongValue
from ..messages import MAX_CURSOR, MAX_ENTRIES, MAX_WAIT_SECONDS, DeviceHeartbeat, DeviceHeartbeatReply, parse, position_of
from ..registry import KEY, Registry
from ..request import Request
from .appservice import AppServiceChannel
from .channel import Channel
from .device import DeviceChannel
from .event_stream import ID_SEPARATOR, EventStream
from .heartbeat import Heartbeats
from .long_poll import CONTENT_TYPE, LongPoll
from .stream_connection import StreamConnection, StreamOpener

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
        raise HTTPMethodNotAllowed(headers=[("Allow", "GET, POST")])
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


def heartbeat(request: Request) -> DeviceHeartbeatReply:
    """Take a heartbeat of a device that holds no socket.

    :raises Refused: see ``Heartbeats.handle``; also if the request comes from a page of another origin.
    """
    request.check_origin()
    registry = request.shared
    heartbeats = Heartbeats(request.registry[KEY].gate, registry.services, registry.settings, registry.clock)
    return heartbeats.handle(parse(DeviceHeartbeat, request.body), request.remote_addr)


def feed(request: Request) -> Response:
    """Send the feed of an application as an event stream, or with ``wait`` its next part.

    :raises Refused: the key is not valid, a parameter is wrong, or there are too many channels of the application.
    """
    if request.method != "GET":
        raise HTTPMethodNotAllowed(headers=[("Allow", "GET")])
    registry, appid = request.shared, request.matchdict["appid"]
    (since, outcomes_after), wait = _positions(request), _number(request, "wait", 0, MAX_WAIT_SECONDS, "whole seconds")
    page = _number(request, "page", 1, MAX_ENTRIES, "entries")
    request.response.headers["X-Accel-Buffering"] = "no"  # nginx sends each event at once
    if wait is None:
        EventStream(appid, registry.services, registry.settings, registry.clock).sign_in(
            _stream(request), request.api_key, since, outcomes_after
        )
        return request.response
    poll = LongPoll(appid, registry.services, registry.settings, registry.clock)
    poll.sign_in(request.api_key, since, outcomes_after, request.remote_addr)
    try:
        return _poll(request, poll, wait, page)
    except BaseException:
        poll.leave()
        raise


def _poll(request: Request, poll: LongPoll, wait: int, page: int | None) -> Response:
    payload = poll.next_outcomes() or poll.next_updates()
    if poll.needs_snapshot:
        return Response(app_iter=poll.snapshot(page), content_type=CONTENT_TYPE, charset=None)
    if payload is None and wait:
        poll.wait(_stream(request), wait)
        return request.response
    poll.leave()
    return Response(payload or poll.nothing, content_type=CONTENT_TYPE, charset=None)


def _stream(request: Request) -> StreamConnection:
    """Return the connection by which the request is answered later.

    :raises WrongField: the request asks for a websocket.
    :raises Refused: see ``stream_connection.new_stream``.
    """
    open_stream: StreamOpener | None = request.environ.get("wsgi.stream")
    if open_stream is None:
        raise WrongField("Upgrade: is for the channel, not for this path")
    return open_stream()


def _positions(request: Request) -> tuple[str | None, int | None]:
    """Return the cursor, and the position in the outcomes, None to be sent none: of the last event, or else of the query.

    :raises WrongValue: one is too long for a cursor.
    """
    given: dict[str, str | None] = {name: request.GET.get(name) for name in ("since", "outcomes")}
    if last := request.headers.get("Last-Event-ID"):
        since, separator, outcomes = last.partition(ID_SEPARATOR)
        given = {"since": since, "outcomes": outcomes if separator else given["outcomes"]}
    for name, cursor in given.items():
        if cursor is not None and len(cursor) > MAX_CURSOR:
            raise WrongValue(f"{name}: a cursor of up to {MAX_CURSOR} characters")
    return given["since"], position_of(given["outcomes"])


def _number(request: Request, name: str, least: int, most: int, unit: str) -> int | None:
    """Return a number of the query; None without one.

    :raises WrongValue: it is not a number from ``least`` to ``most``.
    """
    text = request.GET.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise WrongValue(f"{name}: {unit} from {least} to {most}")
    return int(text)


def includeme(config: Configurator) -> None:
    """Add the routes of the channels. Without a websocket, the REST view answers at the path of an application.

    The view of the device channel has nothing to check in an ordinary handshake, so ``first_request`` opens the channel without it.
    """
    registry = config.registry[KEY]
    registry.gate.direct_channels["/presence"] = partial(_new_device_channel, registry)
    config.add_route_predicate("websocket", _Websocket)
    config.add_route("device_heartbeat", "/presence", request_method="POST")
    config.add_view(heartbeat, route_name="device_heartbeat", renderer="presence-json")
    config.add_route("device_channel", "/presence")
    config.add_view(device_channel, route_name="device_channel")
    config.add_route("appservice_channel", "/myapps/{appid}", request_method="GET", websocket=True)
    config.add_view(appservice_channel, route_name="appservice_channel")
    config.add_route("feed", "/myapps/{appid}/feed")
    config.add_view(feed, route_name="feed")
