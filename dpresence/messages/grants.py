"""Bodies of a user's grants (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Annotated, Any, Self

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..model import Application, Grant, Shows
from .fields import Flag


class GrantChange(Struct, forbid_unknown_fields=True):
    """``PATCH /grant/<appid>``. Omitted fields keep their value.

    :param paused: whether the application sees the user as offline.
    :param shows: ``status``; or ``reachable``: the application sees the user as online or offline, and ``unavailable`` as offline.
    """

    paused: Flag | UnsetType = UNSET
    shows: Annotated[Shows, Meta(description="one of status, reachable")] | UnsetType = UNSET

    def changes(self) -> dict[str, Any]:
        """Return the given values, by field."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not UNSET}


class GrantQuestion(Struct):
    """The answer to ``GET /grant/<appid>``: the application that asks for the grant (section 6)."""

    appid: str
    name: str
    domain: str
    description: str

    @classmethod
    def of(cls, item: Application) -> Self:
        """Return what a user is shown of an application before they grant it access."""
        return cls(item.id, item.name, item.domain, item.description)


class NewGrant(Struct):
    """The answer to ``POST /grant/<appid>`` (section 6)."""

    appid: str
    puid: str


class GrantBody(Struct):
    """The answer to ``PATCH /grant/<appid>`` (section 6).

    :param granted_at: milliseconds since the epoch.
    :param shows: see ``GrantChange``.
    """

    appid: str
    puid: str
    granted_at: int
    paused: bool
    shows: Shows

    @classmethod
    def of(cls, item: Grant, **more: str | None) -> Self:
        """Return a grant.

        :param more: fields of the subclass.
        """
        return cls(item.appid, item.puid, item.granted_at, item.paused, item.shows, **more)


class ListedGrant(GrantBody):
    """A grant in ``GET /grants`` (section 6).

    :param name: name of the application.
    :param domain: domain of the application.
    :param last_looked: day (UTC, ``YYYY-MM-DD``) on which the application's service last used a key; null if it never did.
    """

    name: str
    domain: str
    last_looked: str | None


class GrantPage(Struct):
    """The answer to ``GET /grants``, in order of ``appid`` (section 6).

    :param next: the ``after`` of the next page. Omitted on the last page.
    """

    grants: list[ListedGrant]
    next: str | UnsetType = UNSET
