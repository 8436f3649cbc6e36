"""Turns of addresses, by the order in which requests begin."""

from __future__ import annotations

import gevent
from gevent.pool import Group

from dpresence.channels.request_rounds import AT_ONCE, RequestRounds


class Requests:
    """Requests of addresses; ``begun`` has their addresses in the order in which they began."""

    def __init__(self) -> None:
        self.rounds, self.begun, self.group = RequestRounds(), list[str](), Group()

    def arrive(self, address: str, count: int = 1) -> None:
        self.spawn(address, count)
        gevent.sleep(0)

    def spawn(self, address: str, count: int) -> None:
        """Have requests arrive once the caller waits: no round ends before fifty have, after which gevent looks at its timers."""
        for _ in range(count):
            self.group.spawn(self._begin, address)

    def _begin(self, address: str) -> None:
        self.rounds.wait(address)
        self.begun.append(address)


def test_a_few_requests_begin_at_once() -> None:
    requests = Requests()
    requests.arrive("a", AT_ONCE)
    requests.arrive("b")
    assert requests.begun == ["a"] * AT_ONCE + ["b"]


def test_a_request_of_another_address_comes_between_those_of_a_flood() -> None:
    requests = Requests()
    requests.arrive("a", 1000)
    requests.arrive("b")
    requests.group.join()
    assert requests.begun.index("b") < 500
    assert len(requests.begun) == 1001


def test_addresses_with_many_requests_take_turns() -> None:
    requests = Requests()
    requests.spawn("a", 20)
    requests.spawn("b", 20)
    requests.group.join()
    assert all(abs(requests.begun[:at].count("a") - requests.begun[:at].count("b")) <= AT_ONCE for at in range(40))


def test_the_turn_of_a_request_that_has_ended_does_not_stop_the_others() -> None:
    requests = Requests()
    requests.arrive("a", 20)
    for waiting in list(requests.group)[10:]:
        waiting.kill(block=False)
    requests.group.join()
    assert AT_ONCE <= len(requests.begun) <= 20


def test_nothing_runs_or_stays_while_there_are_no_requests() -> None:
    requests = Requests()
    requests.arrive("a", 20)
    requests.group.join()
    gevent.sleep(0.02)
    assert (requests.rounds._timer, dict(requests.rounds._begun), dict(requests.rounds._waiting)) == (None, {}, {})
