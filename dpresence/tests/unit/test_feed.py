"""The feed of one application: bounded by age and by number, and never with a hole that a reader does not learn of."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dpresence.backends.tracker.feed import Feed
from dpresence.model import FeedEntry, Grant
from dpresence.tests.hypothesis_settings import UNTIMED

NOW = 1_795_364_497_250
SECOND = NOW // 1000 * 1000
STATUSES = ("online", "unavailable", "offline")


def grant(puid: str, since: int = 0) -> Grant:
    return Grant("chess", puid, f"user of {puid}", since, since)


def add(feed: Feed, *puids: str, status: str = "online", now: int = NOW) -> None:
    for puid in puids:
        assert feed.append(grant(puid), status, "explicit", now)


def offsets(feed: Feed, offset: int = 0, limit: int = 1000) -> list[int]:
    return [one.offset for one in feed.after(offset, limit)]


@pytest.fixture
def feed():
    return Feed(seconds=60, entries=5)


def test_a_new_feed_is_empty_and_covers_its_beginning(feed):
    assert (feed.head, feed.view, list(feed.after(0, 10))) == (0, {}, [])
    assert feed.covers(0, NOW)
    assert not feed.covers(1, NOW)
    assert not feed.covers(-1, NOW)


def test_an_entry_is_the_present_of_its_puid(feed):
    feed.append(grant("a"), "unavailable", "granted", NOW)
    entry = FeedEntry(1, "a", "unavailable", SECOND, "granted")
    assert list(feed.after(0, 10)) == [entry]
    assert feed.view == {"a": entry}
    assert (feed.status("a"), feed.status("b")) == ("unavailable", "offline")


def test_a_log_may_exceed_its_number_a_little_so_that_many_entries_are_deleted_at_once() -> None:
    feed = Feed(seconds=60, entries=1280)
    add(feed, *["a"] * 1290)
    assert offsets(feed, limit=2000) == list(range(1, 1291))
    add(feed, "a")
    assert offsets(feed, limit=2000) == list(range(12, 1292))


def test_old_entries_are_deleted_after_the_time_of_day_was_set_back() -> None:
    feed = Feed(seconds=60, entries=5)
    add(feed, "a", now=NOW + 10_000_000)
    add(feed, "a")
    assert feed.covers(0, NOW) and feed.covers(0, NOW + 10_060_000)
    assert not feed.covers(0, NOW + 10_061_000)


@pytest.mark.parametrize(("offset", "limit", "expected"), [(0, 2, [1, 2]), (2, 2, [3, 4]), (3, 9, [4, 5]), (5, 9, []), (0, 0, [])])
def test_a_page_starts_behind_its_offset(feed, offset, limit, expected):
    add(feed, *"abcab")
    assert offsets(feed, offset, limit) == expected


def test_beyond_the_number_the_newest_of_each_puid_stays(feed):
    add(feed, *"aabbccccc")
    assert offsets(feed) == [2, 4, 5, 6, 7, 8, 9]
    assert [one.puid for one in feed.after(0, 9)] == ["a", "b", "c", "c", "c", "c", "c"]
    add(feed, "c")
    assert offsets(feed) == [2, 4, 6, 7, 8, 9, 10]
    assert feed.covers(0, NOW)


def test_a_puid_that_speaks_again_leaves_the_older_part(feed):
    add(feed, *"abcccccc")
    assert offsets(feed) == [1, 2, 4, 5, 6, 7, 8]
    add(feed, "a")
    assert offsets(feed) == [2, 5, 6, 7, 8, 9]
    assert [one.puid for one in feed.after(0, 1)] == ["b"]


@pytest.mark.parametrize("offset", range(10))
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_cross_from_the_older_part_into_the_log(feed, offset, limit):
    add(feed, *"abcabdddd", status="online")
    expected = [one for one in (3, 4, 5, 6, 7, 8, 9) if one > offset]
    assert offsets(feed, 0) == [3, 4, 5, 6, 7, 8, 9]
    found: list[int] = []
    for _ in range(10):
        found += offsets(feed, found[-1] if found else offset, limit)
    assert found == expected


def test_age_moves_the_floor_through_older_part_and_log(feed):
    add(feed, "a")
    add(feed, "b", now=NOW + 10_000)
    add(feed, *"cccccc", now=NOW + 20_000)
    assert feed.covers(0, NOW + 60_000)
    assert [feed.covers(offset, NOW + 61_000) for offset in (0, 1)] == [False, True]
    assert [feed.covers(offset, NOW + 71_000) for offset in (1, 2)] == [False, True]
    assert [feed.covers(offset, NOW + 81_000) for offset in (2, 7, 8, 9)] == [False, False, True, False]
    assert offsets(feed, 8) == []
    assert feed.view.keys() == {"a", "b", "c"}


def test_an_old_entry_that_was_overtaken_is_no_hole(feed):
    add(feed, *"aaaaaa")
    add(feed, *"aaaaa", now=NOW + 50_000)
    assert feed.covers(0, NOW + 90_000)
    assert [one.puid for one in feed.after(0, 10)] == ["a"] * 5


def test_an_appended_entry_makes_room_for_itself_by_age(feed):
    add(feed, "a")
    add(feed, "b", now=NOW + 120_000)
    assert offsets(feed) == [2]
    assert not feed.covers(0, NOW)


def test_an_entry_from_the_future_does_not_age_the_others(feed):
    add(feed, "a")
    feed.append(grant("b", since=NOW + 3_600_000), "online", "granted", NOW)
    assert feed.covers(0, NOW)
    assert [one.at for one in feed.after(0, 10)] == [SECOND, SECOND + 3_600_000]


def test_an_entry_from_the_future_holds_those_after_it_so_that_no_hole_opens(feed):
    feed.append(grant("b", since=NOW + 3_600_000), "online", "granted", NOW)
    add(feed, *"aaaaaa")
    assert feed.covers(0, NOW + 61_000)
    assert offsets(feed) == [1, 3, 4, 5, 6, 7]
    assert [offset for offset in range(8) if feed.covers(offset, NOW + 3_661_000)] == [7]


def test_times_are_rounded_down_and_never_go_backwards(feed):
    assert feed.append(grant("a"), "online", "explicit", SECOND + 999)
    assert feed.append(grant("a"), "offline", "lost", SECOND - 5000)
    assert feed.append(grant("b", SECOND + 2500), "offline", "granted", SECOND)
    assert [one.at for one in feed.after(0, 10)] == [SECOND, SECOND, SECOND + 2000]


def test_a_revocation_hides_earlier_entries_wherever_they_are_stored(feed):
    add(feed, *"abbb")
    assert feed.revoke(grant("b"), NOW)
    assert [(one.offset, one.status, one.reason) for one in feed.after(0, 10)] == [(1, "online", "explicit"), (5, "offline", "revoked")]
    add(feed, *"cc")
    assert feed.revoke(grant("a"), NOW)
    assert [(one.offset, one.puid) for one in feed.after(0, 10)] == [(5, "b"), (6, "c"), (7, "c"), (8, "a")]
    assert feed.view.keys() == {"c"}


def test_a_page_is_full_though_hidden_entries_lie_in_between(feed):
    add(feed, *"abbc")
    feed.revoke(grant("b"), NOW)
    assert [offsets(feed, 0, 2), offsets(feed, 4, 2), offsets(feed, 2, 2)] == [[1, 4], [5], [4, 5]]


def test_a_dead_puid_stays_dead_for_as_long_as_its_last_entry(feed):
    add(feed, "a")
    assert feed.revoke(grant("a"), NOW)
    add(feed, *"bbbbbbbbb")
    assert not feed.revoke(grant("a"), NOW + 60_000)
    assert not feed.append(grant("a"), "online", "explicit", NOW + 60_000)
    assert feed.head == 11
    assert feed.covers(0, NOW)
    assert [one.reason for one in feed.after(0, 10) if one.puid == "a"] == ["revoked"]


def test_an_older_entry_that_goes_does_not_bring_a_dead_puid_back(feed):
    add(feed, "a")
    feed.revoke(grant("a"), NOW + 30_000)
    assert not feed.covers(0, NOW + 70_000)
    assert not feed.append(grant("a"), "online", "explicit", NOW + 70_000)
    assert [one.reason for one in feed.after(1, 10)] == ["revoked"]


def test_more_revocations_than_the_number_move_the_floor(feed):
    for n in range(30):
        feed.revoke(grant(f"p{n}"), NOW)
    assert not feed.covers(0, NOW)
    covered = [offset for offset in range(31) if feed.covers(offset, NOW)]
    assert covered == list(range(covered[0], 31))
    assert 10 <= 30 - covered[0] <= 11
    assert offsets(feed, covered[0]) == list(range(covered[0] + 1, 31))


class Naive:
    """Everything that ever happened, and what each PUID was after each step; None is revoked."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str | None, int]] = []
        self.states: list[dict[str, str]] = [{}]
        self.dead: set[str] = set()

    def note(self, puid: str, status: str | None, now: int) -> None:
        self.entries.append((puid, status, now))
        state = dict(self.states[-1])
        state.pop(puid, None)
        if status:
            state[puid] = status
        else:
            self.dead.add(puid)
        self.states.append(state)

    def must_be_covered(self, offset: int, now: int, feed_seconds: int, feed_entries: int) -> bool:
        """Nothing after it is too old, nor are there more revocations than the number."""
        return all(now - at <= feed_seconds * 1000 for _, _, at in self.entries[offset:]) and len(self.dead) <= feed_entries


