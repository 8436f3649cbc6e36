"""Snapshots of several pages: in the middle of changes, interrupted and continued, and never in memory as a whole (section 5)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from dpresence.errors import CloseCode
from dpresence.service.feeds import Feeds
from dpresence.tests.support import FakeConnection
from dpresence.tests.web.streams import poll, stream
from dpresence.tests.web.support import App, World, ko, refusal, snapshot

PEOPLE = [f"user-{number}@example.org" for number in range(6)]


@pytest.fixture
def puids(world: World, app: App) -> list[str]:
    """PUIDs of all people, in the order of pages; each page has one."""
    world.services.snapshots.entries = 1
    return sorted(world.grant(email, app) for email in PEOPLE)


def frames_of(channel: FakeConnection) -> list[dict[str, Any]]:
    return [frame for frame in channel.take() if "snapshot" in frame]


def puids_in(frames: list[dict[str, Any]]) -> list[str]:
    return [entry["puid"] for frame in frames for entry in frame["snapshot"]]


def table_of(channel: FakeConnection) -> dict[str, str]:
    """Return what an application knows after all frames of a channel."""
    table: dict[str, str] = {}
    for frame in channel.take():
        for entry in [*frame.get("snapshot", ()), *frame.get("updates", ())]:
            table[entry["puid"]] = entry["status"]
            if entry.get("reason") == "revoked":
                del table[entry["puid"]]
    return table


def at_each_page(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Let something happen after each page has been sent and before the next one is read."""
    monkeypatch.setattr(FakeConnection, "drain", lambda connection: change())


@pytest.mark.parametrize("seed", range(4))
def test_changes_while_a_snapshot_is_sent_are_repaired_by_the_updates_after_it(
    world: World, app: App, puids: list[str], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance, devices, late = random.Random(seed), [world.device(email) for email in PEOPLE], iter(range(100))

    def change() -> None:
        email = chance.choice(PEOPLE)
        kind = chance.choice(["status", "status", "revoke", "pause", "grant"])
        if kind == "status":
            devices[PEOPLE.index(email)].receive({"email": email, "status": chance.choice(["online", "unavailable"])})
        elif kind == "revoke":
            world.browser()("DELETE", f"/grant/{app.id}", **world.authorization(email))
        elif kind == "pause":
            world.browser()("PUT", f"/grant/{app.id}", {"paused": chance.random() < 0.5}, **world.authorization(email))
        else:
            world.grant(f"late-{next(late)}@example.org", app)
        world.carry_out()

    at_each_page(monkeypatch, change)
    channel = world.service(app)
    world.settle()
    assert table_of(channel) == {entry["puid"]: entry["status"] for entry in snapshot(world, app)}


def test_an_interrupted_snapshot_continues_after_the_last_page_that_arrived(world: World, app: App, puids: list[str]) -> None:
    whole = frames_of(world.service(app))
    assert [(frame["last"], "resume" in frame, "cursor" in frame) for frame in whole] == [(False, True, False)] * 6 + [(True, False, True)]
    device = world.device(PEOPLE[0])
    channel = world.service(app, since=whole[2]["resume"])
    assert channel.sent[0] == {"result": "OK", "action": "auth", "recovery": "snapshot"}
    first, *others, updates = channel.sent[1:]
    assert first["continued"] is True and not any("continued" in frame for frame in [*whole, *others])
    assert puids_in([first, *others]) == puids[3:]
    assert others[-1]["cursor"] == whole[-1]["cursor"]
    assert [entry["status"] for entry in updates["updates"]] == ["online"], "what changed since the snapshot began"
    assert device.code is None


def test_pages_are_read_only_as_fast_as_the_application_takes_them(
    world: World, app: App, puids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, unsent, page = 0, [], Feeds.page

    def counted(*arguments: Any) -> Any:
        nonlocal read
        read += 1
        return page(*arguments)

    monkeypatch.setattr(Feeds, "page", counted)
    channel = world.service_channel(app)
    at_each_page(monkeypatch, lambda: unsent.append(read - len([frame for frame in channel.sent if "snapshot" in frame])))
    channel.receive({"action": "auth", "key": app.key})
    assert read == 7 and set(unsent) == {0}, "no page is read before the one before it has left"


@pytest.mark.parametrize("resume", ["0:0~p", "~p", "{}~", "{}~p~p", "{}~ö", "{}~\0", "{}~" + "x" * 65, "{}9~p"])
def test_a_cursor_that_continues_no_snapshot_leads_to_a_new_one(world: World, app: App, puids: list[str], resume: str) -> None:
    cursor = frames_of(world.service(app))[-1]["cursor"]
    frames = frames_of(world.service(app, since=resume.format(cursor)))
    assert puids_in(frames) == puids and "continued" not in frames[0]


def test_a_snapshot_that_took_too_long_begins_anew(make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(presence__feed_seconds="100")
    app = world.application()
    world.services.snapshots.entries = 1
    puids = sorted(world.grant(email, app) for email in PEOPLE)
    device = world.device(PEOPLE[0])
    with monkeypatch.context() as patched:
        at_each_page(patched, lambda: world.clock.advance(30) or device.receive({"email": PEOPLE[0], "status": "unavailable"}))
        channel = world.service(app)
    assert channel.code == CloseCode.TRY_AGAIN_LATER
    frames = frames_of(channel)
    assert puids_in(frames) == puids and not frames[-1]["last"], "the last page was not sent"
    again = frames_of(world.service(app, since=frames[-1]["resume"]))
    assert puids_in(again) == puids and again[-1]["last"]


def test_an_event_stream_has_no_id_until_its_snapshot_is_complete(world: World, app: App, puids: list[str]) -> None:
    auth, *events, last, current = stream(world, app).take_events()
    assert (auth.name, [event.id for event in events], last.id, current.name) == ("auth", [None] * 6, last.data["cursor"], "current")
    rest = [event.data for event in stream(world, app, f"?since={events[4].data['resume']}").take_events() if "snapshot" in event.data]
    assert puids_in(rest) == puids[5:] and rest[0]["continued"] is True


def test_a_long_poll_may_take_a_snapshot_page_by_page(world: World, app: App, puids: list[str]) -> None:
    frames = [poll(world, app, "?wait=9&page=4")]
    frames.append(poll(world, app, f"?wait=9&page=4&since={frames[0]['resume']}"))
    assert [len(frame["snapshot"]) for frame in frames] == [4, 2] and puids_in(frames) == puids
    assert [set(frame) for frame in frames] == [{"snapshot", "last", "resume"}, {"snapshot", "last", "cursor", "continued"}]
    assert poll(world, app, f"?wait=0&page=4&since={frames[1]['cursor']}") == {"updates": [], "cursor": frames[1]["cursor"]}
    rest = poll(world, app, f"?wait=9&since={frames[0]['resume']}")
    assert rest == frames[1], "without a page, all that is left"
    assert not world.services.hub.has_application(app.id)


@pytest.mark.parametrize("page", ["0", "501", "-1", "x", ""])
def test_a_wrong_size_of_pages_is_refused(shared: World, shared_app: App, page: str) -> None:
    answer = shared.browser()("GET", f"/myapps/{shared_app.id}/feed?wait=0&page={page}", Authorization=f"Bearer {shared_app.key}")
    assert refusal(answer) == (400, ko(107, "page: entries from 1 to 500"))
