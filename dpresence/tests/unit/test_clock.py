"""A clock that jumps deletes nothing until it has stood for a while."""

from __future__ import annotations

import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import migrate
from dpresence.clock import SETTLING_SECONDS, SettledClock
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
def settled(clock):
    settled = SettledClock(clock)
    clock.advance(SETTLING_SECONDS)
    return settled


def test_nothing_has_expired_until_the_time_of_day_has_stood_for_a_while_after_the_start(clock):
    settled = SettledClock(clock)
    for _ in range(SETTLING_SECONDS // 60 - 1):
        clock.advance(60)
        assert settled.now() == 0
    clock.advance(60)
    assert settled.now() == clock.now()


@pytest.mark.parametrize("seconds", [61, HOUR, 13 * HOUR, -61, -HOUR])
def test_a_jump_is_waited_for_and_logged_once(clock, settled, seconds, caplog):
    assert settled.now() == clock.now()
    clock.set(seconds)
    assert settled.now() == 0
    clock.advance(SETTLING_SECONDS - 1)
    assert settled.now() == 0
    clock.advance(1)
    assert settled.now() == clock.now()
    said = f"the time of day jumped by {seconds:+d} s: nothing is deleted by time for 600 s"
    assert [record.getMessage() for record in caplog.records] == [said]


def test_a_clock_that_jumps_ahead_and_back_has_deleted_nothing(clock, settled):
    clock.set(13 * HOUR)
    assert settled.now() == 0
    clock.advance(65)
    assert settled.now() == 0
    clock.set(-13 * HOUR)
    assert settled.now() == 0
    clock.advance(SETTLING_SECONDS)
    assert settled.now() == clock.now()


def test_a_clock_that_is_slewed_has_not_jumped(clock, settled, caplog):
    for _ in range(60):
        clock.advance(60)
        clock.set(30)
        assert settled.now() == clock.now()
    assert caplog.records == []


def test_an_hour_of_silence_is_no_jump(clock, settled, caplog):
    clock.advance(HOUR)
    assert settled.now() == clock.now()
    assert caplog.records == []


def test_a_board_whose_clock_jumps_keeps_its_sessions(clock, tmp_path):
    database = Database(f"sqlite:///{tmp_path}/presence.db", clock=clock)
    migrate(database)
    directory = SqlDirectory(database)
    directory.spend(b"digest", clock.now() + HOUR * 1000)
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
