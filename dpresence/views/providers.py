"""The calls that identity providers make, and the styles of their sign-in buttons (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Any

from pyramid.response import Response

from ..errors import NotFound, WrongField, WrongValue
from ..identity.oidc_client import OidcClient
from ..messages import JwkSet, LoggedOut
from ..request import Request
from . import cornice_service
from .validators import form, is_form

jwks = cornice_service("provider jwks", "/login/{provider}/jwks")
icon = cornice_service("provider icon", "/login/{provider}/icon")
buttons = cornice_service("provider buttons", "/login/buttons.css")
backchannel_logout = cornice_service("backchannel logout", "/login/{provider}/backchannel-logout")

_CACHED = "public, max-age=300"


def client(request: Request, **_: Any) -> None:
    """Fill ``client`` with the client of the provider in the path.

    :raises NotFound: the provider is not configured.
    """
    found = request.shared.clients.providers.get(request.matchdict["provider"])
    if found is None:
        raise NotFound()
    request.validated["client"] = found


@jwks.get(validators=(client,))
def get_jwks(request: Request) -> JwkSet:
    """Return the public keys by which a provider verifies this service's proofs."""
    return JwkSet(request.validated["client"].public_keys())


@icon.get(validators=(client,))
def get_icon(request: Request) -> Response:
    """Return the icon of a sign-in button. The policy of every answer keeps an SVG from running scripts and loading anything."""
    button = request.validated["client"].button
    if not button.icon:
        raise NotFound()
    return Response(button.icon, content_type=button.icon_type, charset=None, cache_control=_CACHED)


@buttons.get()
def get_buttons(request: Request) -> Response:
    """Return the colours of the sign-in buttons as a stylesheet, because the policy of pages permits no style attributes."""
    rules = [_rule(provider) for provider in request.shared.clients.providers.values() if provider.button.color]
    return Response("".join(rules), content_type="text/css", charset="utf-8", cache_control=_CACHED)


def _rule(provider: OidcClient) -> str:
    button = provider.button
    return f'[data-provider="{provider.name}"] {{ background: {button.color}; color: {button.text_color}; }}\n'


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
