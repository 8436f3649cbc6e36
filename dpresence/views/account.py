"""A user's devices, and everything held about her (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request
from pyramid.response import Response

from ..messages import device
from . import service
from .validators import no_body, presence, user

devices = service("devices", "/devices")
one_device = service("device", "/devices/{device}")
account = service("account", "/account")


@devices.get(validators=(user,))
def list_devices(request: Request) -> dict[str, Any]:
    """List the caller's live devices."""
    return {"devices": [device(item) for item in presence(request).devices.list(request.validated["account"].id)]}


@one_device.delete(validators=(user, no_body))
def sign_out_device(request: Request) -> Response:
    """Sign a device out."""
    presence(request).devices.sign_out(request.validated["account"].id, request.matchdict["device"])
    return Response(status=204)


@account.get(validators=(user,))
def get_account(request: Request) -> Any:
    """Show everything held about the caller."""
    return presence(request).accounts.document(request.validated["account"])


@account.delete(validators=(user, no_body))
def delete_account(request: Request) -> Response:
    """Erase the caller."""
    presence(request).accounts.erase(request.validated["account"])
    return Response(status=204)
