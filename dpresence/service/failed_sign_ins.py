"""Rate limit of failed sign-ins and API keys. A valid credential is never refused because of failures of other clients at its address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from gevent.lock import BoundedSemaphore

from ..addresses import network
from ..clock import Clock
from ..errors import SlowDown
from ..limits import RateLimit
from ..model import digest_of

DIFFERENT_FACTOR = 10
"""Factor by which the failures of different credentials at an address may exceed those of a single credential."""
CHECKS_PER_ADDRESS = 4
"""Maximum number of concurrent requests to a provider for one address; the provider's fetcher allows 20 in total."""
SLOT_SECONDS = 10.0


class FailedSignIns:
    """Counts failed checks by address and credential. Limits apply only after a check has failed.

    The number of checks is limited by the number of requests, channels and frames of an address; checks that call a provider are also
    limited in concurrency.

    :param per_minute: maximum number of failures of one credential at one address per minute.
    """

    def __init__(self, per_minute: int, clock: Clock) -> None:
        text = "too many failures from this address"
        self._repeated, self._different = RateLimit(text, per_minute, 60, clock), RateLimit(text, DIFFERENT_FACTOR * per_minute, 60, clock)
        self._slots: WeakValueDictionary[str, BoundedSemaphore] = WeakValueDictionary()

    def record(self, address: str, credential: str) -> None:
        """Count a failure.

        A client with an expired credential must learn that it is invalid, whatever other clients at its address do. Repetitions of
        one credential are therefore slowed down long before different credentials are.

        :raises SlowDown: this credential or this address has failed too often; replaces the refusal.
        """
        self._repeated.charge(f"{network(address)} {digest_of(credential).hex()}")
        self._different.charge(network(address))

    @contextmanager
    def slot(self, address: str) -> Iterator[None]:
        """Hold a slot of an address for a check that calls a provider.

        :raises SlowDown: no slot became free within ``SLOT_SECONDS``.
        """
        key = network(address)
        slots = self._slots.get(key)
        if slots is None:
            slots = self._slots[key] = BoundedSemaphore(CHECKS_PER_ADDRESS)
        if not slots.acquire(timeout=SLOT_SECONDS):
            raise SlowDown("too many sign-ins of this address at a time", retry_after=round(SLOT_SECONDS))
        try:
            yield
        finally:
            slots.release()
