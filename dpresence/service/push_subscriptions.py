"""Subscriptions of browsers to Web Push, which their users make, see and end (docs/protocol.md, section 6)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence

from ..backends.directory import Directory, Requester, SignedIn
from ..clock import Clock
from ..errors import Conflict, NotFound
from ..messages import NewPushSubscription, checked_label
from ..model import PushSubscription, digest_of
from ..push import PushServices
from ..settings import Settings

_DAY_MS = 86_400_000
_ID_BYTES = 16


class PushSubscriptions:
    """Stores subscriptions. One expires when it was not stored again for as long as a device credential lasts without use."""

    def __init__(self, directory: Directory, services: PushServices, settings: Settings, clock: Clock) -> None:
        self._directory = directory
        self._services = services
        self._most = settings.push.subscriptions_per_user
        self._lifetime_ms = settings.identity.credential_seconds * 1000
        self._clock = clock

    @property
    def key(self) -> str | None:
        """The public key with which browsers subscribe; None if nothing is pushed."""
        return self._services.keys.public if self._services.keys else None

    def list(self, user: str) -> Sequence[PushSubscription]:
        """Return the subscriptions of a user."""
        return self._directory.push_subscriptions(user)

    def put(self, user: str, given: NewPushSubscription, requester: Requester) -> PushSubscription:
        """Store a subscription; one that is stored in the same form is written once a day.

        :raises Conflict: nothing is pushed.
        :raises WrongValue: the browser's push service is not allowed, or a key is wrong.
        """
        if self._services.keys is None:
            raise Conflict("this service pushes nothing: it has no keys for that")
        self._services.check(given.endpoint, given.keys.p256dh, given.keys.auth, given.key)
        now = self._clock.steady.now()
        new = PushSubscription(
            id=urlsafe_b64encode(digest_of(given.endpoint)[:_ID_BYTES]).rstrip(b"=").decode(),
            user=user,
            endpoint=given.endpoint,
            p256dh=given.keys.p256dh,
            auth=given.keys.auth,
            key=given.key,
            label=checked_label(given.label),
            session=requester.session.id_hash if isinstance(requester, SignedIn) else None,
            created_at=now,
            expires_at=now + self._lifetime_ms,
        )
        stored = next((one for one in self._directory.push_subscriptions(user) if one.id == new.id), None)
        if stored and _content(stored) == _content(new) and new.expires_at - stored.expires_at < _DAY_MS:
            return stored
        return self._directory.put_push_subscription(new, self._most, requester)

    def remove(self, user: str, id_: str, requester: Requester) -> None:
        """End a subscription.

        :raises NotFound: the user has no such subscription.
        """
        if not self._directory.remove_push_subscription(user, id_, requester):
            raise NotFound()


def _content(item: PushSubscription) -> tuple[str | bytes | None, ...]:
    return item.p256dh, item.auth, item.key, item.label, item.session
