"""The account of a user: the same for asyncio, and answers that cannot be read."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from dpresence_client import Account, ProtocolError, Rest, account_calls, aio

METHODS = [name for name, _ in inspect.getmembers(Account, inspect.isfunction) if not name.startswith("_")]
HOURS = {"zone": "Europe/Berlin", "weekly": [{"days": ["sat"], "from": "03:00", "to": "03:01"}]}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_the_same_for_asyncio(name: str) -> None:
    one, other = getattr(Account, name), getattr(aio.Account, name)
    assert inspect.signature(one) == inspect.signature(other) and one.__doc__ == other.__doc__
    assert inspect.iscoroutinefunction(other)


def test_both_have_the_same_methods() -> None:
    assert [name for name, _ in inspect.getmembers(aio.Account, inspect.isfunction) if not name.startswith("_")] == METHODS


class Answering(Rest):
    """A service that gives one answer."""

    def __init__(self, answer: Any) -> None:
        super().__init__("http://127.0.0.1")
        self._answer = answer

    def call(self, *_: Any, **__: Any) -> Any:
        return self._answer


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("status", {"status": "online", "merged": "online", "override": None}),
        ("hours", None),
        ("hours", {"quiet": False, "hours": {**HOURS, "weekly": None}}),
        ("hours", {"quiet": False, "hours": {**HOURS, "weekly": [{"days": []}]}}),
        ("grants", {}),
        ("grants", {"grants": [{"looks": [], "why": []}]}),
        ("notifications", {"notifications": []}),
    ],
)
def test_an_answer_that_cannot_be_read_is_refused(call: str, answer: Any) -> None:
    with pytest.raises(ProtocolError, match="an answer of the service"):
        getattr(account_calls, call)(Answering(answer))


def test_fields_that_are_not_known_are_left_out() -> None:
    answer = {"quiet": True, "hours": {**HOURS, "new": 1}, "new": 2}
    assert account_calls.hours(Answering(answer)) == (("Europe/Berlin", [(["sat"], "03:00", "03:01")]), True)
