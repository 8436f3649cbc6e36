"""The part of the directory that stores applications and their API keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from ...model import ApiKey, Application, Grant
from .values import Requester


class ApplicationStore(ABC):
    """Applications and their API keys; a part of ``Directory``."""

    @abstractmethod
    def add_application(self, application: Application, limit: int, requester: Requester | None = None) -> None:
        """Store a new application.

        :raises TooMany: its owner already has ``limit`` applications.
        """

    @abstractmethod
    def application(self, appid: str) -> Application | None:
        """Return an application by its id."""

    @abstractmethod
    def active(self, appids: Sequence[str]) -> dict[str, str]:
        """Return the domains by id of those applications among ``appids`` that are active and have a validated domain."""

    @abstractmethod
    def existing(self, appids: Sequence[str]) -> set[str]:
        """Return the subset of ``appids`` that exist."""

    @abstractmethod
    def newest_application(self) -> int:
        """Return the creation time of the newest application in milliseconds; 0 if there is none."""

    @abstractmethod
    def applications(self, owner: str, after: str, limit: int) -> Sequence[Application]:
        """Return up to ``limit`` applications of ``owner`` with an id greater than ``after``, in order of id."""

    @abstractmethod
    def all_applications(self, after: str, limit: int) -> Sequence[Application]:
        """Return up to ``limit`` applications with an id greater than ``after``, in order of id."""

    @abstractmethod
    def change_application(
        self, appid: str, changes: Mapping[str, object], domain_key: str | None = None, requester: Requester | None = None
    ) -> Application | None:
        """Update some fields of an application and return the updated application.

        :param domain_key: update the application only if this is its domain key, which is new with each domain.
        :returns: None if the application does not exist or has another domain key.
        """

    @abstractmethod
    def move_application(
        self, appid: str, changes: Mapping[str, object], requester: Requester | None = None, before: Application | None = None
    ) -> tuple[Application, Sequence[Grant]] | None:
        """Update an application whose domain changes and end every grant to it, in one transaction.

        :param before: update it only if it has the name and the domain key of this one.
        :returns: the updated application and the grants that ended; None if the application does not exist or differs from ``before``.
        """

    @abstractmethod
    def claim_checks(self, now: int, check_at: int, limit: int) -> Sequence[Application]:
        """Return up to ``limit`` applications whose domain is due for a check, and set the time of their next check.

        Each application is returned to one caller only: its ``check_at`` is set to the argument.
        """

    @abstractmethod
    def delete_application(self, appid: str, requester: Requester | None = None) -> Sequence[Grant] | None:
        """Delete an application with its keys and grants; return the grants that ended, None if the application does not exist."""

    @abstractmethod
    def set_icon(self, appid: str, icon: bytes | None, requester: Requester | None = None) -> Application | None:
        """Store the icon of an application, or remove it, and return the application; None if it does not exist."""

    @abstractmethod
    def icon(self, appid: str, version: str) -> bytes | None:
        """Return the icon of an application; None if it has none of this version."""

    @abstractmethod
    def activate(self, appid: str, key: ApiKey, requester: Requester | None = None) -> bool:
        """Activate an application with ``key`` as its only key, in one transaction; return False if it is already active.

        :raises NotFound: the application does not exist.
        :raises SessionEnded: its owner is blocked, also without ``requester``.
        :raises Conflict: the operator has stopped the application.
        :raises DomainNotValidated: its domain is not validated.
        """

    @abstractmethod
    def add_key(self, key: ApiKey, retire_at: int, requester: Requester | None = None) -> None:
        """Store a new key. The current keys retire at ``retire_at``, unless they already retire earlier.

        :raises NotFound: the application does not exist.
        :raises SessionEnded: its owner is blocked, also without ``requester``.
        """

    @abstractmethod
    def key(self, key_id: str, now: int) -> ApiKey | None:
        """Return a valid key by its public id."""

    @abstractmethod
    def keys(self, appid: str, now: int) -> Sequence[ApiKey]:
        """Return an application's valid keys, newest first."""

    @abstractmethod
    def touch_key(self, key_id: str, day: str) -> None:
        """Record the last day (``YYYY-MM-DD``) on which a key was used."""
