"""A permission ends at all processes at once: at the one that ends it and at the other one."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest

from dpresence.errors import CloseCode
from dpresence.model import Identity
from dpresence.tests.support import FakeConnection
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually
from dpresence.tests.web.races import Held
from dpresence.tests.web.support import App, World, ko, refusal

ANN = "ann@example.org"
DEV = "dev@example.org"
SIGNED_OUT, DEACTIVATED = CloseCode.NOT_SIGNED_IN, CloseCode.DEACTIVATED


@pytest.fixture
def app(one: World) -> App:
    return one.application(one.person(DEV))


@pytest.fixture
def puid(one: World, app: App) -> str:
    return one.grant(ANN, app)


def settle(*worlds: World) -> None:
    """Carry out what a command of the operator left in the outbox, at both processes."""
    worlds[0].carry_out()
    for world in worlds:
        for _ in range(20):
            world.settle()


def messages(device: FakeConnection) -> list[str]:
    return [item["message"] for frame in device.sent for item in frame.get("notifications", ())]


def test_unpinning_ends_what_the_old_holder_of_an_address_is_signed_in_with(one: World, two: World) -> None:
    holder, devices = one.person(ANN), [one.device(ANN), two.device(ANN, device="phone")]
    ticket = holder("POST", "/ticket").json["ticket"]
    assert one.registry.backends.directory.unpin(ANN)
    settle(one, two)
    assert [device.code for device in devices] == [SIGNED_OUT, SIGNED_OUT]
    for world in (one, two):
        assert world.channel().receive({"email": ANN, "assertion": ticket, "status": "online"})["errno"] == 34
    assert refusal(holder("GET", "/devices"))[1]["errno"] == 130


def test_a_block_ends_the_applications_of_a_developer_until_they_activate_them_again(one: World, two: World, app: App, puid: str) -> None:
    services = [one.followed(app), two.followed(app)]
    assert one.registry.backends.directory.block(DEV, True)
    settle(one, two)
    assert [service.code for service in services] == [DEACTIVATED, DEACTIVATED]
    for world in (one, two):
        sent = world.browser()("POST", f"/myapps/{app.id}/notifications", [{"puid": puid}], Authorization=f"Bearer {app.key}")
        assert sent.json["errno"] == 142
    one.registry.backends.directory.block(DEV, False)
    assert two.person(DEV)("POST", f"/myapps/{app.id}/activate").status_int == 200


END = {"block": lambda directory, email: directory.block(email, True), "unpin": lambda directory, email: directory.unpin(email)}


@pytest.mark.parametrize("end", END)
@pytest.mark.parametrize("verb", ["activate", "key"])
def test_a_developer_who_is_blocked_or_unpinned_in_the_middle_of_a_call_gets_no_key(
    one: World, two: World, monkeypatch: pytest.MonkeyPatch, end: str, verb: str
) -> None:
    owner, directory = one.person(DEV), one.registry.backends.directory
    appid = one.validated(owner)
    if verb == "key":
        owner("POST", f"/myapps/{appid}/activate")
    held, answers = Held(monkeypatch, directory, {"activate": "activate", "key": "add_key"}[verb]), []
    held.overtake(
        lambda: answers.append(refusal(owner("POST", f"/myapps/{appid}/{verb}"))), lambda: END[end](two.registry.backends.directory, DEV)
    )
    assert answers == [(401, ko(130, "the session has ended; send a new assertion"))]
    application = directory.application(appid)
    assert application is not None and not application.active


@pytest.mark.parametrize("end", END)
def test_a_device_that_signs_in_while_its_account_is_blocked_or_unpinned_gets_no_ticket(
    one: World, two: World, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    held, channel = Held(monkeypatch, one.registry.backends.directory, "add_ticket"), one.channel()
    frame = {"email": ANN, "assertion": one.assertion(ANN), "status": "online", "device": "phone", "ticket": True}
    held.overtake(lambda: channel.receive(frame), lambda: END[end](two.registry.backends.directory, ANN))
    settle(one, two)
    assert [frame.get("errno") for frame in channel.sent] == [130]
    assert not any("ticket" in frame for frame in channel.sent)


def test_a_device_that_signs_in_with_an_assertion_while_its_account_is_unpinned_is_signed_out(
    one: World, two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, channel = Held(monkeypatch, one.services.devices, "connect"), one.channel()

    def unpin() -> None:
        two.registry.backends.directory.unpin(ANN)
        settle(one, two)

    frame = {"email": ANN, "assertion": one.assertion(ANN), "status": "online", "device": "phone"}
    held.overtake(lambda: channel.receive(frame), unpin)
    settle(one, two)
    assert channel.code == SIGNED_OUT


def test_an_old_holder_who_comes_back_at_once_does_not_pin_the_account_to_themselves_again(one: World, two: World, app: App) -> None:
    repeated = two.authorization(DEV)
    assert one.registry.backends.directory.unpin(DEV)
    settle(one, two)
    pinned = (409, ko(122, "email: its account belongs to another issuer or subject"))
    assert refusal(two.browser()("GET", "/myapps", **repeated)) == pinned
    assert refusal(two.browser()("POST", "/login", {"assertion": two.assertion(DEV)})) == pinned
    sent = two.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {app.key}")
    assert sent.json["errno"] == 142
    new = two.registry.backends.directory.sign_in(Identity(DEV, "new.example.org", "dev-2", 0), 0)
    assert new.issuer == "new.example.org"


def test_an_application_that_the_operator_stops_ends_and_cannot_be_activated(
    one: World, two: World, app: App, puid: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "dpresence.service")
    services, directory = [one.followed(app), two.followed(app)], one.registry.backends.directory
    assert directory.change_application(app.id, {"active": False, "stopped": True})
    settle(one, two)
    assert [service.code for service in services] == [DEACTIVATED, DEACTIVATED]
    assert f"the operator has stopped application {app.id}" in caplog.messages
    refused = refusal(app.owner("POST", f"/myapps/{app.id}/activate"))
    assert refused == (409, ko(122, "the operator has stopped this application"))
    directory.change_application(app.id, {"stopped": False})
    assert app.owner("POST", f"/myapps/{app.id}/activate").status_int == 200


def test_a_new_log_in_ends_the_session_that_the_browser_had(one: World, two: World) -> None:
    browser = one.person(ANN)
    cookie = browser.web.cookies["dpresence"]
    page = two.channel()
    page.receive({"email": ANN, "assertion": browser("POST", "/ticket").json["ticket"], "status": "online", "device": "page"})
    assert browser("POST", "/login", {"assertion": one.assertion("bob@example.org")}).status_int == 200
    settle(one, two)
    assert page.code == SIGNED_OUT
    assert refusal(two.browser()("GET", "/account", Cookie=f"dpresence={cookie}"))[1]["errno"] == 130
    assert browser("GET", "/devices", X_CSRF_Token="").status_int in (200, 403)


def test_a_log_in_that_is_refused_ends_no_session(one: World) -> None:
    browser = one.person(ANN)
    assert browser("POST", "/login", {"assertion": "nonsense"}).status_int == 401
    assert browser("GET", "/devices").status_int == 200


@pytest.mark.parametrize("changes", [{"validated_scheme": None, "active": False}, {"active": False}, {"active": False, "stopped": True}])
def test_notifications_of_an_inactive_application_are_shown_to_nobody(
    one: World, two: World, app: App, puid: str, changes: dict[str, object]
) -> None:
    one.notify(app, {"puid": puid, "message": "waiting"})
    one.registry.backends.directory.change_application(app.id, changes)
    devices = [one.device(ANN), two.device(ANN, device="phone")]
    settle(one, two)
    assert [messages(device) for device in devices] == [[], []]
    again = {"validated_scheme": "http", "active": True, "stopped": False}
    one.registry.backends.directory.change_application(app.id, again)
    late = two.channel()
    late.receive({"email": ANN, "assertion": two.assertion(ANN), "status": "online", "device": "laptop"})
    assert messages(late) == ["waiting"]


def test_waiting_notifications_go_to_connected_devices_when_the_application_is_active_again(
    one: World, two: World, app: App, puid: str
) -> None:
    one.notify(app, {"puid": puid, "message": "waiting"})
    assert app.owner("POST", f"/myapps/{app.id}/deactivate").status_int == 200
    devices = [one.device(ANN, device="laptop", ack=True), two.device(ANN, device="phone", ack=True)]
    settle(one, two)
    assert [messages(device) for device in devices] == [[], []]
    held = one.browser()("GET", "/account", **one.authorization(ANN)).json["notifications"]
    assert [item["message"] for item in held] == ["waiting"], "the user's data shows it"
    assert app.owner("POST", f"/myapps/{app.id}/activate").status_int == 200
    settle(one, two)
    eventually(lambda: [messages(device) for device in devices] == [["waiting"], ["waiting"]])


def test_of_log_ins_in_parallel_from_one_browser_one_session_stays(one: World, two: World) -> None:
    browser = one.person(ANN)
    cookie = browser.web.cookies["dpresence"]
    again = [(world.browser(), world.assertion(ANN)) for world in (one, two, one, two)]
    calls = [gevent.spawn(each, "POST", "/login", {"assertion": proof}, Cookie=f"dpresence={cookie}") for each, proof in again]
    gevent.joinall(calls, raise_error=True)
    assert [call.value.status_int for call in calls] == [200] * 4
    given = [each.web.cookies["dpresence"] for each, _ in again]
    signed = [two.browser()("GET", "/devices", Cookie=f"dpresence={value}").status_int for value in (cookie, *given)]
    assert sorted(signed) == [200, 401, 401, 401, 401] and signed[0] == 401


def phone_of(world: World) -> dict[str, str]:
    return {"email": ANN, "assertion": world.assertion(ANN), "status": "online", "device": "phone"}


def everywhere(world: World) -> None:
    world.person(ANN)("POST", "/logout", {"everywhere": True})


def of_the_phone(world: World) -> None:
    world.person(ANN)("DELETE", "/devices/phone")


@pytest.mark.parametrize("sign_out", [everywhere, of_the_phone])
def test_a_device_that_a_sign_out_removes_before_its_channel_is_there_is_signed_out(
    one: World, two: World, monkeypatch: pytest.MonkeyPatch, sign_out: Callable[[World], None]
) -> None:
    held, channel, frame = Held(monkeypatch, one.services.hub, "join_device"), one.channel(), phone_of(one)

    def overtake() -> None:
        sign_out(two)
        settle(one, two)

    held.overtake(lambda: channel.receive(frame), overtake)
    settle(one, two)
    assert channel.code == SIGNED_OUT


def test_a_sign_in_that_is_confirmed_before_a_sign_out_removes_devices_keeps_its_device(
    one: World, two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing_in, channel = Held(monkeypatch, one.services.devices, "connect"), one.channel()
    removing, frame = Held(monkeypatch, two.registry.backends.tracker, "remove_all"), phone_of(one)
    signing_out: list[gevent.Greenlet] = []

    def begin_to_sign_out() -> None:
        signing_out.append(gevent.spawn(everywhere, two))
        assert removing.reached.wait(PATIENCE_SECONDS)
        for _ in range(20):
            one.settle()

    signing_in.overtake(lambda: channel.receive(frame), begin_to_sign_out)
    removing.overtake(signing_out[0].join, lambda: None)
    settle(one, two)
    assert channel.code is None
    assert [device.name for device in one.services.devices.list(channel.channel.session.user)] == ["phone"]
