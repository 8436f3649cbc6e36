"""Property: after any events of devices, users and the clock, each application sees each user by the merge rule, once per change.

A small model says what is true. Two readers follow each application's feed: one reads after every step, the other now and
then, from the cursor it has. Both must come to what the model says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from dpresence.backends.tracker import Tracker
from dpresence.backends.tracker.memory import MemoryTracker
from dpresence.errors import TooMany
from dpresence.model import FeedEntry, Grant, GrantSet, Offset, Status
from dpresence.settings import PresenceSettings
from dpresence.tests.hypothesis_settings import UNTIMED
from dpresence.tests.support import FakeClock, view_and_head

SETTINGS = PresenceSettings(grace_seconds=15, feed_seconds=60, feed_entries=6, status_burst=10000)
LIMIT = 3
RANK = {"offline": 0, "unavailable": 1, "online": 2}

users = st.sampled_from(["jane", "joe"])
apps = st.sampled_from(["chess", "go", "maps"])
statuses = st.sampled_from(["online", "unavailable", "offline"])
names = st.sampled_from([None, "phone", "laptop"])


@dataclass
class ModelDevice:
    """A live device as it should be; ``lost_at`` is when its grace began, by the clock that only goes forward."""

    status: Status
    connection: str
    lost_at: float | None = None


@dataclass(frozen=True)
class Connection:
    """A connection that was opened earlier; it may be closed or replaced by now."""

    id: str
    user: str
    device: str


@dataclass
class Reader:
    """An app service: what it holds, from a snapshot and the updates that followed."""

    offset: Offset
    view: dict[str, Status] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    last: dict[str, FeedEntry] = field(default_factory=dict)

    def fold(self, update: FeedEntry, tracker: Tracker) -> None:
        assert not tracker.reached(self.offset, update)
        assert update.puid not in self.dead
        self.offset = tracker.advance(self.offset, [update])
        if update.reason == "revoked":
            self.view.pop(update.puid, None)
            self.dead.add(update.puid)
        else:
            self.view[update.puid] = update.status

    def check(self, update: FeedEntry) -> None:
        """Check the invariants between entries of one PUID when none was left out."""
        before = self.last.get(update.puid)
        self.last[update.puid] = update
        assert update.at % 1000 == 0
        assert before is None or update.at >= before.at
        if update.reason in ("explicit", "lost"):
            assert update.status != (before.status if before else "offline")


class TrackerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.tracker = self.make_tracker()
        self.devices: dict[tuple[str, str], ModelDevice] = {}
        self.connections: list[Connection] = []
        self.grants: dict[tuple[str, str], Grant] = {}
        self.revoked: list[tuple[float, Grant]] = []
        self.named = 0
        self.set_forward = 0
        self.due: list[str] = []
        self.eager = {app: Reader(view_and_head(self.tracker, app)[1]) for app in ("chess", "go", "maps")}
        self.lazy = {app: Reader(reader.offset) for app, reader in self.eager.items()}

    def make_tracker(self) -> Tracker:
        return MemoryTracker(SETTINGS, self.clock)

    # -- the model

    def live(self, user: str) -> dict[str, ModelDevice]:
        return {name: device for (owner, name), device in self.devices.items() if owner == user}

    def merged(self, user: str) -> Status:
        return max((device.status for device in self.live(user).values()), key=RANK.__getitem__, default="offline")

    def visible(self, grant: Grant) -> Status:
        return "offline" if grant.paused else self.merged(grant.user)

    def grants_of(self, user: str) -> GrantSet:
        """Return a user's grants, and one that was revoked a moment ago, as a caller may still have cached it."""
        stale = [grant for at, grant in self.revoked[-2:] if self.age() - at < SETTINGS.feed_seconds and grant.user == user]
        return GrantSet(0, tuple(stale + [grant for grant in self.grants.values() if grant.user == user]))

    def owned(self, connection: Connection) -> ModelDevice | None:
        device = self.devices.get((connection.user, connection.device))
        return device if device and device.connection == connection.id and device.lost_at is None else None

    def age(self) -> float:
        """Seconds that passed, at most, by the clock a log is trimmed by."""
        return self.clock.seconds + self.set_forward

    def name(self, prefix: str) -> str:
        self.named += 1
        return f"{prefix}{self.named}"

    # -- devices

    @rule(user=users, name=names, status=statuses)
    def connect(self, user: str, name: str | None, status: Status) -> None:
        live, connection = self.live(user), self.name("c")
        candidates = [one for one, device in live.items() if one == name or (not name and one[0] == "~" and device.lost_at is not None)]
        counted = [one for one, device in live.items() if device.lost_at is None and one not in candidates]
        try:
            connected = self.tracker.connect(user, name, connection, status, self.grants_of(user), LIMIT, 0)
        except TooMany:
            assert len(counted) >= LIMIT
            return
        assert len(counted) < LIMIT
        assert connected.device in candidates or (not candidates and connected.device not in live)
        before = live.get(connected.device)
        assert connected.replaced == (before.connection if before and before.lost_at is None else None)
        self.devices[user, connected.device] = ModelDevice(status, connection)
        self.connections.append(Connection(connection, user, connected.device))

    @precondition(lambda self: self.connections)
    @rule(data=st.data(), status=statuses)
    def update(self, data: st.DataObject, status: Status) -> None:
        connection = data.draw(st.sampled_from(self.connections))
        device = self.owned(connection)
        said = self.tracker.update(connection.user, connection.device, connection.id, status, self.grants_of(connection.user))
        assert said is (device is not None)
        if device:
            device.status = status

    @precondition(lambda self: self.connections)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        connection = data.draw(st.sampled_from(self.connections))
        device = self.owned(connection)
        self.tracker.leave(connection.user, connection.device, connection.id)
        if device and device.status == "offline":
            del self.devices[connection.user, connection.device]
        elif device:
            device.lost_at = self.clock.seconds

    @rule(data=st.data(), user=users)
    def sign_out(self, data: st.DataObject, user: str) -> None:
        name = data.draw(st.sampled_from([*self.live(user), "unknown"]))
        assert self.tracker.remove(user, name, self.grants_of(user)) is ((user, name) in self.devices)
        self.devices.pop((user, name), None)

    @rule(user=users)
    def sign_out_everywhere(self, user: str) -> None:
        self.tracker.remove_all(user, self.grants_of(user))
        for name in self.live(user):
            del self.devices[user, name]

    # -- time

    @rule(seconds=st.sampled_from([0.4, 1, 5, 14.5, 15, 31, 70]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-7200, -61, -2, 2, 90]))
    def set_clock(self, seconds: int) -> None:
        self.clock.start += seconds * 1000
        self.set_forward += max(seconds, 0)

    @rule()
    def look_for_lost_devices(self) -> None:
        self.due = list(self.tracker.due())
        assert sorted(self.due) == sorted({user for user, name in self.devices if self.over(user, name)})

    @precondition(lambda self: self.due)
    @rule()
    def drop_lost_devices(self) -> None:
        """Expire devices, after any events since they were found."""
        for user in self.due:
            for name in [name for name in self.live(user) if self.over(user, name)]:
                del self.devices[user, name]
            self.tracker.expire(user, self.grants_of(user))
        self.due = []

    def over(self, user: str, name: str) -> bool:
        lost_at = self.devices[user, name].lost_at
        return lost_at is not None and self.clock.monotonic() >= 1000.0 + lost_at + SETTINGS.grace_seconds

    # -- grants

    @rule(user=users, app=apps)
    def give_or_revoke(self, user: str, app: str) -> None:
        grant = self.grants.pop((user, app), None)
        if grant:
            self.tracker.append_revocation(grant)
            self.revoked.append((self.age(), grant))
        else:
            now = self.clock.now()
            grant = self.grants[user, app] = Grant(app, self.name("p"), user, now, now)
            self.tracker.append_grant(grant, 0)

    @precondition(lambda self: self.grants)
    @rule(data=st.data())
    def pause_or_resume(self, data: st.DataObject) -> None:
        grant = self.grants[data.draw(st.sampled_from(sorted(self.grants)))]
        changed = replace(grant, paused=not grant.paused, since=self.clock.now() if grant.paused else grant.since)
        self.grants[grant.user, grant.appid] = changed
        self.tracker.append_current_status(changed, 0)

    @precondition(lambda self: self.grants)
    @rule(data=st.data())
    def refresh_again(self, data: st.DataObject) -> None:
        self.tracker.append_current_status(self.grants[data.draw(st.sampled_from(sorted(self.grants)))], 0)

    # -- readers

    def unread(self, app: str, offset: Offset, limit: int) -> Iterator[FeedEntry]:
        """Return the entries after an offset that the log covers, read page by page."""
        while True:
            page = self.tracker.read(app, offset, limit)
            assert page is not None
            assert len(page) <= limit
            if not page:
                return
            yield from page
            assert not any(self.tracker.reached(offset, one) for one in page)
            offset = self.tracker.advance(offset, page)

    @rule(app=apps, limit=st.integers(1, 4))
    def come_back(self, app: str, limit: int) -> None:
        """The lazy reader resumes from its cursor, or takes a snapshot when the log does not reach back to it."""
        reader = self.lazy[app]
        if self.tracker.offset(app, self.tracker.cursor(reader.offset)) is None:
            view, reader.offset = view_and_head(self.tracker, app)
            reader.view = {puid: one.status for puid, one in view.items()}
        else:
            for one in self.unread(app, reader.offset, limit):
                reader.fold(one, self.tracker)
        assert reader.view == self.eager[app].view

    @invariant()
    def each_application_sees_the_merge_rule_once_for_each_change(self) -> None:
        for app, reader in self.eager.items():
            for one in self.unread(app, reader.offset, 2):
                reader.fold(one, self.tracker)
                reader.check(one)
                self.at_is_not_before_the_grant(one)
            expected = {grant.puid: self.visible(grant) for grant in self.grants.values() if grant.appid == app}
            assert reader.view == expected
            view, offset = view_and_head(self.tracker, app)
            assert ({puid: one.status for puid, one in view.items()}, offset) == (expected, reader.offset)

    def at_is_not_before_the_grant(self, update: FeedEntry) -> None:
        granted = [one for one in (*self.grants.values(), *(grant for _, grant in self.revoked)) if one.puid == update.puid]
        assert [one for one in granted if update.at < one.since // 1000 * 1000] == []

    @invariant()
    def each_user_is_what_their_devices_are(self) -> None:
        for user in ("jane", "joe"):
            assert self.tracker.status(user) == self.merged(user)
            found = {one.name: (one.status, one.connected) for one in self.tracker.devices(user)}
            assert found == {name: (device.status, device.lost_at is None) for name, device in self.live(user).items()}


@pytest.mark.parametrize("examples", [25, pytest.param(500, marks=pytest.mark.slow)])
def test_any_order_of_events_is_seen_as_the_merge_rule_says(examples):
    run_state_machine_as_test(TrackerMachine, settings=settings(UNTIMED, max_examples=examples, stateful_step_count=40, derandomize=True))
