"""The webhook of a developer's application (docs/protocol.md, section 6)."""

from __future__ import annotations

from pyramid.response import Response

from ..messages import AttemptBody, WebhookBody, WebhookChange, WebhookDetails, WebhookReplay, WebhookWithSecret
from ..request import Request
from . import cornice_service
from .validators import Body, no_body, owned_application, user

webhook = cornice_service("webhook", "/myapps/{appid}/webhook")
secret = cornice_service("webhook-secret", "/myapps/{appid}/webhook/secret")
test = cornice_service("webhook-test", "/myapps/{appid}/webhook/test")
replay = cornice_service("webhook-replay", "/myapps/{appid}/webhook/replay")

change, position = Body(WebhookChange), Body(WebhookReplay)


@webhook.put(validators=(user, owned_application, change))
def put_webhook(request: Request) -> WebhookBody | WebhookWithSecret:
    """Make the webhook of an application, or change it; only the answer to the former contains its secret."""
    application, requester = request.validated["application"], request.validated["requester"]
    stored, new = request.services.webhooks.put(application, change.of(request), requester)
    if not new:
        return WebhookBody.of(stored)
    request.response.status_int = 201
    return WebhookWithSecret.of(stored, secret=stored.secret)


@webhook.get(validators=(user, owned_application))
def get_webhook(request: Request) -> WebhookDetails:
    """Return the webhook of an application and its log."""
    application, webhooks = request.validated["application"], request.services.webhooks
    return WebhookDetails.of(webhooks.find(application), log=[AttemptBody.of(item) for item in webhooks.log(application)])


@webhook.delete(validators=(user, owned_application, no_body))
def delete_webhook(request: Request) -> Response:
    """Delete the webhook of an application."""
    request.services.webhooks.delete(request.validated["application"], request.validated["requester"])
    return Response(status=204)


@secret.post(validators=(user, owned_application, no_body))
def new_secret(request: Request) -> WebhookWithSecret:
    """Replace the secret of a webhook; the previous one signs as well for a day."""
    rotated = request.services.webhooks.rotate(request.validated["application"], request.validated["requester"])
    return WebhookWithSecret.of(rotated, secret=rotated.secret)


@test.post(validators=(user, owned_application, no_body))
def send_test(request: Request) -> AttemptBody:
    """Send a test message and return what became of it."""
    return AttemptBody.of(request.services.webhook_sender.test(request.validated["application"]))


@replay.post(validators=(user, owned_application, position))
def replay_webhook(request: Request) -> WebhookBody:
    """Send updates after a cursor again, or a snapshot, or outcomes after a cursor."""
    application, wanted = request.validated["application"], position.of(request)
    return WebhookBody.of(request.services.webhooks.replay(application, wanted, request.validated["requester"]))
