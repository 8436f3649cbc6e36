"""Times at which a client reconnects."""

from __future__ import annotations

import random

import pytest

from dpresence_client.retry import Retry, RetrySchedule, after_close, backoff, retry_after


@pytest.mark.parametrize(
    ("reason", "seconds"), [("", 0), ("stopping; retry_after=7", 7), ("retry_after=7 or so", 0), ("retry_after=-3", 0)]
)
def test_the_reason_of_a_close_frame_names_the_wait(reason: str, seconds: int) -> None:
    assert retry_after(reason) == seconds


def test_the_wait_is_spread_over_its_whole_range_on_top_of_the_demanded_seconds() -> None:
    chance = random.Random(1).random
    waits = [backoff(4, 10, chance) for _ in range(1000)]
    assert 10 <= min(waits) < 11 and 25 < max(waits) <= 26


def test_the_backoff_ends_at_a_minute_however_many_failures() -> None:
    assert backoff(5000, 0, lambda: 1.0) == 60


def test_every_code_has_a_next_step() -> None:
    steps = {code: after_close(code) for code in range(5000)}
    assert {code for code, step in steps.items() if step is Retry.STOP} == {1002, 1003, 1007, 1009, *range(4000, 4100)}
    assert {code for code, step in steps.items() if step is Retry.LATER} == {1008, 1011, 1013, *range(4100, 4200)}
    assert {code for code, step in steps.items() if step is Retry.RENEW} == {4202}


def test_a_connection_that_lasted_resets_the_backoff_once() -> None:
    schedule = RetrySchedule(lambda: 1.0)
    assert [schedule.failed(Retry.SOON, 0, 0.0) for _ in range(3)] == [1, 2, 4]
    schedule.connected(10.0)
    assert schedule.failed(Retry.SOON, 0, 40.0) == 41
    assert schedule.failed(Retry.SOON, 0, 100.0) == 102
