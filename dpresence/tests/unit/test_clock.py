"""A clock that jumps ends and deletes nothing until it has stood for a while."""

from __future__ import annotations

import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.clock import SETTLING_SECONDS, SteadyClock
from dpresence.tests.shared_tables import make_tables
from dpresence.tests.support import FakeClock

HOUR = 3600


class WallClock(FakeClock):
    """A time of day that can be set apart from the monotonic clock."""

    def set(self, seconds: float) -> None:
        self.start += int(seconds * 1000)


@pytest.fixture
def clock():
    return WallClock()


@pytest.fixture
def steady(clock):
    steady = SteadyClock(clock)
    clock.advance(SETTLING_SECONDS)
    return steady


def test_nothing_has_expired_until_the_time_of_day_has_stood_for_a_while_after_the_start(clock):
    steady = SteadyClock(clock)
    for _ in range(SETTLING_SECONDS // 60 - 1):
        clock.advance(60)
        assert steady.trusted() == 0
    clock.advance(60)
    assert steady.trusted() == clock.now()


@pytest.mark.parametrize("seconds", [61, HOUR, 13 * HOUR, -61, -HOUR])
def test_a_jump_is_waited_for_and_logged_once(clock, steady, seconds, caplog):
    assert steady.trusted() == clock.now()
    clock.set(seconds)
    assert steady.trusted() == 0
    clock.advance(SETTLING_SECONDS - 1)
    assert steady.trusted() == 0
    clock.advance(1)
    assert steady.trusted() == clock.now()
    said = f"the time of day jumped by {seconds:+d} s: it does not expire stored data for 600 s"
    assert [record.getMessage() for record in caplog.records] == [said]


def test_a_clock_that_jumps_ahead_and_back_has_deleted_nothing(clock, steady):
    clock.set(13 * HOUR)
    assert steady.trusted() == 0
    clock.advance(65)
    assert steady.trusted() == 0
    clock.set(-13 * HOUR)
    assert steady.trusted() == 0
    clock.advance(SETTLING_SECONDS)
    assert steady.trusted() == clock.now()


def test_a_clock_that_is_slewed_has_not_jumped(clock, steady, caplog):
    for _ in range(60):
        clock.advance(60)
        clock.set(30)
        assert steady.trusted() == clock.now()
    assert caplog.records == []


def test_an_hour_of_silence_is_no_jump(clock, steady, caplog):
    clock.advance(HOUR)
    assert steady.trusted() == clock.now()
    assert caplog.records == []


@pytest.mark.parametrize("seconds", [13 * HOUR, -13 * HOUR])
def test_stored_times_follow_the_clock_before_a_jump_until_the_new_one_has_settled(clock, steady, seconds):
    before = steady.now()
    clock.set(seconds)
    clock.advance(65)
    assert steady.now() == before + 65_000
    clock.set(-seconds)
    clock.advance(10)
    assert steady.now() == before + 75_000 == clock.now()
    clock.set(seconds)
    assert steady.now() == before + 75_000
    clock.advance(SETTLING_SECONDS)
    assert steady.now() == clock.now()


def test_small_steps_are_followed_at_once(clock, steady):
    for step in (60, -60, 30):
        clock.set(step)
        assert steady.now() == clock.now()


def test_a_board_whose_clock_jumps_keeps_its_sessions(clock, tmp_path):
    database = Database(f"sqlite:///{tmp_path}/presence.db", clock=clock)
    make_tables(database)
    directory = SqlDirectory(database)
    directory.use_assertion(b"digest", clock.now() + HOUR * 1000)
    clock.advance(SETTLING_SECONDS)
    assert directory.sweep() == 0
    clock.set(13 * HOUR)
    for _ in range(2):
        assert directory.sweep() == 0
        clock.advance(65)
    clock.set(-13 * HOUR)
    clock.advance(HOUR)
    assert directory.sweep() == 0, "it has jumped back"
    clock.advance(SETTLING_SECONDS)
    assert directory.sweep() == 1
    database.close()
