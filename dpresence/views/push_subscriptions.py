"""Web Push (docs/protocol.md, section 6)."""

from __future__ import annotations

from pyramid.response import Response

from ..messages import NewPushSubscription, PushState, PushSubscriptionBody
from ..request import Request
from . import cornice_service
from .validators import Body, no_body, user

push = cornice_service("push", "/push")
one_subscription = cornice_service("push subscription", "/push/{subscription}")

new_subscription = Body(NewPushSubscription)


@push.get(validators=(user,))
def get_push(request: Request) -> PushState:
    """List the caller's subscriptions, with the key for new ones."""
    subscriptions = request.services.push_subscriptions
    return PushState(subscriptions.key, [PushSubscriptionBody.of(item) for item in subscriptions.list(request.validated["account"].id)])


@push.put(validators=(user, new_subscription))
def put_push(request: Request) -> PushSubscriptionBody:
    """Store a browser's subscription."""
    account, requester = request.validated["account"], request.validated["requester"]
    return PushSubscriptionBody.of(request.services.push_subscriptions.put(account.id, new_subscription.of(request), requester))


@one_subscription.delete(validators=(user, no_body))
def delete_push(request: Request) -> Response:
    """End a subscription."""
    owner, id_ = request.validated["account"].id, request.matchdict["subscription"]
    request.services.push_subscriptions.remove(owner, id_, request.validated["requester"])
    return Response(status=204)
