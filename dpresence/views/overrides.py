"""The status of the whole person (docs/protocol.md, sections 4 and 6)."""

from __future__ import annotations

from pyramid.response import Response

from ..messages import StatusBody, StatusChange
from ..model import Account
from ..request import Request
from . import cornice_service
from .validators import Body, no_body, user

status = cornice_service("status", "/status")

change = Body(StatusChange)


@status.get(validators=(user,))
def get_status(request: Request) -> StatusBody:
    """Return the caller's status."""
    return _shown(request, request.validated["account"])


@status.put(validators=(user, change))
def put_status(request: Request) -> StatusBody:
    """Set a status above those of the caller's devices."""
    wanted = change.of(request)
    overrides, user = request.services.overrides, request.validated["account"].id
    return _shown(request, overrides.set(user, wanted.status, wanted.until, request.validated["requester"]))


@status.delete(validators=(user, no_body))
def delete_status(request: Request) -> Response:
    """Let the caller's devices determine the status again."""
    request.services.overrides.set(request.validated["account"].id, None, None, request.validated["requester"])
    return Response(status=204)


def _shown(request: Request, account: Account) -> StatusBody:
    return StatusBody(*request.services.overrides.current(account))
