"""What somebody was allowed ends everywhere at once: at the process that ends it and at the other one."""

from __future__ import annotations

import pytest

from dpresence.errors import CloseCode
from dpresence.tests.support import FakeConnection
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
    """Carry out what a command of the operator left in the outbox, and let both hear of it."""
    worlds[0].carry_out()
    for world in worlds:
        for _ in range(20):
            world.settle()


def messages(device: FakeConnection) -> list[str]:
    return [item["message"] for frame in device.sent for item in frame.get("notifications", ())]


def test_unpinning_ends_what_the_old_holder_of_an_address_is_signed_in_with(one: World, two: World) -> None:
    holder, devices = one.person(ANN), [one.device(ANN), two.device(ANN, device="phone")]
    ticket = holder("POST", "/ticket").json["ticket"]
    assert one.parts.backends.directory.unpin(ANN)
    settle(one, two)
    assert [device.code for device in devices] == [SIGNED_OUT, SIGNED_OUT]
    for world in (one, two):
        assert world.channel().receive({"email": ANN, "assertion": ticket, "status": "online"})["errno"] == 34
    assert refusal(holder("GET", "/devices"))[1]["errno"] == 130


def test_a_block_ends_the_applications_of_a_developer_until_they_activate_them_again(one: World, two: World, app: App, puid: str) -> None:
    services = [one.followed(app), two.followed(app)]
    assert one.parts.backends.directory.block(DEV, True)
    settle(one, two)
    assert [service.code for service in services] == [DEACTIVATED, DEACTIVATED]
    for world in (one, two):
        sent = world.browser()("POST", f"/myapps/{app.id}/notifications", [{"puid": puid}], Authorization=f"Bearer {app.key}")
        assert sent.json["errno"] == 142
    one.parts.backends.directory.block(DEV, False)
    assert two.person(DEV)("POST", f"/myapps/{app.id}/activate").status_int == 200


def test_an_application_that_the_operator_stops_ends_and_cannot_be_activated(one: World, two: World, app: App, puid: str) -> None:
    services, directory = [one.followed(app), two.followed(app)], one.parts.backends.directory
    assert directory.change_application(app.id, {"active": False, "stopped": True})
    settle(one, two)
    assert [service.code for service in services] == [DEACTIVATED, DEACTIVATED]
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


@pytest.mark.parametrize("changes", [{"proof": None, "active": False}, {"active": False}, {"active": False, "stopped": True}])
def test_what_waits_from_an_application_that_is_not_active_is_shown_to_nobody(
    one: World, two: World, app: App, puid: str, changes: dict[str, object]
) -> None:
    one.notify(app, {"puid": puid, "message": "waiting"})
    one.parts.backends.directory.change_application(app.id, changes)
    devices = [one.device(ANN), two.device(ANN, device="phone")]
    settle(one, two)
    assert [messages(device) for device in devices] == [[], []]
    again = {"proof": "http", "active": True, "stopped": False}
    one.parts.backends.directory.change_application(app.id, again)
    late = two.channel()
    late.receive({"email": ANN, "assertion": two.assertion(ANN), "status": "online", "device": "laptop"})
    assert messages(late) == ["waiting"]
