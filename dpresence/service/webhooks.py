"""Webhooks as the owners of applications see and change them (docs/protocol.md, section 6)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from ..backends.directory import Directory, Requester
from ..backends.tracker import Tracker
from ..clock import Clock
from ..domains import check_webhook_url
from ..errors import DomainNotValidated, NotFound
from ..limits import RateLimit
from ..messages import WebhookChange, WebhookReplay, position_of
from ..model import Application
from ..model.webhooks import EVENTS, MOST_ATTEMPTS, Webhook, WebhookAttempt
from ..webhook_requests import new_secret

_OVERLAP_MS = 86_400_000
"""Milliseconds for which a replaced secret signs as well."""
_NEW_SECRETS_PER_HOUR = 10


class Webhooks:
    """Service methods for webhooks. A change takes effect by the signal ``application``."""

    def __init__(self, directory: Directory, tracker: Tracker, clock: Clock) -> None:
        self._directory = directory
        self._tracker = tracker
        self._secrets = RateLimit("too many new secrets of this webhook", _NEW_SECRETS_PER_HOUR, 3600, clock)
        self._clock = clock

    def find(self, application: Application) -> Webhook:
        """Return the webhook of an application.

        :raises NotFound: it has none.
        """
        found = self.find_or_none(application)
        if found is None:
            raise NotFound()
        return found

    def find_or_none(self, application: Application) -> Webhook | None:
        """Return the webhook of an application, None without one."""
        return self._directory.webhook(application.id)

    def log(self, application: Application) -> Sequence[WebhookAttempt]:
        """Return the newest attempts, newest first."""
        return self._directory.webhook_attempts(application.id, MOST_ATTEMPTS)

    def put(self, application: Application, wanted: WebhookChange, requester: Requester) -> tuple[Webhook, bool]:
        """Make the webhook of an application, or change its URL and turn it on; return it, and whether it is new.

        :raises DomainNotValidated: the domain of the application is not validated.
        :raises WrongValue: the URL is not on the domain.
        :raises SessionEnded: see ``Applications.register``, as for the other changes.
        """
        if not application.valid_domain:
            raise DomainNotValidated
        check_webhook_url(wanted.url, application.domain)
        events = " ".join(event for event in EVENTS if event in wanted.events)
        made = Webhook(application.id, wanted.url, events, new_secret(), self._clock.now())
        new = self._directory.put_webhook(made, application.domain, requester)
        self._tracker.signal("application", application.id)
        return self.find(application), new

    def rotate(self, application: Application, requester: Requester) -> Webhook:
        """Replace the secret of a webhook, and return the webhook. The previous secret signs as well for a day.

        :raises NotFound: the application has no webhook.
        :raises SlowDown: too many secrets were made.
        """
        present = self.find(application)
        self._secrets.charge(application.id)
        until = self._clock.steady.now() + _OVERLAP_MS
        return self._change(application, requester, secret=new_secret(), previous_secret=present.secret, previous_until=until)

    def replay(self, application: Application, wanted: WebhookReplay, requester: Requester) -> Webhook:
        """Send updates after a cursor again, or a snapshot, and outcomes after another cursor; turn the webhook on.

        :raises NotFound: the application has no webhook.
        """
        present = self.find(application)
        changes: dict[str, object] = {"off_at": None, "off_reason": None, "failures": 0, "failing_since": None, "next_at": None}
        if wanted.since is not UNSET:
            changes["cursor"] = wanted.since or ""
        if wanted.outcomes is not UNSET:
            changes["outcome_position"] = min(position_of(wanted.outcomes) or 0, present.outcome_position)
        return self._change(application, requester, series=present.series + 1, **changes)

    def delete(self, application: Application, requester: Requester) -> None:
        """Delete a webhook and its log.

        :raises NotFound: the application has no webhook.
        """
        if not self._directory.delete_webhook(application.id, requester):
            raise NotFound()
        self._tracker.signal("application", application.id)

    def _change(self, application: Application, requester: Requester, **changes: object) -> Webhook:
        changed = self._directory.change_webhook(application.id, changes, requester)
        if changed is None:
            raise NotFound()
        self._tracker.signal("application", application.id)
        return changed
