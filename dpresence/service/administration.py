"""Administration of accounts and applications by the operator (docs/operations.md).

The operator's command runs in a process of its own, which has the directory only. The effects on the other backends are entries of
the outbox; a running service applies them.
"""

from __future__ import annotations

from ..backends.directory import Directory
from ..errors import NotFound
from ..model import Application, canonical_email


class Administration:
    """Changes that only the operator makes. Each raises ``NotFound`` if the account or the application does not exist."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def block(self, email: str, blocked: bool) -> None:
        """Refuse every sign-in to an account, sign it out everywhere and deactivate its applications; or let it sign in again."""
        if not self._directory.block(canonical_email(email), blocked):
            raise NotFound(f"there is no account of {canonical_email(email)}")

    def unpin(self, email: str, same: bool) -> None:
        """Let the next sign-in of an e-mail address pin its account to another issuer.

        The account is signed out everywhere, and its applications are deactivated.

        :param same: also let the present issuer and subject pin it again.
        """
        if not self._directory.unpin(canonical_email(email), same):
            raise NotFound(f"there is no account of {canonical_email(email)}")

    def merge(self, email: str, into: str) -> None:
        """Move the grants and applications of an account to another one, and delete the first."""
        first, second = canonical_email(email), canonical_email(into)
        if first == second:
            raise NotFound(f"{first}: an account cannot be merged into itself")
        if not self._directory.merge(first, second):
            raise NotFound(f"there is no account of {first}, or none of {second}")

    def stop(self, appid: str, stopped: bool) -> Application:
        """Deactivate an application so that its developer cannot activate it; or let the developer activate it again."""
        changed = self._directory.change_application(appid, {"active": False, "stopped": True} if stopped else {"stopped": False})
        if changed is None:
            raise NotFound(f"there is no application {appid}")
        return changed
