"""The exact bytes of every kind of body and frame that the service sends, recorded in ``wire_bytes.txt``.

Clients may depend on more than the protocol promises: on the order of fields, on which fields are left out, on how numbers are
written. A change of this file is a change for clients.
"""

from __future__ import annotations

import itertools
import json
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from joserfc.jwk import import_key

from dpresence import messages
from dpresence.errors import BackendUnavailable
from dpresence.identity.client_keys import ClientKey
from dpresence.identity.oidc import Provider
from dpresence.identity.oidc_client import OidcClient
from dpresence.identity.provider_client import ProviderClient
from dpresence.messages import encode
from dpresence.service import inboxes
from dpresence.settings import ProviderSettings
from dpresence.tests.push_service import key_file
from dpresence.tests.support import WITH_TOKEN, FakeConnection, text_of
from dpresence.tests.web.support import AUDIENCE, App, Browser, World
from dpresence.tests.web.wire_feeds import feed, heartbeat, outcomes, pairing, webhooks

RECORDED = Path(__file__).with_name("wire_bytes.txt")
ANN, BOB, DEV = "ann@example.org", "bob@example.org", "dev@example.org"
KEY = {  # RFC 7515, A.3.1
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
}
CHANGING = [
    (r'"(assertion|csrf|version|error|meaning|what)":"[^"]*"', r'"\1":".."'),
    (r"0{7,}[0-9a-f]+", "0"),
    (r"127\.0\.0\.1:\d+", "chess.example.org"),
    (r"[A-Z]{4}-[A-Z]{4}", "WDJB-MJHT"),
    (r'"(pid|memory_bytes)":\d+', r'"\1":1'),
    (r"whsec_[^\"]+", "whsec_0"),
    (r'"milliseconds":\d+', '"milliseconds":1'),
    (r'"key":"B[\w-]{86}"', '"key":"0"'),
]


class Recorder:
    """Names bodies and frames, and replaces what is different in each run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lines: list[str] = []

    def add(self, name: str, data: bytes) -> None:
        text = data.decode()
        for pattern, value in CHANGING:
            text = re.sub(pattern, value, text)
        self.lines.append(f"{name}: {text}")

    def call(self, name: str, browser: Browser, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = browser(method, path, body, **headers)
        assert answer.content_type == "application/json", answer
        self.add(name, answer.body)
        return answer.json

    def frames(self, channel: Any) -> None:
        """Record the frames that a channel was sent since the last time, without repetitions."""
        frames, channel.raw = dict.fromkeys(channel.raw), []
        assert frames
        for frame in frames:
            self.add(kind_of(json.loads(frame)), frame)


class Connection(FakeConnection):
    """A connection that keeps the bytes of each frame."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__(address)
        self.raw: list[bytes] = []

    def send(self, payload: bytes) -> None:
        self.raw.append(payload)
        super().send(payload)

    def send_frame(self, frame: bytes) -> None:
        self.send(text_of(frame))


def kind_of(frame: dict[str, Any]) -> str:
    if "result" in frame:
        named = {"auth": "AuthReply", "notify": "NotifyReply"}
        return named.get(frame.get("action", ""), f"{frame['result'].capitalize()}Reply")
    kind = next(iter(frame)).capitalize()
    return f"Plain{kind}" if kind == "Notifications" and "id" not in frame["notifications"][0] else kind


