"""What is owed to a backend that is away."""

from __future__ import annotations

import pytest

from dpresence.errors import BackendUnavailable
from dpresence.service.debts import Debts


class Backend:
    """Away until it is back; remembers what was said."""

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
def debts() -> Debts:
    return Debts()


def test_what_can_be_said_is_said_once(debts: Debts, backend: Backend) -> None:
    debts.pay("key", lambda: backend.say("a"))
    debts.sweep()
    assert backend.said == ["a"]


def test_what_could_not_be_said_is_said_once_when_the_backend_is_back(debts: Debts, backend: Backend) -> None:
    backend.away = {"a"}
    debts.pay("key", lambda: backend.say("a"))
    with pytest.raises(BackendUnavailable):
        debts.sweep()
    backend.away = set()
    debts.sweep()
    debts.sweep()
    assert backend.said == ["a"]


def test_of_one_key_the_newest_counts(debts: Debts, backend: Backend) -> None:
    backend.away = {"a", "b"}
    debts.pay("key", lambda: backend.say("a"))
    debts.pay("key", lambda: backend.say("b"))
    backend.away = set()
    debts.sweep()
    debts.owe("key", lambda: backend.say("c"))
    debts.pay("key", lambda: backend.say("d"))
    debts.sweep()
    assert backend.said == ["b", "d"]


def test_one_that_cannot_be_paid_does_not_keep_the_others_unpaid(debts: Debts, backend: Backend) -> None:
    backend.away = {"a"}
    for word in ("a", "b", "c"):
        debts.owe(word, lambda word=word: backend.say(word))
    for _ in range(2):
        with pytest.raises(BackendUnavailable):
            debts.sweep()
    assert backend.said == ["b", "c"]


def test_what_becomes_owed_while_it_is_paid_stays_owed(debts: Debts, backend: Backend) -> None:
    def pay() -> None:
        backend.say("a")
        debts.owe("key", lambda: backend.say("b"))

    debts.owe("key", pay)
    debts.sweep()
    assert backend.said == ["a"]
    debts.sweep()
    assert backend.said == ["a", "b"]


def test_what_is_overtaken_while_another_is_paid_is_not_said(debts: Debts, backend: Backend) -> None:
    debts.owe("first", lambda: debts.pay("key", lambda: backend.say("b")))
    debts.owe("key", lambda: backend.say("a"))
    debts.sweep()
    assert backend.said == ["b"]


def test_what_is_overtaken_while_it_fails_is_not_owed_again(debts: Debts, backend: Backend) -> None:
    def fail() -> None:
        debts.pay("key", lambda: backend.say("b"))
        backend.say("a")

    backend.away = {"a"}
    debts.owe("key", fail)
    with pytest.raises(BackendUnavailable):
        debts.sweep()
    backend.away = set()
    debts.sweep()
    assert backend.said == ["b"]


def test_what_is_said_at_last_does_not_take_the_place_of_what_became_owed_meanwhile(debts: Debts, backend: Backend) -> None:
    def pay() -> None:
        backend.say("a")
        debts.owe("key", lambda: backend.say("b"))

    debts.pay("key", pay)
    debts.sweep()
    assert backend.said == ["a", "b"]


def test_a_mistake_is_said_once_and_keeps_nobody_unpaid(debts: Debts, backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError

    debts.owe("mistake", fail)
    debts.owe("key", lambda: backend.say("a"))
    debts.sweep()
    debts.sweep()
    assert backend.said == ["a"]
    assert [record.getMessage() for record in caplog.records] == ["what was owed cannot be done"]
