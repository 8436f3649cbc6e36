"""A push of several steps in Redis, and other pushes with its idempotency keys meanwhile: each is stored whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from dpresence.backends.mailbox import QueuedNotification, TopicAndKey
from dpresence.backends.mailbox.redis import RedisMailbox
from dpresence.errors import BackendUnavailable, Conflict

from .mailbox import grant, kept
from .mailbox_control import keyed, send
from .redis_cost import check_longest_script

FRAME = 100


@pytest.fixture
def backend(redis_server):
    mailbox = RedisMailbox(redis_server.server(), allow_volatile=False)
    yield mailbox
    mailbox.close()


@pytest.fixture
def other(redis_server):
    """The mailbox of another process."""
    mailbox = RedisMailbox(redis_server.server(), allow_volatile=False)
    yield mailbox
    mailbox.close()


def frame(name: str, digest: str, count: int = FRAME) -> list[QueuedNotification]:
    """Return notifications of which only the last has a key that others use, too."""
    return [*(keyed(f"{name}-{n}", f"{name}{n}") for n in range(count - 1)), keyed("k", f"{name}{count - 1}", digest)]


@contextmanager
def before_the_second_step(backend: RedisMailbox, act: Callable[[], object]) -> Iterator[None]:
    """Have something done when the first notifications of a push are stored."""
    steps, push = [], backend._enqueue

    def step(items, limit):
        steps.append(len(items))
        if len(steps) == 2:
            act()
        return push(items, limit)

    with patch.object(backend, "_enqueue", step):
        yield
    assert len(steps) >= 2


@pytest.mark.parametrize("count", [1, FRAME])
def test_a_sender_who_races_with_two_contents_for_one_key_has_one_stored_whole_and_nothing_of_the_other(backend, other, count):
    def rival():
        with pytest.raises(Conflict, match="idempotency: k was used for another notification"):
            send(other, *frame("b", "other", count))

    with before_the_second_step(backend, rival):
        send(backend, *frame("a", "d"))
    assert kept(backend) == [f"a{n}" for n in range(FRAME)]


def test_a_frame_that_is_sent_again_while_it_is_stored_is_stored_once(backend, other):
    with before_the_second_step(backend, lambda: send(other, *frame("a", "d"))):
        send(backend, *frame("a", "d"))
    assert sorted(kept(backend)) == sorted(f"a{n}" for n in range(FRAME))


def test_a_frame_that_failed_is_finished_by_its_repetition_and_by_no_other_content(backend, other, redis_server):
    def fail():
        raise BackendUnavailable

    with before_the_second_step(backend, fail), pytest.raises(BackendUnavailable):
        send(backend, *frame("a", "d"))
    with pytest.raises(Conflict):
        send(other, *frame("b", "other", 1))
    send(other, *frame("a", "d"))
    assert sorted(kept(backend)) == sorted(f"a{n}" for n in range(FRAME))
    assert not redis_server.client.keys("dpresence:m:claim:*")


def test_the_end_of_a_grant_ends_the_claims_of_its_keys(backend):
    backend._claim_keys(frame("a", "d"))
    backend.purge_grants([grant()])
    send(backend, *frame("b", "other", 1))
    assert kept(backend) == ["b0"]


def test_claiming_the_keys_of_a_hundred_grants_takes_a_few_milliseconds(backend, redis_server):
    items = [keyed("k" * 64, f"n{n}", "d" * 64, appid=f"app-{n}") for n in range(FRAME)]
    check_longest_script(redis_server, lambda: None, lambda: backend._claim_keys(items))


def test_topics_without_keys_claim_nothing(backend, redis_server):
    send(
        backend,
        *(
            QueuedNotification("jane", each.notification, each.ttl_ms, control=TopicAndKey(f"t{n}"))
            for n, each in enumerate(frame("a", "d"))
        ),
    )
    assert not redis_server.client.keys("dpresence:m:claim:*")
