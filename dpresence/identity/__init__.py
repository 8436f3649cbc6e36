"""Identity: verifies an assertion and returns an ``Identity`` or raises a typed refusal (docs/protocol.md, section 2).

The form of an assertion selects its verifier. A verifier takes this service's audience from the configuration, never from a request.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol

from ..errors import BackendUnavailable, InvalidAssertion
from ..metrics import masked
from ..model import Identity, canonical_email, digest_of

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"[\w!#$%&'*+/=?^`{{|}}~.-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*", re.ASCII)


def normalize_email(email: Any) -> str | None:
    """Return an e-mail address with its domain in lower case; None if it is not an ASCII address of at most 254 characters."""
    if not isinstance(email, str) or len(email) > 254 or _EMAIL.fullmatch(email) is None:
        return None
    return canonical_email(email)


@contextmanager
def claimed_by(issuer: str, email: Any = None) -> Iterator[None]:
    """Add to a refusal, for the log, the masked e-mail that the assertion claims, verified or not, and the issuer's name."""
    try:
        yield
    except InvalidAssertion as refused:
        refused.about = refused.about or ", ".join(filter(None, (masked(normalize_email(email) or ""), issuer)))
        raise


class Minter(Protocol):
    """An issuer inside the service: the development issuer."""

    def mint(self, email: Any) -> str:
        """Return an assertion of an e-mail address.

        :raises WrongValue: ``email`` is not an e-mail address.
        """


class Verifier(ABC):
    """Checks assertions of one form.

    :cvar name: its name in ``identity.verifiers``.
    """

    name: ClassVar[str]

    @abstractmethod
    def accepts(self, assertion: str) -> bool:
        """Return whether the assertion has the form this verifier checks."""

    @abstractmethod
    def verify(self, assertion: str, for_device: bool = False) -> Identity:
        """Verify an assertion.

        :param for_device: it is to open a device channel.
        :raises InvalidAssertion: the assertion is invalid; the exception's ``reason`` is for the log.
        :raises BackendUnavailable: the keys of its issuer are not available at the moment.
        """

    def digest(self, assertion: str) -> bytes:
        """Return 32 bytes that are equal for all encodings of the same verified assertion, to detect a second use.

        :raises InvalidAssertion: the assertion is too old for single use.
        """
        return digest_of(assertion)


class Verifiers:
    """The configured verifiers, selected by the form of an assertion."""

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        self._verifiers = tuple(verifiers)

    def verify(self, assertion: str, for_device: bool = False) -> Identity:
        """Verify an assertion.

        :param for_device: it is to open a device channel.
        :raises InvalidAssertion: the assertion is invalid.
        :raises BackendUnavailable: no verifier is configured, or the keys of its issuer are not available at the moment.
        """
        return self._for(assertion).verify(assertion, for_device)

    def digest(self, assertion: str) -> bytes:
        """Return the digest that is recorded for a single-use assertion; see ``Verifier.digest``."""
        return self._for(assertion).digest(assertion)

    def name_of(self, assertion: str) -> str:
        """Return the name of the verifier of an assertion, ``none`` if there is none."""
        found = self._find(assertion)
        return found.name if found else "none"

    def _find(self, assertion: str) -> Verifier | None:
        return next((verifier for verifier in self._verifiers if verifier.accepts(assertion)), None)

    def _for(self, assertion: str) -> Verifier:
        if not self._verifiers:
            raise BackendUnavailable("sign-in is closed: set identity.verifiers in the ini", retry_after=60)
        found = self._find(assertion)
        if found is None:
            raise InvalidAssertion("form")
        return found
