"""The tracker in partitions keeps the contract, whichever partitions its users are in, and goes on without those whose server is away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest

from dpresence.backends.tracker import Tracker
from dpresence.backends.tracker.partitions import PartitionedTracker
from dpresence.backends.tracker.redis_values import Epochs
from dpresence.model import FeedEntry, Offset
from dpresence.tests.support import FakeClock, view_and_head

from .partitioned import CLUSTER, SHAPES, Reader, make_tracker, users_of
from .redis_fixtures import let_buckets_fill
from .tracker import TrackerContract
from .tracker_rates import RateContract
from .tracker_values import RATED, connect, grant, seen


class OneBusyPartition(PartitionedTracker):
    """All users are in one of the partitions, whose offsets are those of the feed, so that tests can name them."""

    @property
    def _busy(self) -> int:
        return min(1, len(self._parts) - 1)

    def _part(self, key: str) -> Tracker:
        return self._parts[self._busy]

    def subscribe(self, listener, reads=lambda appid: False):
        for appid in ("chess", "go"):
            self.read(appid, 0, 1000)  # as a channel does before it waits for signals
        super().subscribe(listener, reads)

    def _offset(self, number: int) -> Offset:
        return tuple(Epochs(part).start + (number if part == self._busy else 0) for part in range(len(self._parts)))

    def _named(self, entries: Sequence[FeedEntry] | None) -> list[FeedEntry] | None:
        return None if entries is None else [self._entry(entry) for entry in entries]

    def _entry(self, entry: FeedEntry) -> FeedEntry:
        return FeedEntry(self._parts[self._busy].length(entry.offset), entry.puid, entry.status, entry.at, entry.reason)

    def read(self, appid: str, offset: int, limit: int) -> list[FeedEntry] | None:
        return self._named(super().read(appid, self._offset(offset), limit))

    def read_now(self, appid: str, offset: int, limit: int) -> list[FeedEntry] | None:
        return self._named(super().read_now(appid, self._offset(offset), limit))

    def head(self, appid: str) -> int:
        return self.length(super().head(appid))

    def view(self, appid: str) -> Iterator[Mapping[str, FeedEntry]]:
        for page in super().view(appid):
            yield {puid: self._entry(entry) for puid, entry in page.items()}

    def latest(self, appid: str, puids: Sequence[str]) -> dict[str, FeedEntry]:
        return {puid: self._entry(entry) for puid, entry in super().latest(appid, puids).items()}

    def latest_of(self, user: str, grants: Sequence[tuple[str, str]]) -> dict[str, FeedEntry]:
        return {puid: self._entry(entry) for puid, entry in super().latest_of(user, grants).items()}

    def cursor(self, offset: int) -> str:
        return super().cursor(self._offset(offset))

    def offset(self, appid: str, cursor: str) -> int | None:
        found = super().offset(appid, cursor)
        return None if found is None else self.length(found)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def partitioned():
    """Make trackers in partitions, spread over servers; each stands for a process."""
    made = []

    def make(*arguments, **options):
        made.append(make_tracker(*arguments, **options))
        return made[-1]

    yield make
    for tracker in made:
        tracker.close()


@pytest.fixture(params=SHAPES, ids="{0[0]} on {0[1]}".format)
def shape(request, redis_servers, redis_nodes):
    """A number of partitions, and the servers that they are on."""
    partitions, servers = request.param
    return partitions, redis_nodes(partitions) if servers == CLUSTER else redis_servers(servers)


class TestInOneOfThePartitions(TrackerContract):
    @pytest.fixture
    def backend(self, shape, partitioned, clock):
        partitions, servers = shape
        return partitioned(servers, partitions, clock=clock, kind=OneBusyPartition)


class TestRatesInPartitions(RateContract):
    @pytest.fixture
    def backend(self, shape, partitioned, clock):
        partitions, servers = shape
        return partitioned(servers, partitions, RATED, clock, OneBusyPartition)

    @pytest.fixture
    def pass_time(self, shape, clock):
        partitions, servers = shape

        def advance(seconds):
            clock.advance(seconds)
            for number in range(partitions):
                let_buckets_fill(servers[number % len(servers)].client, seconds, f"dpresence:{{{number}}}t:")

        return advance


@pytest.fixture
def eight(redis_server, partitioned, clock):
    return partitioned([redis_server], 8, clock=clock)


def test_users_of_all_partitions_are_in_one_feed(eight):
    reader = Reader(eight)
    users = [user for some in users_of(3, 8) for user in some]
    for user in users:
        connect(eight, user=user, grants=(grant(user),))
    assert reader.read() == 24
    assert reader.statuses == seen(eight) == {f"{user}-in-chess": "online" for user in users}
    assert reader.offset == view_and_head(eight, "chess")[1]
    assert (reader.read(), eight.length(reader.offset)) == (0, 24)
    assert eight.latest("chess", [f"{users[0]}-in-chess", "unknown"])[f"{users[0]}-in-chess"].status == "online"
    assert list(eight.applications("", 10)) == ["chess"]


@pytest.mark.parametrize("limit", [1, 2, 5, 7, 8, 9, 100])
def test_pages_of_any_size_miss_no_entry_repeat_none_and_keep_the_order_of_each_user(eight, limit):
    reader = Reader(eight)
    users = [user for some in users_of(2, 8) for user in some]
    for turn, status in enumerate(("online", "unavailable", "online", "unavailable")):
        for user in users[turn:]:  # the first users change least often
            connect(eight, user=user, grants=(grant(user),), status=status, connection=f"c{turn}")
    while reader.read(limit) == limit:
        pass
    for position, user in enumerate(users):
        statuses = [entry.status for entry in reader.entries if entry.puid == f"{user}-in-chess"]
        assert statuses == ["online", "unavailable", "online", "unavailable"][: min(position, 3) + 1]
    assert len({entry.offset for entry in reader.entries}) == len(reader.entries) == eight.length(reader.offset)
    assert reader.statuses == seen(eight)
