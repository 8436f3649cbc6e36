"""Operations that are tried again while a backend is away."""

from __future__ import annotations

import pytest

from dpresence.errors import BackendUnavailable
from dpresence.service.retry import RetryQueue


class Backend:
    """A backend that is unavailable until ``back`` is set; it records the calls."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.said: list[str] = []

    def say(self, word: str) -> None:
        if word in self.away:
            raise BackendUnavailable
        self.said.append(word)


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def queue() -> RetryQueue:
    return RetryQueue()


def test_an_operation_that_succeeds_runs_once(queue: RetryQueue, backend: Backend) -> None:
    queue.run("key", lambda: backend.say("a"))
    queue.flush()
    assert backend.said == ["a"]


def test_an_operation_that_failed_runs_once_more_when_the_backend_is_back(queue: RetryQueue, backend: Backend) -> None:
    backend.away = {"a"}
    queue.run("key", lambda: backend.say("a"))
    with pytest.raises(BackendUnavailable):
        queue.flush()
    backend.away = set()
    queue.flush()
    queue.flush()
    assert backend.said == ["a"]


def test_the_newest_operation_of_a_key_replaces_the_older(queue: RetryQueue, backend: Backend) -> None:
    backend.away = {"a", "b"}
    queue.run("key", lambda: backend.say("a"))
    queue.run("key", lambda: backend.say("b"))
    backend.away = set()
    queue.flush()
    queue.later("key", lambda: backend.say("c"))
    queue.run("key", lambda: backend.say("d"))
    queue.flush()
    assert backend.said == ["b", "d"]


def test_an_operation_that_fails_does_not_hold_up_the_others(queue: RetryQueue, backend: Backend) -> None:
    backend.away = {"a", "b", "c"}
    for word in ("a", "b", "c", "d", "e"):
        queue.later(word, lambda word=word: backend.say(word))
    with pytest.raises(BackendUnavailable):
        queue.flush()
    assert backend.said == ["d", "e"] and len(queue) == 3


def test_an_operation_queued_by_itself_stays_queued(queue: RetryQueue, backend: Backend) -> None:
    def work() -> None:
        backend.say("a")
        queue.later("key", lambda: backend.say("b"))

    queue.later("key", work)
    queue.flush()
    assert backend.said == ["a"]
    queue.flush()
    assert backend.said == ["a", "b"]


def test_an_operation_replaced_while_another_runs_does_not_run(queue: RetryQueue, backend: Backend) -> None:
    queue.later("first", lambda: queue.run("key", lambda: backend.say("b")))
    queue.later("key", lambda: backend.say("a"))
    queue.flush()
    assert backend.said == ["b"]


def test_an_operation_replaced_while_it_fails_is_not_queued_again(queue: RetryQueue, backend: Backend) -> None:
    def fail() -> None:
        queue.run("key", lambda: backend.say("b"))
        backend.say("a")

    backend.away = {"a"}
    queue.later("key", fail)
    with pytest.raises(BackendUnavailable):
        queue.flush()
    backend.away = set()
    queue.flush()
    assert backend.said == ["b"]


def test_a_success_does_not_remove_an_operation_queued_meanwhile(queue: RetryQueue, backend: Backend) -> None:
    def work() -> None:
        backend.say("a")
        queue.later("key", lambda: backend.say("b"))

    queue.run("key", work)
    queue.flush()
    assert backend.said == ["a", "b"]


def test_an_operation_that_raises_is_logged_once_and_dropped(queue: RetryQueue, backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError

    queue.later("mistake", fail)
    queue.later("key", lambda: backend.say("a"))
    queue.flush()
    queue.flush()
    assert backend.said == ["a"]
    assert [record.getMessage() for record in caplog.records] == ["a retried operation failed"]


def test_the_oldest_operation_is_given_up_when_there_are_too_many(backend: Backend) -> None:
    queue = RetryQueue(max_pending=2)
    for word in ("a", "b", "c"):
        queue.later(word, lambda word=word: backend.say(word))
    queue.flush()
    assert backend.said == ["b", "c"]
