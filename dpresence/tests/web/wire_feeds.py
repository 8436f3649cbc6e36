"""The part of the recorded bytes that is about feeds by HTTP and webhooks; see ``test_wire_bytes``."""

from __future__ import annotations

import json
import re
from typing import Any

from dpresence.tests.waiting import eventually
from dpresence.tests.web.streams import stream
from dpresence.tests.web.support import App, Browser, World

CARL = "carl@example.org"
KINDS = {
    "presence.updates": "UpdatesMessage",
    "presence.snapshot": "SnapshotMessage",
    "notification.outcomes": "OutcomesMessage",
    "webhook.test": "WebhookTestMessage",
}


def feed(recorder: Any, app: App) -> None:
    """Record the answers and the stream of the feed."""
    world, as_service = recorder.world, {"Authorization": f"Bearer {app.key}"}
    snapshot = recorder.call("Snapshot", world.browser(), "GET", f"/myapps/{app.id}/feed?wait=0", **as_service)
    recorder.call("Updates", world.browser(), "GET", f"/myapps/{app.id}/feed?wait=0&since={snapshot['cursor']}", **as_service)
    opened = stream(world, app, f"?since={snapshot['cursor']}")
    opened.close(4200, "the server is stopping; retry_after=2")
    for name, data in zip(("AuthReply", "OkReply", "StreamEnd"), re.findall(rb"data: (.*)\n", opened.written), strict=True):
        recorder.add(name, data)


def heartbeat(recorder: Any, app: App) -> None:
    """Record the answers to heartbeats."""
    world, body = recorder.world, {"email": CARL, "status": "online", "device": "desk"}
    world.notify(app, {"puid": world.grant(CARL, app), "message": "Your move"})
    first = {**body, "assertion": world.assertion(CARL), "ticket": True}
    ticket = recorder.call("DeviceHeartbeatReply", world.browser(), "POST", "/presence", first)["ticket"]
    recorder.call("DeviceHeartbeatReply", world.browser(), "POST", "/presence", {**body, "assertion": ticket, "lease": 30})


def webhooks(recorder: Any, app: App) -> None:
    """Record the bodies of REST and the messages of a webhook."""
    world: World = recorder.world
    path = f"/myapps/{app.id}/webhook"
    world.proof.answer = (204, "")
    world.proof.posted.clear()
    recorder.call("WebhookWithSecret", app.owner, "PUT", path, {"url": f"http://{world.proof.domain}/hook"})
    eventually(lambda: not world.services.webhook_sender._work.running(app.id) and world.proof.posted)
    recorder.call("WebhookBody", app.owner, "PUT", path, {"url": f"http://{world.proof.domain}/hook"})
    recorder.call("AttemptBody", app.owner, "POST", f"{path}/test")
    world.advance(2)
    world.grant("eve@example.org", app)
    eventually(lambda: len(world.proof.posted) == 3 and not world.services.webhook_sender._work.running(app.id))
    recorder.call("WebhookDetails", app.owner, "GET", path)
    app.owner("DELETE", path)
    for _, body in world.proof.posted:
        recorder.add(KINDS[json.loads(body)["type"]], body)


def outcomes(recorder: Any, app: App) -> None:
    """Record the frame and the message of outcomes, and the answer about one notification."""
    world: World = recorder.world
    channel: Any = world.service_channel(app)
    channel.receive({"action": "auth", "key": app.key, "outcomes": ""})
    world.settle()
    [sent] = world.notify(app, {"puid": world.grant(CARL, app), "message": "Your move", "outcome": True})
    world.services.outcomes.record_end(app.id, [sent["id"]], "expired")
    world.settle()
    recorder.add("OutcomeFrame", channel.raw[-1])
    path = f"/myapps/{app.id}/webhook"
    world.proof.posted.clear()
    app.owner("PUT", path, {"url": f"http://{world.proof.domain}/hook", "events": ["outcome"]})
    eventually(lambda: not world.services.webhook_sender._work.running(app.id) and world.proof.posted)
    app.owner("DELETE", path)
    recorder.add("OutcomesMessage", world.proof.posted[0][1])
    recorder.call(
        "FollowedNotification", world.browser(), "GET", f"/myapps/{app.id}/notifications/{sent['id']}", Authorization=f"Bearer {app.key}"
    )


def pairing(recorder: Any, ann: Browser) -> None:
    anybody = recorder.world.browser()
    codes = recorder.call("StartedPairing", anybody, "POST", "/pair", {"device": "lamp", "client": "Example lamp"})
    recorder.call("Refusal", anybody, "POST", "/pair/token", {"device_code": codes["device_code"]})
    recorder.call("PairingQuestion", ann, "GET", f"/pair?code={codes['user_code']}")
    recorder.call("PairingAnswered", ann, "POST", "/pair/answer", {"code": codes["user_code"], "allow": True})
    recorder.world.advance(10)
    recorder.call("NewCredential", anybody, "POST", "/pair/token", {"device_code": codes["device_code"]})
    recorder.call("DeviceList", ann, "GET", "/devices")
