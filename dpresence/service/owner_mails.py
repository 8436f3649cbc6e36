"""Mails to the owners of applications: a webhook was turned off (docs/protocol.md, section 6, Webhooks; docs/decisions/0064-mail.md).

A mail is stored with the event, sent by the one process that has claimed it, and sent again by any other if that ends before it has stored
that the mail server took it.
"""

from __future__ import annotations

import logging

from ..backends.directory import Directory
from ..clock import Clock
from ..errors import BackendUnavailable, SlowDown
from ..limits import RateLimit
from ..mail import MailDelayed, MailRefused, MailServer
from ..model import Application
from ..model.webhooks import OffReason, Webhook

log = logging.getLogger(__name__)

Mail = tuple[str, str, str, str]
"""Recipient, subject, text and id."""

SECONDS = 5.0
"""Seconds between two looks for mails that are due."""
MAX_AGE_MS = 86_400_000
"""Milliseconds after the event at which a mail that could not be sent is discarded."""
ATTEMPTS_PER_DAY = 10
"""Attempts of one process to send mail to one owner in a day that the mail server answers: a developer could have webhooks fail all day."""
_DAY_SECONDS = 86_400
_LEASE_MS = 300_000
"""Milliseconds after which a mail is sent again whose process has ended; more than sending takes."""
_SHORTEST_WAIT_MS, _LONGEST_WAIT_MS = 60_000, 900_000
"""Milliseconds between two attempts to send a mail."""
_REASONS: dict[OffReason, str] = {
    "gone": "Your endpoint answered with status 410, which means that it is gone.",
    "failing": "Nothing could be delivered to your endpoint for five days.",
}
_TURNED_OFF = """\
Hello,

{service} has turned off the webhook of your application "{name}":

    {url}

{reason} Nothing more is sent until you turn it on again. What was missed then arrives: updates
for as long as they are stored, otherwise the present statuses of everyone.

See what was tried, and turn it on again:

    {page}

You get this mail once each time that a webhook is turned off, because you registered the application.
"""


class OwnerMails:
    """Sends the mails that are due.

    :param home: the public address of this service, with its path.
    """

    def __init__(self, directory: Directory, server: MailServer, home: str, clock: Clock) -> None:
        self._directory = directory
        self._server = server
        self._home = home
        self._mails = RateLimit("too many mails to their owner", ATTEMPTS_PER_DAY, _DAY_SECONDS, clock)
        self._clock = clock

    def run(self) -> None:
        """Send the mails that are due, until the mail server is unavailable.

        :raises BackendUnavailable: the directory is unavailable; what was claimed is due again later.
        """
        while self._server and (webhook := self._directory.claim_turned_off(MAX_AGE_MS, _LEASE_MS)):
            error = self._send(webhook)
            self._directory.record_owner_mail(webhook, self._delay_ms(webhook, error) if error else None)
            if error and not isinstance(error, MailDelayed):
                return

    def _send(self, webhook: Webhook) -> BackendUnavailable | None:
        """Send a mail; return why it has to be tried again, None if nothing is left to do."""
        application = self._directory.application(webhook.appid)
        mail = self._mail(webhook, application) if application else None
        if application and mail:
            try:
                self._send_limited(application, mail)
            except (MailRefused, SlowDown) as error:
                log.warning("the mail about the webhook of application %s was not sent: %s", webhook.appid, error)
            except BackendUnavailable as error:
                return error
        return None

    def _send_limited(self, application: Application, mail: Mail) -> None:
        """Send a mail to the owner of an application, unless too many attempts were made of late, those included that were refused.

        :raises SlowDown: there were too many.
        """
        self._mails.charge(application.owner)
        try:
            self._server.send(*mail)
        except BackendUnavailable as error:
            if not isinstance(error, MailDelayed):
                self._mails.give(application.owner)
            raise
        log.info("the owner of application %s was sent a mail that its webhook is turned off", application.id)

    def _delay_ms(self, webhook: Webhook, error: BackendUnavailable) -> int | None:
        """Return a delay as long as the mail waits already, so that attempts get rarer; None if that is too long."""
        waits_ms = self._clock.steady.now() - (webhook.off_at or 0)
        delay_ms = max(_SHORTEST_WAIT_MS, min(waits_ms, _LONGEST_WAIT_MS))
        if waits_ms + delay_ms < MAX_AGE_MS:
            return delay_ms
        log.warning("the mail about the webhook of application %s is discarded: %s", webhook.appid, error.error)
        return None

    def _mail(self, webhook: Webhook, application: Application) -> Mail | None:
        """Return the mail that a webhook is turned off; None if the owner of its application has been deleted."""
        owner = self._directory.account(application.owner)
        if owner is None or webhook.off_reason is None:
            return None
        page = f"{self._home}/myapps/{application.id}"
        values = {"service": self._home, "name": application.name, "url": webhook.url, "page": page}
        text = _TURNED_OFF.format(**values, reason=_REASONS[webhook.off_reason])
        return owner.email, f"The webhook of {application.name} is turned off", text, f"webhook.{webhook.appid}.{webhook.off_at}"
