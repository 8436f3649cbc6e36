"""Values that a program receives: changes, entries of the table, notifications, results (docs/protocol.md, sections 3 and 5)."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Sequence

STATUSES = ("online", "unavailable", "offline")


class Entry(NamedTuple):
    """The status of one user.

    :ivar status: ``online``, ``unavailable`` or ``offline``.
    :ivar at: when it began, as far as the application may know: milliseconds since the epoch, whole seconds.
    """

    status: str
    at: int


class Change(NamedTuple):
    """A change of one user's status, as an application sees it (section 5).

    :ivar puid: the user's identifier for this application.
    :ivar status: ``online``, ``unavailable`` or ``offline``.
    :ivar reason: ``explicit``, ``lost``, ``granted`` or ``revoked``; after ``revoked`` the PUID is invalid for good. ``snapshot``
        if the status comes from a snapshot, which gives no reason.
    :ivar at: when the status began: milliseconds since the epoch, whole seconds.
    :ivar origin: ``update``: it has just happened. ``replay``: it happened while the client was not connected; the user's updates come
        one by one, none is missing. ``snapshot``: the difference between the table and a snapshot; intermediate statuses are unknown.
    """

    puid: str
    status: str
    reason: str
    at: int
    origin: str


class Update(NamedTuple):
    """One entry of a frame with updates, or of a snapshot, where ``reason`` is ``snapshot``."""

    puid: str
    status: str
    reason: str
    at: int


class Batch(NamedTuple):
    """The updates of one frame, or a complete snapshot.

    :ivar cursor: position after these, the ``since`` of a later sign-in.
    :ivar origin: as in ``Change``; a ``snapshot`` replaces the table.
    :ivar completes: number of the connection on which the table is current after these; 0 if it is not yet, or was before.
    """

    updates: Sequence[Update]
    cursor: str
    origin: str
    completes: int = 0


class Notification(NamedTuple):
    """A notification from an application to the user of a device (section 3).

    :ivar id: the same for all devices of the user, and when it is sent again.
    :ivar appid: id of the application.
    :ivar domain: the application's validated domain. Show it in a separate place: ``source`` is not verified.
    :ivar site: registrable part of the domain, to show where a long domain would be cut.
    :ivar source: the application's name for the sender.
    :ivar action: "", a word, or a URL on the application's domain.
    :ivar sent: when the application sent it, milliseconds since the epoch.
    """

    id: str
    appid: str
    domain: str
    site: str
    source: str
    message: str
    action: str
    sent: int


class Outgoing(NamedTuple):
    """A notification for one user, as ``AppService.notify_many`` takes it (section 5).

    :ivar message: prose of up to 512 characters.
    :ivar action: "", a word, or a URL on the application's domain.
    :ivar source: a name; None for the application's own.
    :ivar ttl: seconds that it may wait, 0 to 2592000; None for the default of the service (a day).
    :ivar topic: it replaces the one of this topic that waits for the user: 1 to 32 of ``A-Z a-z 0-9 _ -``.
    :ivar idempotency: a key of up to 64 characters: sent again to the user with it within a day, it is the same notification.
    :ivar urgency: ``very-low``, ``low`` (neither is pushed), ``normal`` or ``high``; None for ``normal``.
    :ivar outcome: True: the service records what becomes of it, see ``Outcome``.
    """

    puid: str
    message: str = ""
    action: str = ""
    source: str | None = None
    ttl: int | None = None
    topic: str | None = None
    idempotency: str | None = None
    urgency: str | None = None
    outcome: bool = False

    def frame(self) -> Dict[str, Any]:
        """Return it as the protocol has it, without what is left out."""
        return {name: value for name, value in self._asdict().items() if value is not False and value not in ("", None)}


class Delivery(NamedTuple):
    """The answer to one accepted notification (section 5).

    :ivar id: id of the notification; a device that acknowledges sees the same one.
    :ivar queue_size: number of this application's notifications that wait for the user, as far as the application may know.
    :ivar delivered: True: the user is shown as reachable, and it was sent to a device. False allows no conclusion.
    """

    puid: str
    id: str
    queue_size: int
    delivered: bool


class Outcome(NamedTuple):
    """An outcome of a notification that was sent with ``outcome`` (section 5).

    :ivar id: id of the notification, as in its ``Delivery``.
    :ivar outcome: ``pushed``, ``delivered``, ``shown``, ``opened``, ``expired``, ``dropped``, ``replaced``, ``cancelled`` or ``revoked``.
    :ivar at: when the application could first know it: milliseconds since the epoch, whole seconds.
    """

    id: str
    puid: str
    outcome: str
    at: int


class OutcomeBatch(NamedTuple):
    """The outcomes of one frame.

    :ivar cursor: position after these, the ``outcomes`` of a later sign-in.
    """

    outcomes: Sequence[Outcome]
    cursor: str


class Lost(NamedTuple):
    """The end of the connection, among what was received on it: the table is not current after this."""
