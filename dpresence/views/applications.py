"""A developer's applications (docs/protocol.md, section 6)."""

from __future__ import annotations

from msgspec import UNSET
from pyramid.response import Response

from ..messages import (
    ActivatedApplication,
    ApplicationBody,
    ApplicationChange,
    ApplicationDetails,
    ApplicationPage,
    CurrentUsers,
    KeyBody,
    NewApplication,
    NewKey,
)
from ..model import Application
from ..request import Request
from . import cornice_service, templates
from .pages import page, redirect_to_audience, wants_page
from .validators import Body, no_body, owned_application, paging, user

applications = cornice_service("applications", "/myapps")
application = cornice_service("application", "/myapps/{appid}")
validate = cornice_service("validate", "/myapps/{appid}/validate")
activate = cornice_service("activate", "/myapps/{appid}/activate")
deactivate = cornice_service("deactivate", "/myapps/{appid}/deactivate")
key = cornice_service("key", "/myapps/{appid}/key")
now = cornice_service("now", "/myapps/{appid}/now")

registration, changes = Body(NewApplication), Body(ApplicationChange)


def _shows_page(request: Request) -> bool:
    """Return whether to show a page, whose buttons work with the user's session only."""
    return wants_page(request) and "session" in request.validated


def _state(application: Application) -> templates.State:
    """Return the step that an application has reached."""
    return "active" if application.active else "validated" if application.valid_domain else "registered"


@applications.get(validators=(redirect_to_audience, user, paging))
def list_applications(request: Request) -> Response | ApplicationPage:
    """List the caller's applications."""
    after, limit = request.validated["after"], request.validated["limit"]
    found = request.services.applications.list(request.validated["account"].id, after, limit)
    following = found[-1].id if len(found) == limit else None
    if not _shows_page(request):
        return ApplicationPage([ApplicationBody.of(item) for item in found], following or UNSET)
    shown = [(item, _state(item)) for item in sorted(found, key=lambda item: (item.name.casefold(), item.id))]
    return page(request, templates.MyApps(shown, following, after, limit))


@applications.post(validators=(user, registration))
def register_application(request: Request) -> ApplicationBody:
    """Register an application."""
    owner, wanted = request.validated["account"].id, registration.of(request)
    registered = request.services.applications.register(owner, wanted, request.remote_addr, request.validated["requester"])
    request.response.status_int = 201
    return ApplicationBody.of(registered)


@application.get(validators=(redirect_to_audience, user, owned_application))
def get_application(request: Request) -> Response | ApplicationDetails:
    """Return one application and its valid keys."""
    application = request.validated["application"]
    if not _shows_page(request):
        keys = [KeyBody.of(item) for item in request.services.api_keys.list(application)]
        return ApplicationDetails.of(application, keys=keys)
    audience = request.shared.settings.identity.audience
    webhook = request.services.webhooks.find_or_none(application)
    return page(request, templates.OneApplication(application, _state(application), webhook, audience.replace("http", "ws", 1)))


@now.get(validators=(user, owned_application))
def get_now(request: Request) -> CurrentUsers:
    """Return how many users the application's service would see now, by status."""
    return request.services.overview.now(request.validated["application"])


@application.patch(validators=(user, owned_application, changes))
def change_application(request: Request) -> ApplicationBody:
    """Change name, description or domain."""
    application, wanted = request.validated["application"], changes.of(request)
    return ApplicationBody.of(request.services.applications.change(application, wanted, request.validated["requester"]))


@application.delete(validators=(user, owned_application, no_body))
def delete_application(request: Request) -> Response:
    """Delete an application."""
    request.services.applications.delete(request.validated["application"], request.validated["requester"])
    return Response(status=204)


@validate.post(validators=(user, owned_application, no_body))
def validate_domain(request: Request) -> ApplicationBody:
    """Check the domain for its domain key."""
    return ApplicationBody.of(request.services.domain_checks.validate(request.validated["application"], request.validated["requester"]))


@activate.post(validators=(user, owned_application, no_body))
def activate_application(request: Request) -> ActivatedApplication:
    """Activate an application; only this response contains its API key."""
    applications = request.services.applications
    api_key = applications.activate(request.validated["application"], request.validated["requester"])
    return ActivatedApplication.of(request.validated["application"], active=True, api_key=api_key)


@deactivate.post(validators=(user, owned_application, no_body))
def deactivate_application(request: Request) -> ApplicationBody:
    """Deactivate an application."""
    return ApplicationBody.of(request.services.applications.deactivate(request.validated["application"], request.validated["requester"]))


@key.post(validators=(user, owned_application, no_body))
def new_key(request: Request) -> NewKey:
    """Create a new API key; the previous one remains valid for a while."""
    application = request.validated["application"]
    return NewKey(application.id, request.services.api_keys.issue(application, request.validated["requester"]))
