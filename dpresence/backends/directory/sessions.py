"""The part of the directory that stores browser sessions and used assertions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ...model import Identity, Session
from .values import Requester, SignedIn


class SessionStore(ABC):
    """Browser sessions and used assertions; a part of ``Directory``."""

    @abstractmethod
    def use_assertion(self, digest: bytes, expires_at: int) -> bool:
        """Record a digest as used until ``expires_at``; return False if it has been used before."""

    @abstractmethod
    def add_session(
        self, session: Session, requester: Requester | None = None, previous: bytes | None = None, identity: Identity | None = None
    ) -> Sequence[str]:
        """Store a browser session and end the sessions that it replaces, as ``end_session`` does; return the users of those.

        A push subscription that a replaced session of the same user has stored is then the new session's.

        :param previous: hash of the browser's previous cookie. The new session replaces the session of that cookie and every session
            that has already replaced it: of several concurrent log-ins with the same cookie, only the latest session remains.
        :param identity: the identity that the session is opened for.
        :raises SessionEnded: the account is deleted or blocked, also without ``requester``; or the provider has ended the sign-in.
        """

    @abstractmethod
    def session(self, id_hash: bytes, now: int) -> SignedIn | None:
        """Return a session that has not ended, with its account, both read at the same moment."""

    @abstractmethod
    def sessions(self, user: str, now: int) -> Sequence[Session]:
        """Return a user's sessions that have not ended, oldest first."""

    @abstractmethod
    def end_session(self, id_hash: bytes) -> None:
        """Delete a session and its tickets, if it exists."""

    @abstractmethod
    def end_sessions(self, user: str) -> None:
        """Delete every session and every ticket of a user."""
