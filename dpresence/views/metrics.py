"""Metrics of the service for Prometheus (docs/protocol.md, section 6, For operators)."""

from __future__ import annotations

import hmac
import ipaddress
from typing import Any
from urllib.parse import urlsplit

from pyramid.response import Response

from .. import __version__
from ..errors import Forbidden
from ..request import Request
from ..settings import LOOPBACK_HOSTS
from . import cornice_service

metrics = cornice_service("metrics", "/__metrics__")

_OF_PROXIES = ("Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip")


def monitor(request: Request, **_: Any) -> None:
    """Check that the caller may read the metrics: by ``metrics.token``, or from ``metrics.networks`` without a proxy in between.

    :raises Forbidden: they may not; the text names their address and scheme, which ``dpresence doctor`` reads.
    """
    settings = request.shared.settings.metrics
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and settings.token and hmac.compare_digest(token.strip().encode(), settings.token.encode()):
        return
    if scheme:
        raise Forbidden("Authorization: not metrics.token")
    if _came_through_a_proxy(request):
        raise Forbidden(f"metrics.token: is needed through a proxy; the service sees you as {request.remote_addr}, by {request.scheme}")
    if not any(ipaddress.ip_address(request.remote_addr) in ipaddress.ip_network(network) for network in settings.networks):
        raise Forbidden("metrics.networks: does not contain your address")


def _came_through_a_proxy(request: Request) -> bool:
    """Return whether a proxy has passed a request on: it has a header of a proxy, or the public name of the service in ``Host``.

    HAProxy adds no header by default, but leaves ``Host`` as it is. Prometheus sends the address that it connects to.
    """
    public = urlsplit(request.shared.settings.identity.audience).hostname
    host = request.host.lower()
    named = public not in LOOPBACK_HOSTS and public in (host.strip("[]"), host.rpartition(":")[0].strip("[]"))
    return named or any(name in _OF_PROXIES or name.startswith("X-Forwarded-") for name in map(str.title, request.headers))


@metrics.get(validators=(monitor,))
def get_metrics(request: Request) -> Response:
    """Return the metrics of all processes."""
    body, content_type = request.services.operator_metrics.expose(__version__, request.headers.get("Accept", ""))
    response = Response(body)
    response.headers["Content-Type"] = content_type
    return response