def replay(feed: Feed, offset: int, state: dict[str, str], limit: int) -> dict[str, str]:
    """Return the state of a reader who had ``state`` at ``offset`` and reads on from there, page by page."""
    state = dict(state)
    while True:
        page = feed.after(offset, limit)
        assert len(page) <= limit
        for one in page:
            assert one.offset > offset
            offset = one.offset
            if one.reason == "revoked":
                state.pop(one.puid, None)
            else:
                state[one.puid] = one.status
        if len(page) < limit:
            return state


puids = st.integers(0, 7).map("p{}".format)
steps = st.one_of(
    st.tuples(st.just("append"), puids, st.sampled_from(STATUSES)),
    st.tuples(st.just("append"), st.sampled_from(["p0", "p1"]), st.sampled_from(STATUSES)),
    st.tuples(st.just("revoke"), puids, st.none()),
    st.tuples(st.just("late"), puids, st.sampled_from(STATUSES)),
    st.tuples(st.just("wait"), st.sampled_from([1, 5, 9, 11, -7]), st.none()),
)


@pytest.mark.slow
@settings(UNTIMED, max_examples=150, derandomize=True)
@given(st.lists(steps, max_size=60), st.integers(1, 6), st.integers(1, 4))
@example([("append", "p0", "online"), ("append", "p1", "online"), ("revoke", "p0", None), *[("append", "p1", "offline")] * 6], 2, 1)
def test_whoever_is_covered_and_replays_ends_at_the_present(plan, entries, limit):
    feed, naive, now, latest = Feed(seconds=10, entries=entries), Naive(), SECOND, SECOND
    for what, item, status in plan:
        if what == "wait":
            now += item * 1000
            latest = max(latest, now)
        elif what != "revoke":
            since = now + 20_000 if what == "late" else 0
            if feed.append(grant(item, since), status, "explicit", now):
                naive.note(item, status, now)
        elif feed.revoke(grant(item), now):
            naive.note(item, None, now)
    present = {puid: one.status for puid, one in feed.view.items()}
    assert feed.head == len(naive.entries)
    assert present == naive.states[-1]
    assert len(feed._log) <= entries
    assert len(feed._older) <= entries + len(feed.view) + 1
    for offset, state in enumerate(naive.states):
        if feed.covers(offset, now):
            assert replay(feed, offset, state, limit) == present
            puids = {one.puid for one in feed.after(offset, 1000)}
            assert puids == {puid for puid, _, _ in naive.entries[offset:]}
        else:
            assert not naive.must_be_covered(offset, latest, 10, entries)
    for one in feed.after(0, 1000):
        assert one.puid not in feed._revoked or one.reason == "revoked"
