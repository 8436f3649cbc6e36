"""Slows down failed sign-ins and keys. A good one is never refused for what others at its address did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from weakref import WeakValueDictionary

from gevent.lock import BoundedSemaphore

from ..clock import Clock
from ..errors import SlowDown
from ..limits import RateLimit

DIFFERENT = 10
"""Factor by which the failures of different credentials at an address may exceed those of one."""
AT_ONCE = 4
"""Checks of one address that may ask a provider at the same time; a provider's fetcher has 20 in all."""
TURN_SECONDS = 10.0


class Failures:
    """Counts failed checks by address and credential; every credential is checked before it is asked.

    The number of checks is bounded by that of the requests, channels and frames of an address; those that ask another party have turns.

    :param most: how often one credential may fail at one address within a minute.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        text = "too many failures from this address"
        self._repeated, self._different = RateLimit(text, most, 60, clock), RateLimit(text, DIFFERENT * most, 60, clock)
        self._turns: WeakValueDictionary[str, BoundedSemaphore] = WeakValueDictionary()

    def note(self, address: str, credential: str) -> None:
        """Count a failure.

        Whoever shows an expired credential must learn that it is no good, whatever others at their address do: so the repetition of
        one credential is slowed down long before different ones are.

        :raises SlowDown: instead of the refusal, when this credential or this address failed too often.
        """
        self._repeated.charge(f"{address} {sha256(credential.encode()).hexdigest()}")
        self._different.charge(address)

    @contextmanager
    def turn(self, address: str) -> Iterator[None]:
        """Hold one of the turns of an address for a check that asks another party.

        :raises SlowDown: there was none within ``TURN_SECONDS``.
        """
        turns = self._turns.get(address)
        if turns is None:
            turns = self._turns[address] = BoundedSemaphore(AT_ONCE)
        if not turns.acquire(timeout=TURN_SECONDS):
            raise SlowDown("too many sign-ins of this address at a time", retry_after=round(TURN_SECONDS))
        try:
            yield
        finally:
            turns.release()
