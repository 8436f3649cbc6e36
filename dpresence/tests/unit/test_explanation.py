"""Property: what the chain of an explanation ends in is what the application is shown, whatever has happened before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpresence.backends.tracker.memory import MemoryTracker
from dpresence.model import Grant, GrantSet, Status
from dpresence.model.explanation import explain
from dpresence.settings import PresenceSettings
from dpresence.tests.hypothesis_settings import UNTIMED
from dpresence.tests.support import EPOCH, FakeClock

CHANGEABLE = {"own_pause": st.booleans(), "quiet": st.booleans(), "shows": st.sampled_from(["status", "reachable"])}
STATUSES = st.sampled_from(["online", "unavailable", "offline"])
DEVICES = st.sampled_from(["phone", "laptop"])
STEPS = st.one_of(
    st.tuples(st.just("connect"), DEVICES, STATUSES),
    st.tuples(st.just("leave"), DEVICES),
    st.tuples(st.just("expire"), st.sampled_from([1.0, 20.0])),
    st.tuples(st.just("override"), st.none() | STATUSES),
    *(st.tuples(st.just("change"), st.just(name), values) for name, values in CHANGEABLE.items()),
)


class Person:
    """One user with one grant, as the service keeps them in step with the tracker."""

    def __init__(self, burst: int) -> None:
        self.clock = FakeClock()
        self.tracker = MemoryTracker(PresenceSettings(status_burst=burst), self.clock)
        self.grant = Grant("chess", "puid", "jane", EPOCH, EPOCH)
        self.own_pause = self.in_hours = False
        self.override: Status | None = None
        self.revision = 0
        self.tracker.append_grant(self.grant, 0)

    @property
    def grants(self) -> GrantSet:
        return GrantSet(self.revision, (self.grant,), self.override)

    def connect(self, device: str, status: Status) -> None:
        self.tracker.connect("jane", device, f"to {device}", status, self.grants, 10, 0)

    def leave(self, device: str) -> None:
        self.tracker.leave("jane", device, f"to {device}")

    def expire(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.tracker.expire("jane", self.grants)

    def change_override(self, status: Status | None) -> None:
        self.override, self.revision = status, self.revision + 1
        self.tracker.apply_override("jane", self.grants)

    def change(self, name: str, value: Any) -> None:
        if name == "shows":
            self.grant = replace(self.grant, shows=value)
        else:
            setattr(self, "own_pause" if name == "own_pause" else "in_hours", value)
            quiet = self.in_hours and not self.own_pause
            self.grant = replace(self.grant, paused=self.own_pause or quiet, quiet=quiet)
        self.revision += 1
        self.tracker.append_current_status(self.grant, self.revision)

    def step(self, name: str, *values: Any) -> None:
        getattr(self, {"override": "change_override"}.get(name, name))(*values)

    def explained(self) -> list[tuple[str, Status]]:
        seen = self.tracker.latest("chess", ["puid"])["puid"].status
        return [tuple(link) for link in explain(self.tracker.devices("jane"), self.override, self.grant, seen)]


@pytest.mark.slow
@UNTIMED
@given(st.lists(STEPS, max_size=12))
def test_the_chain_alone_leads_to_what_the_feed_says(steps: list[Any]) -> None:
    person = Person(burst=10000)
    for step in steps:
        person.step(*step)
        assert "sent" not in dict(person.explained()), (step, person.explained())


@UNTIMED
@given(st.lists(STEPS, max_size=12))
def test_with_postponed_changes_the_last_link_is_what_the_feed_says(steps: list[Any]) -> None:
    person = Person(burst=2)
    for step in steps:
        person.step(*step)
        assert person.explained()[-1][1] == person.tracker.latest("chess", ["puid"])["puid"].status


def test_each_link_that_is_in_force_is_named_in_order() -> None:
    person = Person(burst=10000)
    for step in (
        ("connect", "phone", "online"),
        ("connect", "laptop", "offline"),
        ("override", "unavailable"),
        ("change", "shows", "reachable"),
    ):
        person.step(*step)
    assert person.explained() == [("devices", "online"), ("override", "unavailable"), ("shows", "offline")]
    person.change("own_pause", True)
    assert person.explained()[2:] == [("pause", "offline"), ("shows", "offline")]


def test_an_override_is_not_in_force_without_a_device() -> None:
    person = Person(burst=10000)
    person.change_override("online")
    assert person.explained() == [("devices", "offline")]
