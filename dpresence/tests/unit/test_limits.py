"""Rates: how often something may happen."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpresence.errors import SlowDown
from dpresence.limits import Buckets, LogLimit, QueueBucket, RateLimit, RateRule, RateStates, TokenBucket
from dpresence.tests.hypothesis_settings import UNTIMED
from dpresence.tests.support import FakeClock, body_of


def test_a_burst_at_once_then_the_rate() -> None:
    bucket = TokenBucket(rate=2, burst=3)
    assert [bucket.take(now=0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert bucket.take(now=0.5) == 0.0
    assert bucket.take(now=0.5) == 0.5


def test_all_or_none_are_taken() -> None:
    bucket = TokenBucket(rate=1, burst=10)
    assert bucket.take(11, now=0) == 1.0
    assert bucket.take(10, now=0) == 0.0
    assert bucket.take(5, now=2) == 3.0
    assert bucket.take(2, now=2) == 0.0


def test_unused_allowance_does_not_accumulate_beyond_the_burst() -> None:
    bucket = TokenBucket(rate=1, burst=2)
    bucket.take(2, now=0)
    assert bucket.take(2, now=1000) == 0.0
    assert bucket.take(now=1000) == 1.0


def test_looking_takes_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=1)
    assert [bucket.wait(now=0) for _ in range(3)] == [0.0] * 3
    assert bucket.take(now=0) == 0.0 and bucket.wait(now=0) == 1.0


@UNTIMED
@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 5)), max_size=50))
def test_never_more_than_the_burst_and_the_rate_allow(steps: list[tuple[float, int]]) -> None:
    bucket, now, taken = TokenBucket(rate=2, burst=5), 0.0, 0
    for wait, count in steps:
        now += wait
        taken += count if bucket.take(count, now=now) == 0.0 else 0
        assert taken <= 5 + 2 * now + 1e-6


def test_keys_do_not_share_their_tokens() -> None:
    buckets = Buckets(rate=1, burst=1)
    assert buckets.take("a", now=0) == 0.0 and buckets.take("b", now=0) == 0.0
    assert buckets.take("a", now=0) == 1.0


def test_the_key_used_longest_ago_is_forgotten_first() -> None:
    buckets = Buckets(rate=1, burst=1, max_keys=2)
    for key in ("a", "b", "a", "c"):
        buckets.take(key, now=0)
    assert buckets.wait("a", now=0) == 1.0
    assert buckets.wait("b", now=0) == 0.0


def test_buckets_that_are_full_again_are_not_stored() -> None:
    buckets = Buckets(rate=1, burst=5)
    for second in range(100):
        for number in range(10):
            buckets.take(f"{second} {number}", now=float(second))
        assert len(buckets._buckets) <= 20
    assert buckets.take("99 9", 4, now=99.0) == 0.0 and buckets.take("99 9", now=99.0) == 1.0


@UNTIMED
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3)), max_size=60))
def test_states_apply_the_rule_to_each_key_alone(steps: list[tuple[str, float]]) -> None:
    states, rule, now = RateStates(rate=1, burst=2, max_keys=100), RateRule(rate=1, burst=2), 0.0
    full_at = dict.fromkeys("abc", 0.0)
    for key, wait in steps:
        now += wait
        taken = rule.take(full_at[key], now)
        assert states.take(key, now) == (0.0 if taken else rule.wait(full_at[key], now))
        full_at[key] = taken or full_at[key]


def test_states_of_full_buckets_are_deleted_now_and_then() -> None:
    states = RateStates(rate=1, burst=1, max_keys=100_000)
    for number in range(20_000):
        states.take(str(number), now=number / 100)
        assert len(states._full_at) <= 1001
    assert states.take("19999", now=200.0) > 0


def test_the_states_that_were_stored_first_are_deleted_when_there_are_too_many() -> None:
    states = RateStates(rate=1, burst=1, max_keys=2000)
    for number in range(2000):
        states.take(str(number), now=0)
    assert len(states._full_at) == 1800
    assert (states.take("1999", now=0), states.take("0", now=0)) == (pytest.approx(1, abs=1e-5), 0.0)


def test_a_bucket_with_reserved_slots_is_stored_until_they_are_over() -> None:
    bucket = QueueBucket(1, 1)
    bucket.take(now=0.0), bucket.take(now=0.0), bucket.take(now=0.0)
    assert [bucket.unused(now=second) for second in (0.5, 1.5, 2.0)] == [False, False, True]


def test_looking_at_a_key_remembers_nothing() -> None:
    buckets = Buckets(rate=1, burst=1, max_keys=1)
    buckets.take("a", now=0)
    assert buckets.wait("b", now=0) == 0.0
    assert buckets.wait("a", now=0) == 1.0


def test_an_address_that_failed_too_often_waits_for_whole_seconds() -> None:
    clock = FakeClock()
    limit = RateLimit("too many failures", 10, 60, clock)
    for _ in range(10):
        limit.check("a")
        limit.record("a")
    with pytest.raises(SlowDown) as refused:
        limit.check("a")
    assert body_of(refused.value) == {"result": "KO", "errno": 117, "error": "too many failures", "retry_after": 6}
    limit.check("b")
    clock.advance(5.5)
    with pytest.raises(SlowDown) as refused:
        limit.check("a")
    assert refused.value.retry_after == 1
    clock.advance(0.5)
    limit.check("a")


def test_charging_counts_and_refuses_in_one_step() -> None:
    limit = RateLimit("too many", 2, 60, FakeClock())
    limit.charge("a"), limit.charge("a")
    with pytest.raises(SlowDown) as refused:
        limit.charge("a")
    assert refused.value.retry_after == 30


def test_a_warning_is_logged_once_an_hour_and_no_client_can_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    clock, log = FakeClock(), logging.getLogger("dpresence.test")
    limit = LogLimit(clock)
    for _ in range(3):
        limit.warn(log, "set it")
    assert caplog.messages == ["set it"]
    for number in range(1000):
        limit.warn(log, f"set {number}")
    assert len(caplog.messages) == 20
    clock.advance(3601)
    limit.warn(log, "set it")
    assert caplog.messages[-1] == "set it" and len(caplog.messages) == 21


@pytest.mark.parametrize(("rate", "burst"), [(2, 5), (0.1, 1), (1 / 3, 8), (50, 200)])
def test_a_rule_takes_and_waits_as_a_bucket_does(rate: float, burst: int) -> None:
    rule, bucket, full_at, now = RateRule(rate, burst), TokenBucket(rate, burst), 0.0, 1000.0
    for step in (0, 0, 0, 0.5, 0.1, 7, 0, 0, 0, 0, 0, 0, 3, 30, 0, 0.2, *[0.0137] * 300):
        now += step
        wait = bucket.take(now=now)
        state = rule.take(full_at, now)
        assert bool(state) == (wait == 0)
        assert rule.wait(full_at, now) == pytest.approx(wait, abs=1e-5)
        full_at = state or full_at
