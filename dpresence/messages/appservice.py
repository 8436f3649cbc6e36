"""Frames of the app service channel, and the same data over REST (docs/protocol.md, sections 5 and 6)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from .. import texts
from .base import Frame
from .fields import MOST_ITEMS, Cursor, Source, checked


class Authenticate(Frame, kw_only=True):
    """A sign-in of an app service (section 5)."""

    action: str
    key: Annotated[str, Meta(max_length=256, description="an API key, as text")]
    since: Cursor | None = None


class OutgoingNotification(Struct, forbid_unknown_fields=True):
    """One notification in a request of an app service (section 5)."""

    puid: Annotated[str, Meta(max_length=254, description="a PUID, as text")]
    message: Annotated[str, Meta(max_length=512, description="text of up to 512 characters")] = ""
    action: Annotated[str, Meta(max_length=512, description="text of up to 512 characters")] = ""
    source: Source | None = None
    ttl: Annotated[int, Meta(ge=0, le=2_592_000, description="whole seconds from 0 to 2592000")] = 86_400

    def __post_init__(self) -> None:
        if "\0" in self.puid:
            raise ValueError("puid: text without NUL characters")
        checked(self, "message", texts.check_prose)
        if self.source:
            self.source = checked(self, "source", texts.name)


OutgoingNotifications = Annotated[
    list[OutgoingNotification],
    Meta(title="notifications", min_length=1, max_length=MOST_ITEMS, description="a list of 1 to 100 notifications"),
]


class Notify(Frame, kw_only=True):
    """A frame with notifications from an app service (section 5)."""

    action: str
    notifications: OutgoingNotifications
