"""Snapshots of webhooks that are interrupted, by a failure or by their owner (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Any

import pytest

from dpresence.service import webhook_messages
from dpresence.tests.web.support import App, World
from dpresence.tests.web.webhook_endpoint import ANN, Endpoint, end_leases, entries, long_leases

__all__ = ["long_leases"]

BOB = "bob@example.org"


@pytest.fixture
def quiet(world: World, app: App) -> Endpoint:
    """An endpoint that has had its first snapshot, of one user."""
    world.grant(ANN, app)
    endpoint = Endpoint(world, app)
    assert [message["type"] for message in endpoint.take()] == ["presence.snapshot"]
    return endpoint


def test_a_snapshot_that_fails_for_longer_than_the_log_lasts_begins_anew(world: World, app: App, quiet: Endpoint) -> None:
    quiet.proof.answer = (500, "")
    quiet.call("POST", "/replay", {"since": None})
    [failed] = quiet.take()
    for _ in range(2):
        world.grant(BOB, app)
        world.person(BOB)("DELETE", f"/grant/{app.id}")
        assert quiet.take(4000)
        world.services.feeds.sweep()
    quiet.proof.answer = (204, "")
    [snapshot] = quiet.take(2000)
    assert snapshot["data"]["cursor"] != failed["data"]["cursor"] and quiet.state["cursor"] == snapshot["data"]["cursor"]
    world.grant(BOB, app)
    assert entries(quiet.take() + quiet.take()) == [("offline", "granted")]


def interrupt(quiet: Endpoint, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Have a snapshot in pages of one user fail after the first page; return that."""
    monkeypatch.setattr(webhook_messages, "ENTRIES", 1)
    directory = quiet.world.registry.backends.directory
    record = directory.record_attempt

    def fail_from_now_on(*arguments: Any) -> bool:
        quiet.proof.answer = (500, "")
        return record(*arguments)

    with monkeypatch.context() as first_page:
        first_page.setattr(directory, "record_attempt", fail_from_now_on)
        quiet.call("POST", "/replay", {"since": None})
        first, failed = (message["data"] for message in quiet.take())
    assert (first["last"], failed["last"], "first" in failed) == (False, False, False)
    quiet.proof.answer = (204, "")
    return dict(first)


def test_a_webhook_that_gets_another_url_in_the_middle_of_a_snapshot_begins_anew(
    world: World, app: App, quiet: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.grant(BOB, app)
    quiet.take()
    interrupt(quiet, monkeypatch)
    quiet.call("PUT", "", {"url": f"{quiet.url}/other"})
    pages = [message["data"]["snapshot"] for message in quiet.take()]
    assert len({entry["puid"] for page in pages for entry in page}) == sum(map(len, pages)) == 2


def test_a_snapshot_that_another_process_begins_anew_says_so_as_somebody_may_have_revoked(
    world: World, app: App, quiet: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    puids = {world.grant(email, app): email for email in (ANN, BOB)}
    quiet.take()
    sent = interrupt(quiet, monkeypatch)
    assert sent["first"] is True
    [gone] = [entry["puid"] for entry in sent["snapshot"]]
    world.person(puids.pop(gone))("DELETE", f"/grant/{app.id}")
    end_leases(world)
    pages = [message["data"] for message in quiet.take(6)]
    assert [page.get("first") for page in pages] == [True, *[None] * (len(pages) - 1)]
    assert [entry["puid"] for page in pages for entry in page["snapshot"]] == [*puids], "nothing else says that one has revoked"
