"""The part of the directory that stores grants."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...model import Grant, GrantSet
from .values import GrantWithApplication, Requester


class GrantStore(ABC):
    """Grants of users to applications; a part of ``Directory``."""

    @abstractmethod
    def add_grant(self, grant: Grant, domain: str | None = None, requester: Requester | None = None) -> Grant:
        """Store a grant and return it; if (application, user) already has a grant, return that one unchanged.

        :param domain: the domain that the user consented to; the application must be active and have this domain, validated.
        :raises NotFound: the application or the account does not exist.
        :raises DomainNotValidated: the application has another domain, or its domain is not validated.
        :raises NotActive: the application is not active.
        """

    @abstractmethod
    def grant(self, appid: str, user: str) -> Grant | None:
        """Return a user's grant to an application."""

    @abstractmethod
    def grants_by_puid(self, appid: str, puids: Sequence[str]) -> dict[str, Grant]:
        """Return an application's grants by PUID; unknown PUIDs are left out."""

    @abstractmethod
    def grants_of_user(self, user: str) -> GrantSet:
        """Return every grant of a user, oldest first, with the revision of their account."""

    @abstractmethod
    def grants_of_users(self, users: Collection[str]) -> dict[str, GrantSet]:
        """Return what ``grants_of_user`` returns, by user."""

    @abstractmethod
    def grants_with_applications(self, user: str, after: str, limit: int) -> Sequence[GrantWithApplication]:
        """Return up to ``limit`` grants of a user, with their applications, in order of application id, starting after ``after``."""

    @abstractmethod
    def existing_puids(self, puids: Collection[str]) -> set[str]:
        """Return the subset of ``puids`` that belong to existing grants."""

    @abstractmethod
    def grants_of_application(self, appid: str, after: str, limit: int) -> Sequence[Grant]:
        """Return up to ``limit`` grants of an application with a PUID greater than ``after``, in order of PUID."""

    @abstractmethod
    def grant_times(self, appid: str, after: str, limit: int) -> Sequence[tuple[str, int]]:
        """Return PUID and ``granted_at`` of the grants that ``grants_of_application`` returns; a snapshot needs no more of them."""

    @abstractmethod
    def count_grants(self, appid: str) -> int:
        """Return the number of users who have granted an application access, including paused grants."""

    @abstractmethod
    def change_grant(self, appid: str, user: str, changes: Mapping[str, Any], now: int, requester: Requester | None = None) -> Grant | None:
        """Change fields of a grant; return the changed grant, None if there is none.

        :param changes: new values of ``paused``, the user's own pause, ``shows``, ``push``, ``until`` and ``hours``.
        :param now: the time at which quiet hours are looked at, and the new ``since`` if this ends a pause.
        """

    @abstractmethod
    def revoke(self, appid: str, user: str, requester: Requester | None = None) -> Grant | None:
        """Delete a grant and return it; return None if there was none."""
