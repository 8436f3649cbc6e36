"""Bodies of Web Push: subscriptions of browsers, and the content of a push (docs/protocol.md, section 6)."""

from __future__ import annotations

from typing import Annotated, Self

from msgspec import UNSET, Meta, Struct, UnsetType

from ..model import Notification, PushSubscription
from ..suffixes import site
from .known_devices import Label

_Key = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,200}={0,2}\Z", description="text in base64url")]
_Endpoint = Annotated[str, Meta(max_length=2048, description="the URL of a push service, of up to 2048 characters")]


class PushKeys(Struct, forbid_unknown_fields=True):
    """The keys of a browser's subscription, as its ``toJSON`` returns them."""

    p256dh: _Key
    auth: _Key


class NewPushSubscription(Struct, forbid_unknown_fields=True):
    """``PUT /push``.

    :param endpoint: URL of the browser's push service.
    :param key: the ``key`` of ``GET /push`` with which the browser has subscribed.
    :param label: what the user sees of the browser: a name as that of a device, or null.
    """

    endpoint: _Endpoint
    keys: PushKeys
    key: _Key
    label: Label = None


class PushSubscriptionBody(Struct):
    """A subscription (section 6).

    :param created_at: milliseconds since the epoch, as for ``expires_at``, at which it ends unless the browser stores it again.
    """

    id: str
    endpoint: str
    label: str | None
    created_at: int
    expires_at: int

    @classmethod
    def of(cls, item: PushSubscription) -> Self:
        """Return a subscription."""
        return cls(item.id, item.endpoint, item.label or None, item.created_at, item.expires_at)


class PushState(Struct):
    """The answer to ``GET /push`` (section 6).

    :param key: the key with which browsers subscribe (``applicationServerKey``), or null: nothing is pushed.
    """

    key: str | None
    subscriptions: list[PushSubscriptionBody]


class PushMessage(Struct):
    """The content of a push, which only the browser can read (section 6). One that would be too large has only the ``id``."""

    id: str
    appid: str | UnsetType = UNSET
    domain: str | UnsetType = UNSET
    site: str | UnsetType = UNSET
    source: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    action: str | UnsetType = UNSET
    sent: int | UnsetType = UNSET

    @classmethod
    def of(cls, item: Notification, domain: str) -> Self:
        """Return the whole content."""
        return cls(item.id, item.appid, domain, site(domain), item.source, item.message, item.action, item.sent_at)
