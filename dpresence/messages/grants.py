"""Bodies of a user's grants (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Self

from msgspec import UNSET, Struct, UnsetType

from ..model import Application, Grant
from .fields import Flag


class GrantChange(Struct, forbid_unknown_fields=True):
    """``PATCH /grant/<appid>``."""

    paused: Flag


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
    """

    appid: str
    puid: str
    granted_at: int
    paused: bool

    @classmethod
    def of(cls, item: Grant, **more: str | None) -> Self:
        """Return a grant.

        :param more: fields of the subclass.
        """
        return cls(item.appid, item.puid, item.granted_at, item.paused, **more)


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