@pytest.fixture
def recorder(make_world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    count = itertools.count(1)
    monkeypatch.setattr(secrets, "token_urlsafe", lambda size: f"{next(count):0{len('A' * (size * 4 // 3 + (size % 3 > 0)))}d}")
    monkeypatch.setattr(secrets, "token_hex", lambda size: f"{next(count):0{size * 2}x}")
    monkeypatch.setattr("dpresence.tests.web.support.FakeConnection", Connection)
    monkeypatch.setattr("dpresence.views.ops.origin", dict)  # as in a package without a commit
    return Recorder(make_world(admin__emails=DEV, push__key_file=key_file(tmp_path)))


@pytest.mark.slow
def test_the_bytes_of_every_body_and_frame_are_those_recorded(recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    operations(recorder)
    dev = session(recorder)
    app = applications(recorder, dev)
    ann, puids = grants(recorder, app, dev)
    devices(recorder, ann, app, puids)
    app_service(recorder, app, puids, monkeypatch)
    heartbeat(recorder, app)
    account(recorder, ann, dev, monkeypatch)
    pairing(recorder, ann)
    feed(recorder, app)
    webhooks(recorder, app)
    outcomes(recorder, app)
    (tmp_path / RECORDED.name).write_text("\n".join([*recorder.lines, ""]), encoding="utf-8")  # replaces the file if the change is meant
    assert recorder.lines == recorded()


def test_a_struct_defines_each_recorded_message_completely() -> None:
    found = set()
    for line in recorded():
        name, _, text = line.partition(": ")
        kind = getattr(messages, name)
        assert encode(msgspec.json.decode(text, type=kind)).decode() == text, "a field is missing, in another place or of another type"
        found.add(kind)
    assert found == set(messages.OUTGOING)


def recorded() -> list[str]:
    return RECORDED.read_text(encoding="utf-8").rstrip("\n").split("\n")


def operations(recorder: Recorder) -> None:
    anybody = recorder.world.browser()
    for name, path in (("Version", "/__version__"), ("Version", "/"), ("Heartbeat", "/__heartbeat__"), ("Alive", "/__lbheartbeat__")):
        recorder.call(name, anybody, "GET", path)
    recorder.call("MintedAssertion", anybody, "POST", "/__dev__/assertion", {"email": ANN}, **WITH_TOKEN)
    recorder.call("Refusal", anybody, "GET", "/nowhere")
    recorder.call("Refusal", anybody, "POST", "/login", b"\xff")
    recorder.call("Refusal", anybody, "GET", "/grants")


def session(recorder: Recorder) -> Browser:
    world = recorder.world
    dev, other = world.browser(), world.person(DEV)
    dev.csrf = recorder.call("LoggedIn", dev, "POST", "/login", {"assertion": world.assertion(DEV)})["csrf"]
    recorder.call("NewTicket", other, "POST", "/ticket")
    recorder.call("LoggedOut", other, "POST", "/logout")
    settings = ProviderSettings("corp", issuer="https://id.example.org", client_id="dpresence", domains=("example.org",))
    provider = Provider(settings, ProviderClient(allow_private=False), world.clock)
    client = OidcClient(provider, "", AUDIENCE, world.clock, [ClientKey(import_key(KEY), "2026-11")])
    world.registry.clients.providers["corp"] = client
    recorder.call("JwkSet", other, "GET", "/login/corp/jwks")
    del world.registry.clients.providers["corp"]
    return dev


def applications(recorder: Recorder, dev: Browser) -> App:
    world = recorder.world
    about = {"name": 'Chess "♞"', "domain": world.proof.domain, "description": "Who is up\nfor a <game>?"}
    made = recorder.call("ApplicationBody", dev, "POST", "/myapps", about)
    path = f"/myapps/{made['appid']}"
    world.registered(dev, "other.example.org")
    recorder.call("Refusal", dev, "POST", f"{path}/validate")
    world.proof.answer = (200, made["domain_key"])
    recorder.call("ApplicationBody", dev, "POST", f"{path}/validate")
    recorder.call("ApplicationPage", dev, "GET", "/myapps")
    recorder.call("ApplicationPage", dev, "GET", "/myapps?limit=1")
    recorder.call("ActivatedApplication", dev, "POST", f"{path}/activate")
    recorder.call("ApplicationBody", dev, "POST", f"{path}/deactivate")
    recorder.call("ActivatedApplication", dev, "POST", f"{path}/activate")
    app = App(made["appid"], recorder.call("NewKey", dev, "POST", f"{path}/key")["api_key"], dev)
    recorder.call("ApplicationBody", dev, "PATCH", path, {"name": "Chess"})
    recorder.call("ApplicationDetails", dev, "GET", path)
    return app


def grants(recorder: Recorder, app: App, dev: Browser) -> tuple[Browser, list[str]]:
    world = recorder.world
    ann = world.person(ANN)
    recorder.call("GrantQuestion", ann, "GET", f"/grant/{app.id}")
    puid = recorder.call("NewGrant", ann, "POST", f"/grant/{app.id}")["puid"]
    recorder.call("GrantBody", ann, "PATCH", f"/grant/{app.id}", {"paused": True})
    ann("PATCH", f"/grant/{app.id}", {"paused": False})
    recorder.call("GrantPage", ann, "GET", "/grants")
    recorder.call("GrantPage", ann, "GET", "/grants?limit=1")
    bob = world.grant(BOB, app)
    recorder.call("CurrentUsers", dev, "GET", f"/myapps/{app.id}/now")
    as_service = {"Authorization": f"Bearer {app.key}"}
    recorder.call("PresencePage", world.browser(), "GET", f"/myapps/{app.id}/presence?limit=1", **as_service)
    recorder.call("PresencePage", world.browser(), "GET", f"/myapps/{app.id}/presence?puid={puid}&puid={bob}", **as_service)
    recorder.call("Refusal", world.browser(), "GET", f"/myapps/{app.id}/presence?puid=x", **as_service)
    return ann, [puid, bob]


def devices(recorder: Recorder, ann: Browser, app: App, puids: list[str]) -> None:
    world = recorder.world
    channel: Any = world.channel()
    asked = {"ticket": True, "ack": True, "clears": True}
    first = {"email": ANN, "assertion": world.assertion(ANN), "status": "online", **asked, "device": "phone"}
    channel.receive({**first, "email": BOB, "id": "a"})
    channel.receive({**first, "id": 7})
    channel.receive({"email": ANN, "status": "unavailable"})
    channel.receive({"email": ANN, "status": "online", "id": "ä\n"})
    channel.receive("{")
    channel.receive({"email": ANN, "status": "busy", "id": 8})
    for status in ("online", "unavailable") * 11:
        channel.receive({"email": ANN, "status": status})
    recorder.frames(channel)
    plain: Any = world.device(ANN, "unavailable", device="tablet")
    plain.raw.clear()
    item = {"puid": puids[0], "message": "Your \u2028 move", "action": "open", "source": "Bob's"}
    answer = [item, {"puid": "nobody"}, {"puid": puids[1], "ttl": 0}]
    recorder.call("NotifyAnswer", world.browser(), "POST", f"/myapps/{app.id}/notifications", answer, Authorization=f"Bearer {app.key}")
    recorder.frames(plain)
    recorder.frames(channel)
    recorder.call("DeviceList", ann, "GET", "/devices")
    recorder.call("StatusBody", ann, "PUT", "/status", {"status": "online", "until": 4_102_444_800_000})
    ann("DELETE", "/status")
    recorder.call("StatusBody", ann, "GET", "/status")
    recorder.call("KnownDeviceBody", ann, "PATCH", "/devices/phone", {"label": "Mine"})
    entries = recorder.call("InboxPage", ann, "GET", "/notifications?limit=1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inboxes, "_DELAY_SECONDS", 0)
        recorder.call("Unread", ann, "POST", "/notifications/read", {"until": entries["notifications"][0]["id"]})
        world.settle()
    recorder.frames(channel)
    recorder.call("HoursBody", ann, "GET", "/hours")
    key = ann("GET", "/push").json["key"]
    subscription = {"endpoint": "https://updates.push.services.mozilla.com/wpush/v2/x", "keys": {"p256dh": key, "auth": "A" * 22}}
    recorder.call("PushSubscriptionBody", ann, "PUT", "/push", {**subscription, "key": key, "label": "Mine"})
    recorder.call("PushState", ann, "GET", "/push")
    plain.leave()
    world.notify(app, item)
    recorder.call("DeviceList", ann, "GET", "/devices")


def app_service(recorder: Recorder, app: App, puids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    world = recorder.world
    world.services.snapshots.entries = 1
    channel: Any = world.service_channel(app)
    channel.receive({"action": "notify", "notifications": [{"puid": "x"}]})
    channel.receive({"action": "auth", "key": app.key, "id": 1})
    world.settle()
    cursor = channel.sent[-1]["cursor"]
    recorder.frames(channel)
    channel.receive({"action": "notify", "id": 2, "notifications": [{"puid": puids[1], "ttl": 0}, {"puid": "nobody"}]})
    channel.receive({"action": "notify", "id": 3, "notifications": [{"puid": puids[1], "action": "no word"}]})
    recorder.frames(channel)
    world.device(BOB)
    world.browser()("DELETE", f"/grant/{app.id}", **world.authorization(BOB))
    world.settle()
    recorder.frames(channel)
    recorder.frames(world.service(app, cursor))


def account(recorder: Recorder, ann: Browser, dev: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    world = recorder.world
    ann("POST", "/ticket")
    recorder.call("AccountDocument", ann, "GET", "/account")
    recorder.call("AccountDocument", dev, "GET", "/account")
    world.services.operator_metrics.ping_backends()
    world.services.metrics.closed(4013)
    world.services.metrics.closed(4999)
    world.advance(60)
    world.services.operator_metrics.sample()
    recorder.call("Figures", dev, "GET", "/admin/figures")
    mailbox = world.registry.backends.mailbox
    monkeypatch.setattr(mailbox, "pending", unavailable)
    recorder.call("AccountDocument", ann, "GET", "/account")
    monkeypatch.setattr(mailbox, "ping", unavailable)
    world.registry.clients.providers["corp"] = SimpleNamespace(reached=True)
    recorder.call("Heartbeat", dev, "GET", "/__heartbeat__")


def unavailable(*_: Any) -> None:
    raise BackendUnavailable()
