"""For operators and load balancers: the three Dockerflow paths (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request

from .. import __version__
from . import service

heartbeat = service("heartbeat", "/__heartbeat__")
lbheartbeat = service("lbheartbeat", "/__lbheartbeat__")
version = service("version", "/__version__")


@heartbeat.get()
def get_heartbeat(request: Request) -> dict[str, bool]:
    """Say which backends can be reached; 503 when one cannot."""
    reachable: dict[str, bool] = request.registry["dpresence"].backends.ping()
    request.response.status_int = 200 if all(reachable.values()) else 503
    return reachable


@lbheartbeat.get()
def get_lbheartbeat(request: Request) -> dict[str, Any]:
    """Say that this process answers."""
    return {}


@version.get()
def get_version(request: Request) -> dict[str, Any]:
    """Say what runs here."""
    return service_version()


def service_version() -> dict[str, Any]:
    """Return the name and version of this service, as Dockerflow wants it."""
    return {"name": "dpresence", "version": __version__, "source": None, "commit": None, "build": None}
