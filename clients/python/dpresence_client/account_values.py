"""Values of a user's account: their status, quiet hours, grants and inbox (docs/protocol.md, section 6)."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, Sequence, Union

from .values import Notification


class Unchanged(Enum):
    """The type of ``UNCHANGED``."""

    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return self.name


UNCHANGED = Unchanged.UNCHANGED
"""The default of what ``change_grant`` changes; None is a value there."""


class UserStatus(NamedTuple):
    """The status of a whole person (section 4).

    :ivar status: ``offline`` without a live device, otherwise the override or, without one, ``merged``.
    :ivar merged: the merged status of the live devices.
    :ivar override: the status above those of all devices; None without one.
    :ivar until: when the override ends by itself, milliseconds since the epoch; None if never.
    """

    status: str
    merged: str
    override: str | None
    until: int | None


class Interval(NamedTuple):
    """A part of the day on some days of the week. ``start`` and ``end`` are ``from`` and ``to`` of the protocol.

    :ivar days: the days on which it begins: ``mon``, ``tue`` ..
    :ivar start: local time at which it begins, such as ``22:00``.
    :ivar end: local time at which it ends, on the next day if it is not later than ``start``; up to ``24:00``.
    """

    days: Sequence[str]
    start: str
    end: str


class Hours(NamedTuple):
    """Weekly hours in a time zone.

    :ivar zone: a name of the IANA time zone database, such as ``Europe/Berlin``.
    :ivar weekly: 1 to 28 intervals.
    """

    zone: str
    weekly: Sequence[Interval]


class QuietHours(NamedTuple):
    """The hours in which a user looks offline to all applications.

    :ivar hours: None without any.
    :ivar quiet: they hold now.
    """

    hours: Hours | None
    quiet: bool


class Grant(NamedTuple):
    """A user's permission for one application.

    :ivar puid: the identifier by which the application knows the user.
    :ivar granted_at: milliseconds since the epoch.
    :ivar paused: the user has paused it: they look offline to the application.
    :ivar quiet: only quiet hours hide the user now, those of the grant or of the user.
    :ivar shows: ``status``, or ``reachable``: the application sees ``unavailable`` as ``offline``.
    :ivar until: when it ends by itself, milliseconds since the epoch; None: when the user ends it.
    :ivar hours: its own quiet hours; None without any.
    :ivar push: its notifications are pushed to the user's browsers while the user has no device.
    """

    appid: str
    puid: str
    granted_at: int
    paused: bool
    quiet: bool
    shows: str
    until: int | None
    hours: Hours | None
    push: bool


class Looks(NamedTuple):
    """Number of times that an application looked at the user's status on one day.

    :ivar day: UTC, ``YYYY-MM-DD``.
    :ivar channel: sign-ins on its channel; at least 1 if one stayed open.
    :ivar rest: long polls, and calls that read the status.
    :ivar webhook: messages to its webhook.
    """

    day: str
    channel: int
    rest: int
    webhook: int


class Link(NamedTuple):
    """One link of the chain from the user's devices to what an application sees.

    :ivar link: ``devices``, ``override``, ``pause``, ``hours``, ``shows``, or ``sent`` while a change is on its way.
    :ivar status: the status after this link.
    """

    link: str
    status: str


class ListedGrant(NamedTuple):
    """A grant, with its application, what that sees, and when it looked. The first fields are those of ``Grant``.

    :ivar name: name of the application.
    :ivar domain: domain of the application.
    :ivar last_looked: day (UTC, ``YYYY-MM-DD``) on which the application used a key or looked last; None if it never did.
    :ivar looks: the days of the last 30 on which it looked, newest first.
    :ivar sees: the status that it sees now; None while a backend of the service is unavailable.
    :ivar why: the chain that leads to ``sees``, which is its last status.
    """

    appid: str
    puid: str
    granted_at: int
    paused: bool
    quiet: bool
    shows: str
    until: int | None
    hours: Hours | None
    push: bool
    name: str
    domain: str
    last_looked: str | None
    looks: Sequence[Looks]
    sees: str | None
    why: Sequence[Link]


class InboxNotification(NamedTuple):
    """A notification in a user's inbox. The first fields are those of ``Notification``.

    :ivar read: the user has read it, on any device.
    """

    id: str
    appid: str
    domain: str
    site: str
    source: str
    message: str
    action: str
    sent: int
    read: bool


AnyNotification = Union[Notification, InboxNotification]


class UserInbox(NamedTuple):
    """A user's inbox.

    :ivar notifications: newest first.
    :ivar unread: number of unread ones.
    """

    notifications: Sequence[InboxNotification]
    unread: int
