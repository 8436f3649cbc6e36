"""What identity providers call: back-channel logout (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Any

from ..errors import NotFound, WrongField, WrongValue
from ..messages import LoggedOut
from ..request import Request
from . import cornice_service
from .validators import form, is_form

backchannel_logout = cornice_service("backchannel logout", "/login/{provider}/backchannel-logout")


def client(request: Request, **_: Any) -> None:
    """Fill ``client`` with the client of the provider in the path.

    :raises NotFound: the provider is not configured.
    """
    found = request.shared.clients.providers.get(request.matchdict["provider"])
    if found is None:
        raise NotFound()
    request.validated["client"] = found


def _logout_token(request: Request, **_: Any) -> None:
    """Fill ``logout_token`` from the form.

    :raises WrongValue: the body is not a form; or WrongField, if it has no logout token.
    """
    if not is_form(request):
        raise WrongValue("the body: a form, application/x-www-form-urlencoded")
    token = form(request).get("logout_token")
    if not token:
        raise WrongField("logout_token: is missing")
    request.validated["logout_token"] = token


@backchannel_logout.post(validators=(client, _logout_token))
def post_backchannel_logout(request: Request) -> LoggedOut:
    """End what the provider has ended."""
    provider, token = request.validated["client"], request.validated["logout_token"]
    request.services.provider_logouts.log_out(lambda: provider.verify_logout(token), token, provider.name, request.remote_addr)
    return LoggedOut()
