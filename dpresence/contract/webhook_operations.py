"""The REST calls of webhooks, and the requests that this service sends to them; see ``operations``."""

from __future__ import annotations

from typing import Any

from ..messages import (
    AttemptBody,
    Empty,
    OutcomesMessage,
    SnapshotMessage,
    UpdatesMessage,
    WebhookBody,
    WebhookChange,
    WebhookDetails,
    WebhookReplay,
    WebhookTestMessage,
    WebhookWithSecret,
)
from .operation import Operation

_NONE: dict[str, Any] = {"body": Empty, "optional": True}

WEBHOOKS = (
    Operation(
        "PUT /myapps/{appid}/webhook",
        "putWebhook",
        "Make the webhook of an application, or change its URL and turn it on",
        "user",
        {200: WebhookBody, 201: WebhookWithSecret},
        body=WebhookChange,
        errnos=(110, 140),
    ),
    Operation("GET /myapps/{appid}/webhook", "getWebhook", "Read a webhook and its log", "user", {200: WebhookDetails}, errnos=(110,)),
    Operation(
        "DELETE /myapps/{appid}/webhook", "deleteWebhook", "Delete a webhook and its log", "user", {204: None}, errnos=(110,), **_NONE
    ),
    Operation(
        "POST /myapps/{appid}/webhook/secret",
        "newSecret",
        "Replace the secret of a webhook",
        "user",
        {200: WebhookWithSecret},
        errnos=(110,),
        **_NONE,
    ),
    Operation(
        "POST /myapps/{appid}/webhook/test",
        "sendTest",
        "Send a test message, and say what became of it",
        "user",
        {200: AttemptBody},
        errnos=(110, 140),
        **_NONE,
    ),
    Operation(
        "POST /myapps/{appid}/webhook/replay",
        "replayWebhook",
        "Send updates after a cursor again, or a snapshot, or outcomes after a cursor",
        "user",
        {200: WebhookBody},
        body=WebhookReplay,
        errnos=(110,),
    ),
)

MESSAGES: tuple[tuple[type, str, str], ...] = (
    (UpdatesMessage, "presenceUpdates", "Updates of users' presence"),
    (SnapshotMessage, "presenceSnapshot", "A page of a snapshot"),
    (OutcomesMessage, "notificationOutcomes", "Outcomes of notifications"),
    (WebhookTestMessage, "webhookTest", "A test that the owner has requested"),
)
"""The messages that are sent to webhooks: struct, name of the operation, summary."""
HEADERS = {
    "webhook-id": "The id of the message: the same when the same message is sent again.",
    "webhook-timestamp": "When this attempt was made, seconds since the epoch.",
    "webhook-signature": "`v1,` and the HMAC-SHA256 of id, timestamp and body with dots between them, in Base64; several are separated by "
    "spaces.",
}
"""The headers of such a request."""
