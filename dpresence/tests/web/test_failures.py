"""Failed sign-ins and keys: the client that fails is slowed down, never another user at the same address with a good proof."""

from __future__ import annotations

import pytest
from webtest import TestResponse

from dpresence.service.failed_sign_ins import FailedSignIns
from dpresence.tests.support import FakeClock
from dpresence.tests.web.support import App, World, ko, refusal

ANN, BOB = "ann@example.org", "bob@example.org"
INVALID = (401, ko(34, "Invalid assertion"))
SLOW = ko(117, "too many failures from this address", retry_after=6)
CROWDED = SLOW | {"retry_after": 1}
"""The refusal of a wrong proof that is new, at an address with too many of them."""


@pytest.fixture(name="noisy")
def noisy_world(world: World) -> World:
    """Return a service at which a neighbour fails so often that everything of theirs is refused for its rate."""
    for number in range(101):
        fail(world, number)
    assert refusal(fail(world, 101)) == (429, CROWDED)
    return world


def fail(world: World, number: int = 0) -> TestResponse:
    return world.browser()("GET", "/devices", Authorization=f"BrowserID x~{number}")


def test_the_same_wrong_proof_is_slowed_down(world: World) -> None:
    for _ in range(10):
        assert refusal(fail(world)) == INVALID
    answer = fail(world)
    assert refusal(answer) == (429, SLOW)
    assert answer.headers["Retry-After"] == "6"
    world.clock.advance(6)
    assert refusal(fail(world)) == INVALID


def test_the_same_wrong_proof_is_slowed_down_at_all_addresses_of_an_ipv6_network(world: World) -> None:
    answers = [world.browser(f"2001:db8::{n}")("GET", "/devices", Authorization="BrowserID x~0") for n in range(11)]
    assert [answer.status_int for answer in answers] == [401] * 10 + [429]


def test_an_expired_proof_is_refused_as_such_while_a_neighbour_repeats_theirs(world: World) -> None:
    for _ in range(50):
        fail(world)
    assert refusal(fail(world, 2)) == INVALID
    assert refusal(world.browser("192.0.2.1")("GET", "/devices", Authorization="BrowserID x~0")) == INVALID


def test_good_assertions_are_taken_whatever_others_at_the_address_did(noisy: World) -> None:
    assert noisy.browser()("GET", "/devices", **noisy.authorization(ANN)).status_int == 200
    assert noisy.person(ANN).csrf
    assert noisy.device(BOB).code is None


def test_a_good_ticket_is_taken_whatever_others_at_the_address_did(world: World) -> None:
    ticket = world.person(ANN)("POST", "/ticket").json["ticket"]
    frame = {"email": ANN, "status": "online", "assertion": ticket, "ticket": True}
    for number in range(120):
        world.channel().receive({**frame, "assertion": f"ticket:{number}"})
    assert world.channel().receive({**frame, "assertion": "ticket:120"}) == CROWDED
    assert world.channel().receive(frame)["result"] == "OK"


def test_a_good_assertion_renews_a_channel_whatever_others_at_the_address_did(world: World) -> None:
    device = world.device(ANN)
    for number in range(120):
        fail(world, number)
    assert device.receive({"email": ANN, "status": "online", "assertion": world.assertion(ANN)}) == {"result": "OK"}
    assert device.receive({"email": ANN, "status": "online", "assertion": "x~200"}) == CROWDED
    assert device.receive({"email": ANN, "status": "unavailable"}) == {"result": "OK"}, "the channel goes on as before"


def test_a_good_key_is_taken_whatever_others_at_the_address_did(noisy: World) -> None:
    app = noisy.application()
    wrong = {"Authorization": "Bearer x"}
    assert refusal(noisy.browser()("GET", f"/myapps/{app.id}/presence", **wrong)) == (429, CROWDED)
    assert noisy.service_channel(app).receive({"action": "auth", "key": "x"}) == CROWDED
    assert noisy.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {app.key}").status_int == 200
    assert noisy.service(app).code is None


def test_the_same_wrong_key_is_slowed_down_on_channels_and_calls_alike(world: World, app: App) -> None:
    for _ in range(5):
        channel = world.service_channel(app)
        for _ in range(2):
            assert channel.receive({"action": "auth", "key": "x"})["errno"] == 105
    look = world.browser()("GET", f"/myapps/{app.id}/presence", Authorization="Bearer x")
    assert refusal(look) == (429, SLOW)
    assert world.service_channel(app).receive({"action": "auth", "key": "x"}) == SLOW


def test_a_wrong_proof_beyond_the_limit_leaves_no_line_in_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "dpresence.service"):
        for number in range(300):
            fail(world, number)
    assert caplog.text.count("sign-in refused") == 100


def test_turns_of_an_address_that_nobody_holds_are_forgotten() -> None:
    failures = FailedSignIns(10, FakeClock())
    for number in range(1000):
        with failures.slot(f"192.0.2.{number}"):
            assert len(failures._slots) == 1
    assert not failures._slots
