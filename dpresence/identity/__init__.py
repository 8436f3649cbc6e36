"""Identity: an assertion in, a verified ``Identity`` or one typed refusal out (docs/protocol.md, section 2).

A verifier is chosen by the form of the assertion and knows this service's audience; it never learns it from a request.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Protocol

from ..errors import BackendUnavailable, InvalidAssertion
from ..metrics import masked
from ..model import Identity

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"[\w!#$%&'*+/=?^`{{|}}~.-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*", re.ASCII)


def normalize_email(email: Any) -> str | None:
    """Return a mail address with its domain in lower case; None if it is not ASCII of that form and at most 254 characters."""
    if not isinstance(email, str) or len(email) > 254 or _EMAIL.fullmatch(email) is None:
        return None
    local, _, domain = email.rpartition("@")
    return f"{local}@{domain.lower()}"


@contextmanager
def claimed_by(issuer: str, email: Any = None) -> Iterator[None]:
    """Add to a refusal, for the log, who it is about: the masked e-mail that the proof names, true or not, and the issuer's name."""
    try:
        yield
    except InvalidAssertion as refused:
        refused.about = refused.about or ", ".join(filter(None, (masked(normalize_email(email) or ""), issuer)))
        raise


class Minter(Protocol):
    """An issuer within the service: the development issuer."""

    def mint(self, email: Any) -> str:
        """Return an assertion of an e-mail.

        :raises WrongValue: it is no e-mail address.
        """


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

    def digest(self, assertion: str) -> bytes:
        """Return 32 bytes that are equal for every spelling of a verified proof, to notice its second use.

        :raises InvalidAssertion: it is too old for a place where only its first use counts.
        """
        return sha256(assertion.encode()).digest()


class Verifiers:
    """The configured verifiers, tried by form."""

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        self._verifiers = tuple(verifiers)

    def verify(self, assertion: str) -> Identity:
        """Check an assertion.

        :raises InvalidAssertion: whatever is wrong with it.
        :raises BackendUnavailable: no verifier is configured, or its issuer's keys cannot be had for now.
        """
        return self._for(assertion).verify(assertion)

    def digest(self, assertion: str) -> bytes:
        """Return what is noted of an assertion that may be used once; see ``Verifier.digest``."""
        return self._for(assertion).digest(assertion)

    def _for(self, assertion: str) -> Verifier:
        if not self._verifiers:
            raise BackendUnavailable("sign-in is closed: set identity.verifiers in the ini", retry_after=60)
        found = next((verifier for verifier in self._verifiers if verifier.accepts(assertion)), None)
        if found is None:
            raise InvalidAssertion("form")
        return found
