"""Identity: an assertion in, a verified ``Identity`` or one typed refusal out (docs/protocol.md, section 2).

A verifier is chosen by the form of the assertion and knows this service's audience; it never learns it from a request.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..model import Identity


class Verifier(ABC):
    """Checks assertions of one form."""

    @abstractmethod
    def accepts(self, assertion: str) -> bool:
        """Return whether the assertion has the form this verifier checks."""

    @abstractmethod
    def verify(self, assertion: str) -> Identity:
        """Check an assertion.

        :raises InvalidAssertion: whatever is wrong with it; the exception's ``reason`` is for the log.
        :raises BackendUnavailable: its issuer's keys cannot be had for now.
        """
