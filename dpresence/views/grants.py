"""A user's grants (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response

from ..domains import redirect_url
from ..errors import WrongValue
from ..messages import GrantBody, GrantChange, GrantPage, GrantQuestion, GrantRequest, LinkBody, ListedGrant, LooksBody, NewGrant
from ..model import Application, Status, merge
from ..request import Request
from ..service.explanations import ExplainedGrant
from . import cornice_service, templates
from .consent_form import check_age, form_token_of, is_allowed
from .pages import page, redirect_to_audience, wants_page
from .validators import Body, form, grantable_application, is_form, no_body, own_grant, paging, revocable_grant, unless_form, user

grants = cornice_service("grants", "/grants")
grant_resource = cornice_service("grant", "/grant/{appid}")

change = Body(GrantChange)
grant_body = Body(GrantRequest, optional=True)

_HOUR_MS = 3_600_000


@grant_resource.get(validators=(redirect_to_audience, user, grantable_application))
def get_grant(request: Request) -> Response | GrantQuestion:
    """Ask the user to allow or deny an application access to their presence."""
    application, redirect = request.validated["application"], request.GET.get("redirect")
    is_page = wants_page(request) and "session" in request.validated
    if is_page or redirect is not None:
        redirect_url(redirect or "", application.domain, _scheme(application), ("Presence-Error", "denied"))  # refuses an invalid redirect
    if not is_page:
        return GrantQuestion.of(application)
    account, services = request.validated["account"], request.services
    matching = (grant for grant in services.grants.of(account.id).grants if grant.appid == application.id)
    granted = next(matching, None)
    template = templates.Question(
        application=application,
        redirect=redirect or "",
        granted=granted,
        form_token=form_token_of(request),
        status=_status(request),
        quiet=services.quiet_hours.are_now(account),
    )
    return page(request, template, form_target=f"{_scheme(application)}://{application.domain}")


def _scheme(application: Application) -> Literal["https", "http"]:
    """Return the scheme with which the domain of a grantable application was validated."""
    return application.validated_scheme or "https"


def _status(request: Request) -> Status | None:
    """Return the status of a user with connected devices, None without any: then nothing keeps the user reachable."""
    account = request.validated["account"]
    connected = [device.status for device in request.services.devices.list(account.id) if device.connected]
    return account.override or merge(connected) if connected else None


@grant_resource.post(validators=(user, grantable_application, unless_form(grant_body)))
def post_grant(request: Request) -> Response | NewGrant:
    """Grant an application access to the caller's presence: returns JSON to a program, and redirects a form to the application."""
    if is_form(request):
        return _answer_form(request)
    user, requester, until = request.validated["account"].id, request.validated["requester"], grant_body.of(request).until
    grant = request.services.grants.grant(user, request.validated["application"], requester, until)
    return NewGrant(grant.appid, grant.puid)


def _answer_form(request: Request) -> Response:
    """Grant or deny, and redirect the browser; the redirect is validated before the grant is stored."""
    application, allowed = request.validated["application"], is_allowed(request)

    def back(name: str, value: str) -> str:
        return redirect_url(form(request).get("redirect", ""), application.domain, _scheme(application), (name, value))

    denied = back("Presence-Error", "denied")
    if "session" in request.validated:
        check_age(request)
    if not allowed:
        return HTTPSeeOther(denied)
    until = _until(request)
    grant = request.services.grants.grant(request.validated["account"].id, application, request.validated["requester"], until)
    return HTTPSeeOther(back("Presence-UID", grant.puid))


def _until(request: Request) -> int | UnsetType | None:
    """Return when the grant of a form ends: after an ``hour``, at a time in milliseconds, or never if the field is empty.

    :raises WrongValue: the field has another value.
    """
    given = form(request).get("until")
    if not given:
        return UNSET if given is None else None
    if given == "hour":
        return request.shared.clock.now() + _HOUR_MS
    if not (given.isascii() and given.isdigit() and len(given) < 16):
        raise WrongValue("until: empty, hour, or a time in the future, in milliseconds since the epoch")
    return int(given)


@grant_resource.patch(validators=(user, own_grant, change))
def patch_grant(request: Request) -> GrantBody:
    """Change a grant."""
    user, requester = request.validated["account"].id, request.validated["requester"]
    return GrantBody.of(request.services.grants.change(user, request.matchdict["appid"], change.of(request).changes(), requester))


@grant_resource.delete(validators=(user, revocable_grant, no_body))
def delete_grant(request: Request) -> Response:
    """Revoke a grant."""
    request.services.grants.revoke(request.validated["account"].id, request.matchdict["appid"], request.validated["requester"])
    return Response(status=204)


@grants.get(validators=(user, paging))
def list_grants(request: Request) -> GrantPage:
    """List the caller's grants."""
    after, limit = request.validated["after"], request.validated["limit"]
    account, services = request.validated["account"], request.services
    found = services.grants.list(account.id, after, limit)
    shown = [_listed(item) for item in services.explanations.of(account, found)]
    return GrantPage(shown, shown[-1].appid if len(shown) == limit else UNSET)


def _listed(explained: ExplainedGrant) -> ListedGrant:
    item, chain = explained
    return ListedGrant.of(
        item.grant,
        name=item.application.name,
        domain=item.application.domain,
        last_looked=item.last_looked,
        looks=[LooksBody.of(looks) for looks in item.looks],
        sees=chain[-1].status if chain else None,
        why=[LinkBody(*link) for link in chain],
        icon=item.application.icon_path or UNSET,
    )
