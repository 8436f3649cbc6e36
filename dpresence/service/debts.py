"""What could not be said to a backend that was away, and is said when it is back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable

from ..errors import BackendUnavailable

log = logging.getLogger(__name__)


class Debts:
    """What is owed: each is tried at once, and again with each ``sweep``. What it does must bear to be done twice."""

    def __init__(self) -> None:
        self._owed: dict[Hashable, Callable[[], object]] = {}

    def pay(self, key: Hashable, payment: Callable[[], object]) -> None:
        """Do something now or, when a backend is away, later; it takes the place of what was owed under ``key``."""
        try:
            payment()
        except BackendUnavailable:
            self.owe(key, payment)
        else:
            self.forgive(key)

    def owe(self, key: Hashable, payment: Callable[[], object]) -> None:
        """Do something with the next ``sweep``."""
        self._owed[key] = payment

    def forgive(self, key: Hashable) -> None:
        """Do not do what is owed under ``key`` any more, if anything is."""
        self._owed.pop(key, None)

    def sweep(self) -> None:
        """Do what is owed, in order.

        :raises BackendUnavailable: one is away still; the next sweep begins with another debt.
        """
        for key, payment in list(self._owed.items()):
            try:
                payment()
            except BackendUnavailable:
                self._owed[key] = self._owed.pop(key, payment)
                raise
            except Exception:  # ours: it would fail for ever
                log.exception("what was owed cannot be done")
            if self._owed.get(key) is payment:
                del self._owed[key]
