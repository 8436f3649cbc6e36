"""The part of the directory that stores the logouts of identity providers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ...logouts import ProviderLogout
from ...model import Identity


class ProviderLogoutStore(ABC):
    """Logouts of identity providers; a part of ``Directory``."""

    @abstractmethod
    def end_provider_session(self, logout: ProviderLogout) -> Sequence[str] | None:
        """End the sign-ins that a provider's logout names, and refuse them from now on.

        If it names a session: the browser sessions and tickets that were opened with it, but no device credentials. Otherwise, for each
        account pinned to the person: everything that ``end_sessions`` ends.

        :returns: the owners of the entries in the outbox; None, without a change, if the same message was used before.
        """

    @abstractmethod
    def has_ended(self, identity: Identity) -> bool:
        """Return whether the provider has ended the sign-in that an identity results from."""

    @abstractmethod
    def provider_session_ended(self, key: str, began_at: int) -> bool:
        """Return whether a provider has ended the sign-ins of its session with this key that began at or before ``began_at``."""
