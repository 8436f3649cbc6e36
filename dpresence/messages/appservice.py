"""Frames of the app service channel, and the same data over REST (docs/protocol.md, sections 5 and 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self

from msgspec import UNSET, Meta, Struct, UnsetType

from .. import texts
from ..errors import NotFound, Refused
from ..model import FeedEntry, Reason, Status
from .base import Frame
from .fields import MAX_NOTIFICATIONS, Cursor, Flag, IdempotencyKey, Source, Topic, Urgency, checked


class Authenticate(Frame, kw_only=True):
    """A sign-in of an app service (section 5).

    :param since: the ``cursor`` of an earlier frame; without it, or with one that the log no longer covers, a snapshot follows.
    :param outcomes: asks for outcomes of notifications, after the ``cursor`` of an earlier frame of them; "" for all that are stored.
    """

    action: Literal["auth"]
    key: Annotated[str, Meta(max_length=256, description="an API key, as text")]
    since: Cursor | None = None
    outcomes: Cursor | None = None


class NewNotification(Struct, forbid_unknown_fields=True):
    """One notification in a request of an app service (section 5).

    ``check_texts`` checks its texts. Decoding does not, because the texts of a hundred may take a long time.

    :param puid: a PUID of the application. One that is unknown gets errno 110, for this entry only.
    :param message: prose of up to 512 characters (section 6).
    :param action: empty, a word of ``A-Z a-z 0-9 . _ -``, or an http(s) URL on the application's domain; up to 512 characters.
    :param source: name of the sender, up to 254 characters; the application's own name when empty or omitted.
    :param ttl: seconds for which the notification may wait.
    :param topic: the notification replaces the one of this topic that waits for the user.
    :param idempotency: a key; another notification to this PUID with it within a day is the same one.
    :param urgency: that of RFC 8030; ``low`` and ``very-low`` are not pushed.
    :param outcome: record what becomes of it.
    """

    puid: Annotated[str, Meta(max_length=254, description="a PUID, as text")]
    message: Annotated[str, Meta(max_length=512, description="text of up to 512 characters")] = ""
    action: Annotated[str, Meta(max_length=512, description="text of up to 512 characters")] = ""
    source: Source | None = None
    ttl: Annotated[int, Meta(ge=0, le=2_592_000, description="whole seconds from 0 to 2592000")] = 86_400
    topic: Topic | None = None
    idempotency: IdempotencyKey | None = None
    urgency: Annotated[Urgency, Meta(description="one of very-low, low, normal, high")] = "normal"
    outcome: Flag = False

    def __post_init__(self) -> None:
        if (self.topic or self.idempotency) and not self.ttl:
            raise ValueError("topic, idempotency: not with a ttl of 0")
        if "\0" in self.puid:
            raise ValueError("puid: text without NUL characters")

    def check_texts(self) -> Iterator[None]:
        """Check the message, and check the source and bring it to its stored form. Each step takes up to some milliseconds.

        :raises ValueError: a text is not allowed.
        """
        checked(self, "message", texts.check_prose)
        yield
        if self.source:
            self.source = checked(self, "source", texts.name)
            yield


NewNotifications = Annotated[
    list[NewNotification],
    Meta(title="notifications", min_length=1, max_length=MAX_NOTIFICATIONS, description="a list of 1 to 100 notifications"),
]


class Notify(Frame, kw_only=True):
    """A frame with notifications from an app service (section 5)."""

    action: Literal["notify"]
    notifications: NewNotifications


class Ping(Frame, kw_only=True):
    """A frame that only asks for an answer (section 5). After ``auth``, the answer follows the missed updates."""

    action: Literal["ping"]


class AuthReply(Struct, kw_only=True):
    """The answer to ``auth`` (section 5).

    :param recovery: ``replayed`` if the missed updates follow, ``snapshot`` if a snapshot does.
    :param id: the ``id`` of the frame. Omitted if the frame had none.
    """

    result: Literal["OK"] = "OK"
    action: Literal["auth"] = "auth"
    recovery: Literal["replayed", "snapshot"]
    id: str | int | UnsetType = UNSET


class NotificationResult(Struct, kw_only=True, gc=False):
    """The answer to one notification (section 5).

    :param id: id of the notification. Only if it was accepted, as are ``queue_size`` and ``delivered``.
    :param errno: 110: no such PUID. Only if it was refused, as is ``error``.
    :param queue_size: number of this application's notifications that wait for the user.
    :param delivered: the user is shown as reachable, and the answering process has sent the notification to a device.
    """

    puid: str
    id: str | UnsetType = UNSET
    result: Literal["OK", "KO"]
    errno: Annotated[int, Meta(extra_json_schema={"enum": [NotFound.errno]})] | UnsetType = UNSET
    error: str | UnsetType = UNSET
    queue_size: int | UnsetType = UNSET
    delivered: bool | UnsetType = UNSET

    @classmethod
    def refused(cls, puid: str, refused: Refused) -> Self:
        """Return the answer to a notification that was refused alone."""
        return cls(puid=puid, result="KO", errno=refused.errno, error=refused.error)


class NotifyAnswer(Struct, kw_only=True):
    """The answer to ``POST /myapps/<appid>/notifications``: one result for each notification, in the same order (section 6)."""

    result: Literal["OK"] = "OK"
    action: Literal["notify"] = "notify"
    notifications: list[NotificationResult]


class NotifyReply(NotifyAnswer, kw_only=True):
    """The answer to ``notify`` (section 5).

    :param id: the ``id`` of the frame. Omitted if the frame had none.
    """

    id: str | int | UnsetType = UNSET


class PresenceEntry(Struct, gc=False):
    """The status of one user (sections 5 and 6).

    :param at: when the status began, as far as the application may know: milliseconds since the epoch, whole seconds.
    """

    puid: str
    status: Status
    at: int


class UpdateEntry(PresenceEntry, gc=False):
    """A change of one user's status (section 5)."""

    reason: Reason


class Snapshot(Struct):
    """A frame of a snapshot, up to 500 entries (section 5).

    :param cursor: see ``Updates``. Only in the last frame of a snapshot.
    :param resume: the ``since`` with which another connection continues this snapshot. In all frames but the last.
    :param continued: the first frame of a snapshot that continues has ``true``. Omitted in all others.
    :param first: the first page of a snapshot that a webhook is sent has ``true`` (section 6). Omitted in all others, and on channels.
    """

    snapshot: list[PresenceEntry]
    last: bool
    cursor: str | UnsetType = UNSET
    resume: str | UnsetType = UNSET
    continued: bool | UnsetType = UNSET
    first: bool | UnsetType = UNSET


class Updates(Struct, gc=False):
    """A frame of updates, 1 to 500 (section 5). The answer to a long poll without any has none.

    :param cursor: position after this frame, the ``since`` of a later ``auth``.
    """

    updates: list[UpdateEntry]
    cursor: str

    @classmethod
    def of(cls, updates: Iterable[FeedEntry], cursor: str) -> Self:
        """Return a frame of entries of the feed."""
        return cls([UpdateEntry(update.puid, update.status, update.at, update.reason) for update in updates], cursor)


class StreamEnd(Struct):
    """The event ``close``, the last one of an event stream (section 5).

    :param code: a close code (section 7).
    :param reason: a short text.
    """

    code: int
    reason: str


class PresencePage(Struct):
    """The answer to ``GET /myapps/<appid>/presence`` (section 6).

    :param next: the ``after`` of the next page. Omitted on the last page.
    """

    presence: list[PresenceEntry]
    next: str | UnsetType = UNSET
