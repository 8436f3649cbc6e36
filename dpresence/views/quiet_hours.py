"""The quiet hours of a user (docs/protocol.md, section 6)."""

from __future__ import annotations

from pyramid.response import Response

from ..messages import Hours, HoursBody
from ..model import Account
from ..request import Request
from . import cornice_service
from .validators import Body, no_body, user

hours = cornice_service("hours", "/hours")

wanted = Body(Hours)


@hours.get(validators=(user,))
def get_hours(request: Request) -> HoursBody:
    """Return the caller's quiet hours."""
    return _shown(request, request.validated["account"])


@hours.put(validators=(user, wanted))
def put_hours(request: Request) -> HoursBody:
    """Set the caller's quiet hours."""
    user, requester = request.validated["account"].id, request.validated["requester"]
    return _shown(request, request.services.quiet_hours.set(user, wanted.of(request), requester))


@hours.delete(validators=(user, no_body))
def delete_hours(request: Request) -> Response:
    """Remove the caller's quiet hours."""
    request.services.quiet_hours.set(request.validated["account"].id, None, request.validated["requester"])
    return Response(status=204)


def _shown(request: Request, account: Account) -> HoursBody:
    return HoursBody.of(account, request.services.quiet_hours.are_now(account))
