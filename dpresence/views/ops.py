"""The three Dockerflow endpoints, for operators and load balancers (docs/protocol.md, section 6)."""

from __future__ import annotations

from msgspec import UNSET

from .. import __version__
from ..build_info import origin
from ..messages import Alive, Heartbeat, Version
from ..request import Request
from . import cornice_service

heartbeat = cornice_service("heartbeat", "/__heartbeat__")
lbheartbeat = cornice_service("lbheartbeat", "/__lbheartbeat__")
version = cornice_service("version", "/__version__")


@heartbeat.get()
def get_heartbeat(request: Request) -> Heartbeat:
    """Return which backends and providers are reachable; the status is 503 if a backend is not."""
    registry = request.shared
    reachable = registry.backends.ping()
    request.response.status_int = 200 if all(reachable.values()) else 503
    providers = {name: client.reached for name, client in registry.clients.providers.items()}
    servers = registry.backends.redis_servers()
    return Heartbeat(
        **reachable, redis=registry.backends.redis_state() or UNSET, redis_servers=servers or UNSET, providers=providers or UNSET
    )


@lbheartbeat.get()
def get_lbheartbeat(request: Request) -> Alive:
    """Return an empty object; any response shows that this process is running."""
    return Alive()


@version.get()
def get_version(request: Request) -> Version:
    """Return the name and version of this service."""
    return service_version()


def service_version() -> Version:
    """Return the name, version and commit of this service in Dockerflow's format."""
    return Version("dpresence", __version__, **origin())
