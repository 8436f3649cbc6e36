"""The part of the directory that stores webhooks of applications, who sends their messages, and the attempts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from ...model.webhooks import Webhook, WebhookAttempt
from .values import Requester


class WebhookStore(ABC):
    """Webhooks; a part of ``Directory``. Attempts are deleted after 7 days; of one webhook, ``MOST_ATTEMPTS`` are stored.

    A process that sends leases webhooks; ``sender`` identifies it. Leases end by the clock of the store.
    """

    @abstractmethod
    def webhook(self, appid: str) -> Webhook | None:
        """Return the webhook of an application."""

    @abstractmethod
    def put_webhook(self, webhook: Webhook, domain: str, requester: Requester | None = None) -> bool:
        """Store the webhook of an application; return False if it has one, which then only gets the URL and the events and is turned on.

        :param domain: the domain that the URL is on.
        :raises NotFound: the application does not exist.
        :raises DomainNotValidated: ``domain`` is not the validated domain of the application.
        :raises SessionEnded: see ``Directory``; also if the owner is blocked.
        """

    @abstractmethod
    def change_webhook(self, appid: str, changes: Mapping[str, object], requester: Requester | None = None) -> Webhook | None:
        """Update some fields of a webhook and return it; None without one."""

    @abstractmethod
    def delete_webhook(self, appid: str, requester: Requester | None = None) -> bool:
        """Delete a webhook and its attempts; return False without one."""

    @abstractmethod
    def lease_webhooks(self, sender: str, seconds: float, renew_seconds: float, limit: int) -> Sequence[str]:
        """Renew the leases of a process that end within ``renew_seconds``, and lease up to ``limit`` webhooks that nobody has leased.

        Only webhooks that may be sent are leased: they are on, and their application is active and has a validated domain.

        :param seconds: length of a lease.
        :returns: the applications whose webhooks this process may send for ``renew_seconds`` at least.
        """

    @abstractmethod
    def release_webhooks(self, sender: str | None) -> None:
        """End all leases of a process; None for those of all processes, of which the caller is the only one."""

    @abstractmethod
    def leased_webhook(self, appid: str, sender: str) -> Webhook | None:
        """Return a webhook that may be sent and that this process has leased, otherwise None."""

    @abstractmethod
    def record_attempt(
        self, attempt: WebhookAttempt, before: Webhook | None = None, after: Webhook | None = None, sender: str = ""
    ) -> bool:
        """Store an attempt, and the state of the webhook after it unless the webhook was changed since or has another sender.

        If that state is off, ``claim_turned_off`` returns the webhook. All of it survives the end of the process, not a loss of power.
        A successful attempt is added to the newest one if that is of the same minute and kind.

        :param before: the webhook as it was read for the attempt; None for a test, which does not change it.
        :returns: whether the state was stored.
        """

    @abstractmethod
    def claim_turned_off(self, patience_ms: int, lease_ms: int) -> Webhook | None:
        """Return a webhook whose owner is to be told that it was turned off, less than ``patience_ms`` ago, and that is off still.

        No other call returns it for ``lease_ms``, or until ``record_owner_mail``.
        """

    @abstractmethod
    def record_owner_mail(self, webhook: Webhook, delay_ms: int | None) -> None:
        """Store what became of telling the owner, unless the webhook was turned off again since.

        :param delay_ms: after which to try again; None if nothing is left to do.
        """

    @abstractmethod
    def webhook_attempts(self, appid: str, limit: int) -> Sequence[WebhookAttempt]:
        """Return the newest attempts, newest first."""
