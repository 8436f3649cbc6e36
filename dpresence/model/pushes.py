"""Subscriptions to Web Push, and the pushes that are to be sent (docs/decisions/0037-web-push.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class PushSubscription:
    """A browser's subscription to a push service, by which its user is reached while no page is open.

    :param id: digest of the endpoint.
    :param endpoint: URL of the push service, which is a secret.
    :param p256dh: public key of the browser, base64url, as for ``auth``, its secret of 16 bytes (RFC 8291).
    :param key: the public key of this service that the browser expects (RFC 8292), base64url.
    :param label: what the user sees of it; empty if it has none.
    :param session: hash of the browser session that made it, with whose sign-out it ends; None for a program.
    """

    id: str
    user: str
    endpoint: str
    p256dh: str
    auth: str
    key: str
    label: str
    session: bytes | None
    created_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class PendingPush:
    """A notification that is to be pushed, or was pushed within the last hour.

    :param id: that of the notification.
    :param position: that of the notification in the mailbox of its user.
    :param expires_at: when the notification expires; an hour after the push once nothing is left to do.
    :param due_at: when it is looked at next; None while its grant is paused, and when nothing is left to do.
    :param attempts: number of attempts to push it.
    :param done: ids of the subscriptions that need no further attempt, each with a space after it.
    :param pushed_at: when the first push service accepted it, None if none has.
    :param urgency: ``Urgency`` of RFC 8030.
    :param topic: ``Topic`` of RFC 8030; "" for the id.
    """

    id: str
    puid: str
    position: int
    expires_at: int
    due_at: int | None = None
    attempts: int = 0
    done: str = ""
    pushed_at: int | None = None
    urgency: str = "normal"
    topic: str = ""


class DuePush(NamedTuple):
    """A push to attempt now, and its grant's user and application."""

    push: PendingPush
    user: str
    appid: str
