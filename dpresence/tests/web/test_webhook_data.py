"""The wishes of a webhook's endpoint, and the data about it that its owner gets elsewhere (docs/protocol.md, section 6)."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from dpresence.outbound import MAX_WAIT_SECONDS, wait_seconds
from dpresence.webhook_requests import DeliveryResult

from .support import App, World
from .test_webhooks import ANN, endpoint, long_leases, quiet
from .webhook_endpoint import Endpoint

__all__ = ["endpoint", "long_leases", "quiet"]


def test_the_next_attempt_comes_when_the_endpoint_asks_for_it(world: World, app: App, quiet: Endpoint) -> None:
    world.grant(ANN, app)
    quiet.proof.answer, quiet.proof.retry_after = (503, ""), "1000"
    first = quiet.take()
    assert 998 <= (quiet.state["next_attempt_at"] - world.clock.now()) / 1000 <= 1000
    assert quiet.take(990) == []
    quiet.proof.forget()
    assert quiet.take(12) == first


@pytest.mark.parametrize("text", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2026 00:00:00 +99999999999999"])
def test_an_endpoint_that_asks_for_an_impossible_time_has_failed_as_any_other(world: World, app: App, quiet: Endpoint, text: str) -> None:
    world.grant(ANN, app)
    quiet.proof.answer, quiet.proof.retry_after = (503, ""), text
    quiet.take()
    assert (quiet.state["failures"], quiet.state["log"][0]["status"]) == (1, 503)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120), ("", 0), ("soon", 0), ("-1", 0), ("99999999999", MAX_WAIT_SECONDS), (formatdate(1_000_060, usegmt=True), 60)],
)
def test_a_wait_is_a_number_or_a_date_of_up_to_a_day(text: str, seconds: float) -> None:
    assert wait_seconds(text, 1_000_000) == seconds


def test_the_data_of_the_owner_has_the_webhook_without_its_secret(app: App, quiet: Endpoint) -> None:
    document = app.owner("GET", "/account")
    webhook = {key: value for key, value in quiet.state.items() if key != "log"}
    assert document.json["webhooks"] == [{"appid": app.id, **webhook}]
    assert quiet.secret not in document.text


def test_the_times_of_a_failure_do_not_show_how_long_a_look_up_took(
    world: World, app: App, quiet: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> DeliveryResult:
        world.clock.advance(1)
        return DeliveryResult("dns", None, "the name has no public address", 0)

    monkeypatch.setattr(world.services.webhook_sender._requests, "post", fail)
    monkeypatch.setattr("random.uniform", lambda low, high: low)
    world.grant(ANN, app)
    quiet.take()
    state = quiet.state
    [attempt] = [each for each in state["log"] if each["outcome"] == "dns"]
    assert (state["failing_since"], state["next_attempt_at"]) == (attempt["at"], attempt["at"] + 5000)
    assert quiet.call("POST", "/test").json["at"] < world.clock.now() - 900
