"""The part of the directory that stores on which days applications looked at users' statuses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from .values import LookCount

LOOK_DAYS = 30
"""Days for which looks are stored, today included."""


class LookStore(ABC):
    """Looks of applications by day; a part of ``Directory``. They end with the application, or with the grant, that they belong to."""

    @abstractmethod
    def add_looks(self, looks: Sequence[LookCount]) -> None:
        """Add counts to those that are stored. Counts of an application or a grant that does not exist any more are left out."""
