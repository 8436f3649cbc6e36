"""A bucket whose refusals queue, and tokens that are put back."""

from __future__ import annotations

from dpresence.limits import LONGEST_WAIT, Buckets, QueueBucket, TokenBucket


def test_each_refusal_gets_a_later_turn() -> None:
    bucket = QueueBucket(2, 1)
    assert [bucket.take(now=10.0) for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]


def test_nobody_is_asked_to_stay_away_for_longer_than_the_longest_wait() -> None:
    bucket = QueueBucket(1, 1)
    assert max(bucket.take(now=0.0) for _ in range(200)) == LONGEST_WAIT


def test_a_token_that_was_put_back_can_be_taken_and_no_more_than_fit() -> None:
    bucket = TokenBucket(1, 2)
    bucket.give()
    assert [bucket.take(now=0.0) for _ in range(3)] == [0.0, 0.0, 1.0]
    bucket.give()
    assert bucket.take(now=0.0) == 0.0


def test_tokens_are_put_back_to_the_key_they_came_from() -> None:
    buckets = Buckets(1, 1, kind=QueueBucket)
    assert [buckets.take(key, now=0.0) for key in "ab"] == [0.0, 0.0]
    buckets.give("a")
    buckets.give("unknown")
    assert buckets.take("a", now=0.0) == 0.0
    assert buckets.take("b", now=0.0) > 0
