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
        """Do something now or, when a backend is away, later; it takes the place of what is owed under ``key``."""
        before = self._owed.get(key)
        try:
            payment()
        except BackendUnavailable:
            self.owe(key, payment)
        else:
            self._cross_out(key, before)

    def owe(self, key: Hashable, payment: Callable[[], object]) -> None:
        """Do something with the next ``sweep``."""
        self._owed[key] = payment

    def owes(self, key: Hashable) -> bool:
        """Return whether something is owed under ``key``."""
        return key in self._owed

    def settle(self, key: Hashable) -> None:
        """Do what is owed under ``key`` now, if anything is.

        :raises BackendUnavailable: a backend is away still.
        """
        payment = self._owed.get(key)
        if payment is not None:
            self._do(key, payment)

    def sweep(self) -> None:
        """Do what is owed, in order.

        :raises BackendUnavailable: one is away still; the next sweep begins with another debt.
        """
        for key, payment in list(self._owed.items()):
            if self._owed.get(key) is payment:  # else it was done, or overtaken, while others were
                self._do(key, payment)

    def _do(self, key: Hashable, payment: Callable[[], object]) -> None:
        try:
            payment()
        except BackendUnavailable:
            if key in self._owed:
                self._owed[key] = self._owed.pop(key)
            raise
        except Exception:  # ours: it would fail for ever
            log.exception("what was owed cannot be done")
        self._cross_out(key, payment)

    def _cross_out(self, key: Hashable, payment: Callable[[], object] | None) -> None:
        """Owe something no more, unless it is something newer that is owed under its key by now."""
        if payment is not None and self._owed.get(key) is payment:
            del self._owed[key]
