"""A call about a hundred queues holds Redis no longer than one about a single queue, however full they are.

Each queue has a hundred of the largest notifications there are.
"""

from __future__ import annotations

from dataclasses import replace

import gevent
import pytest

from dpresence.backends.mailbox import SHOWN_NOW, Queue, QueuedNotification, TopicAndKey
from dpresence.backends.mailbox.redis import RedisMailbox
from dpresence.model import Notification

from .mailbox import DAY, NOW, kept
from .redis_cost import check_longest_script

pytestmark = pytest.mark.slow  # measures the CPU time of Redis, with thousands of records

QUEUES = range(100)
TEXT = "\U0001f600" * 512


@pytest.fixture
def backend(redis_server):
    mailbox = RedisMailbox(redis_server.server(), allow_volatile=False)
    yield mailbox
    mailbox.close()


def large(name: str, queue: int, ttl_ms: int = DAY, shown_until: int = SHOWN_NOW, user: str = "") -> QueuedNotification:
    return QueuedNotification(
        user or f"user-{queue}", Notification(name, "app", f"puid-{queue}", TEXT[:254], TEXT, TEXT, NOW), ttl_ms, shown_until
    )


def fill(backend: RedisMailbox, ttl_ms: int = DAY, count: int = 100, limit: int = 100) -> None:
    for queue in QUEUES:
        backend.enqueue([large(f"{queue}-{n}", queue, ttl_ms) for n in range(count)], limit)


def take(backend: RedisMailbox) -> None:
    """Have each user get everything while the application is shown them as offline."""
    for queue in QUEUES:
        assert backend.discard_received(f"user-{queue}", kept(backend, f"user-{queue}"), None, NOW) == 100


def empty(backend: RedisMailbox) -> None:
    for queue in QUEUES:
        backend.purge(f"user-{queue}")


def push_to_all(backend: RedisMailbox, size: int, limit: int = 100) -> None:
    answers = backend.enqueue([large(f"next-{queue}", queue) for queue in QUEUES], limit)
    assert [answer.size for answer in answers] == [size] * 100


def expired(backend: RedisMailbox) -> int:
    fill(backend, ttl_ms=1)
    return 1


def taken(backend: RedisMailbox) -> int:
    fill(backend)
    take(backend)
    return 1


def full(backend: RedisMailbox) -> int:
    fill(backend)
    return 100


@pytest.mark.parametrize("state", [expired, taken, full])
def test_a_push_to_a_hundred_full_queues(backend, redis_server, state):
    size = []

    def prepare():
        empty(backend)
        size[:] = [state(backend)]

    check_longest_script(redis_server, prepare, lambda: push_to_all(backend, *size))
    assert [len(kept(backend, f"user-{queue}")) for queue in QUEUES] == size * 100


def named(run: int, queues: int) -> list[QueuedNotification]:
    """Return a push in which each notification has the topic of one before, and a key of its own, both as long as they may be."""
    items = [large(f"{run}-{n}", n % queues) for n in range(100)]
    return [replace(item, control=TopicAndKey(f"{n:032}", f"{run:032}{n:032}", "d" * 64)) for n, item in enumerate(items)]


@pytest.mark.parametrize("queues", [1, 100])
def test_a_push_that_replaces_a_hundred_by_topic_with_all_the_names_that_are_remembered(backend, redis_server, queues):
    runs = iter(range(1000))

    def prepare():
        empty(backend)
        for _ in range(6):
            backend.enqueue(named(next(runs), queues), 100)

    def act():
        assert all(stored.replaced for stored in backend.enqueue(named(next(runs), queues), 100))

    check_longest_script(redis_server, prepare, act)


def test_the_commands_of_a_push_to_one_queue_are_few_whatever_it_replaces(backend, redis_server):
    backend.enqueue(named(1, 1), 100)
    redis_server.client.config_resetstat()
    backend.enqueue(named(2, 1), 100)
    assert sum(each["calls"] for each in redis_server.client.info("commandstats").values()) < 300


def test_a_push_to_a_hundred_queues_whose_limit_was_lowered(backend, redis_server):
    def prepare():
        empty(backend)
        fill(backend)

    check_longest_script(redis_server, prepare, lambda: push_to_all(backend, 1, limit=1))
    assert [kept(backend, f"user-{queue}") for queue in QUEUES] == [[f"next-{queue}"] for queue in QUEUES]


def test_single_pushes_to_a_hundred_queues_in_one_batch(backend, redis_server):
    def prepare():
        empty(backend)
        expired(backend)

    def act():
        senders = [gevent.spawn(backend.enqueue, [large(f"next-{queue}", queue)], 100) for queue in QUEUES]
        gevent.joinall(senders, timeout=60, raise_error=True)
        assert {sender.value[0].size for sender in senders} == {1}

    check_longest_script(redis_server, prepare, act)


def test_counting_a_hundred_queues_in_one_batch(backend, redis_server):
    def prepare():
        empty(backend)
        fill(backend, ttl_ms=1)
        gevent.sleep(0.002)

    def act():
        counts = [gevent.spawn(backend.queue_size, f"user-{queue}", f"puid-{queue}", NOW) for queue in QUEUES]
        gevent.joinall(counts, timeout=60, raise_error=True)
        assert {count.value for count in counts} == {0}

    check_longest_script(redis_server, prepare, act)


def test_a_sweep_and_the_end_of_a_hundred_grants(backend, redis_server):
    check_longest_script(redis_server, lambda: expired(backend), backend.sweep)
    check_longest_script(
        redis_server, lambda: fill(backend), lambda: backend.purge_grants([Queue(f"user-{n}", f"puid-{n}") for n in QUEUES])
    )
    assert list(backend.queues(Queue("", ""), 10)) == []


def test_a_page_and_its_acknowledgement_over_a_hundred_queues_of_a_person_with_very_many_grants(backend, redis_server):
    paused = [f"paused-{n}" for n in range(100_000)]

    def prepare():
        backend.purge("one")
        for start in range(0, 1000, 100):
            backend.enqueue([large(f"{n}", n % 100, user="one") for n in range(start, start + 100)], 100)

    def act():
        ids = kept(backend, "one")
        assert backend.discard_received("one", ids[:100], paused, NOW) == backend.discard_received("one", ids[100:200], None, NOW) == 100

    check_longest_script(redis_server, prepare, act)
    assert [backend.queue_size("one", f"puid-{n}", 0) for n in QUEUES] == [9] * 100
