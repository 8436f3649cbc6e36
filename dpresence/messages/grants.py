"""Bodies of a user's grants (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Annotated, Any, Self, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..model import Application, Grant, Hours, Shows, Status, encode_hours
from ..model.explanation import LinkName
from ..model.looks import Looks
from .fields import Flag, Until
from .quiet_hours import ShownHours, shown_hours


class GrantChange(Struct, forbid_unknown_fields=True):
    """``PATCH /grant/<appid>``. Omitted fields keep their value.

    :param paused: whether the user pauses the grant: the application sees them as offline.
    :param until: when the grant ends, milliseconds since the epoch; null: when the user ends it.
    :param hours: weekly hours in which the application sees the user as offline, besides those of ``PUT /hours``; null: none.
    :param shows: ``status``; or ``reachable``: the application sees the user as online or offline, and ``unavailable`` as offline.
    :param push: whether notifications of the application are pushed to the user's browsers while they have no device.
    """

    paused: Flag | UnsetType = UNSET
    shows: Annotated[Shows, Meta(description="one of status, reachable")] | UnsetType = UNSET
    until: Until | UnsetType | None = UNSET
    hours: Hours | UnsetType | None = UNSET
    push: Flag | UnsetType = UNSET

    def changes(self) -> dict[str, Any]:
        """Return the given values, by field of ``model.Grant``."""
        given = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not UNSET}
        return given | ({"hours": encode_hours(self.hours)} if self.hours is not UNSET else {})


class GrantRequest(Struct, forbid_unknown_fields=True):
    """``POST /grant/<appid>``.

    :param until: when the grant ends, milliseconds since the epoch. Null: when the user ends it. Omitted: the same for a new grant, and no
        change for one that exists.
    """

    until: Until | UnsetType | None = UNSET


class GrantQuestion(Struct):
    """The answer to ``GET /grant/<appid>``: the application that asks for the grant (section 6).

    :param icon: path of its icon, below the address of this service. Omitted without one.
    """

    appid: str
    name: str
    domain: str
    description: str
    icon: str | UnsetType = UNSET

    @classmethod
    def of(cls, item: Application) -> Self:
        """Return what a user is shown of an application before they grant it access."""
        return cls(item.id, item.name, item.domain, item.description, item.icon_path or UNSET)


class NewGrant(Struct):
    """The answer to ``POST /grant/<appid>`` (section 6)."""

    appid: str
    puid: str


class GrantBody(Struct):
    """The answer to ``PATCH /grant/<appid>`` (section 6).

    :param granted_at: milliseconds since the epoch.
    :param paused: the user has paused the grant.
    :param quiet: quiet hours pause the grant now, those of the grant or of the user; false while the user pauses it themselves.
    :param shows: see ``GrantChange``, as for ``until``, ``hours`` and ``push``.
    """

    appid: str
    puid: str
    granted_at: int
    paused: bool
    quiet: bool
    shows: Shows
    until: int | None
    hours: ShownHours | None
    push: bool

    @classmethod
    def of(cls, item: Grant, **more: Any) -> Self:
        """Return a grant.

        :param more: fields of the subclass.
        """
        hours = shown_hours(item.hours)
        return cls(item.appid, item.puid, item.granted_at, item.own_pause, item.quiet, item.shows, item.until, hours, item.push, **more)


class LooksBody(Struct):
    """Number of times that an application looked at the user's status on one day (section 6).

    :param day: UTC, ``YYYY-MM-DD``.
    :param channel: sign-ins of its service on its channel; at least 1 if a channel stayed open.
    :param rest: calls that read the status.
    :param webhook: deliveries to its webhook.
    """

    day: str
    channel: int
    rest: int
    webhook: int

    @classmethod
    def of(cls, item: Looks) -> Self:
        """Return the looks of a day."""
        return cls(item.day, item.channel, item.rest, item.webhook)


class LinkBody(Struct):
    """One link of the chain from the user's devices to what an application sees (section 6).

    :param link: what determines the status from here on: the devices, the override, a pause by the user, quiet hours, the grant's
        ``shows``; or ``sent``: what the application was sent last, while a change is on its way to it.
    :param status: the status after this link.
    """

    link: Annotated[LinkName, Meta(description=f"one of {', '.join(get_args(LinkName))}")]
    status: Status


class ListedGrant(GrantBody):
    """A grant in ``GET /grants`` (section 6).

    :param name: name of the application.
    :param domain: domain of the application.
    :param last_looked: day (UTC, ``YYYY-MM-DD``) on which the application's service last used a key or looked; null if it never did.
    :param looks: the days of the last 30, since the grant, on which the application looked, newest first.
    :param sees: the status that the application sees now; null if a backend is unavailable.
    :param why: the chain that ends in ``sees``; empty if a backend is unavailable.
    :param icon: path of the application's icon, below the address of this service. Omitted without one.
    """

    name: str
    domain: str
    last_looked: str | None
    looks: list[LooksBody]
    sees: Status | None
    why: list[LinkBody]
    icon: str | UnsetType = UNSET


class GrantPage(Struct):
    """The answer to ``GET /grants``, in order of ``appid`` (section 6).

    :param next: the ``after`` of the next page. Omitted on the last page.
    """

    grants: list[ListedGrant]
    next: str | UnsetType = UNSET
