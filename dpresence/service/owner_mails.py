"""Mails to the owners of applications, once for each event over all processes (docs/protocol.md, section 6, Webhooks)."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass

from ..backends.directory import Directory
from ..clock import Clock
from ..errors import BackendUnavailable
from ..mail import MailRefused, MailServer
from ..model.webhooks import OffReason, Webhook

log = logging.getLogger(__name__)

SECONDS = 5.0
"""Seconds between two looks for mails that wait."""
PATIENCE_SECONDS = 86_400.0
"""Seconds after which a mail that could not be sent is discarded."""
_LONGEST_PAUSE_SECONDS = 900.0
_MAX_WAITING = 1000
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


@dataclass(frozen=True, slots=True)
class _Waiting:
    appid: str
    url: str
    reason: OffReason
    until: float


class OwnerMails:
    """Mails that wait in this process. The one that stored an event sends its mail; a mail is lost with the process.

    :param audience: the public address of this service.
    """

    def __init__(self, directory: Directory, server: MailServer, audience: str, clock: Clock) -> None:
        self._directory = directory
        self._server = server
        self._audience = audience.rstrip("/")
        self._clock = clock
        self._waiting: deque[_Waiting] = deque(maxlen=_MAX_WAITING)  # discards the oldest
        self._pause = SECONDS
        self._next_at = float("-inf")

    def webhook_turned_off(self, webhook: Webhook, reason: OffReason) -> None:
        """Have the owner told that this service has turned off a webhook, if mail can be sent. Does not block."""
        if self._server:
            self._waiting.append(_Waiting(webhook.appid, webhook.url, reason, self._clock.monotonic() + PATIENCE_SECONDS))

    def run(self) -> None:
        """Send the mails that wait; while the mail server or the directory is unavailable, later, at growing intervals."""
        now = self._clock.monotonic()
        while self._waiting and now >= self._next_at:
            each = self._waiting[0]
            try:
                self._send(each)
            except BackendUnavailable as error:
                self._next_at = now + self._pause
                self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
                if now < each.until:
                    return
                log.warning("the mail about the webhook of application %s is discarded: %s", each.appid, error.error)
            except MailRefused as error:
                log.warning("the mail about the webhook of application %s was not sent: %s", each.appid, error)
            else:
                self._pause = SECONDS
            if self._waiting and self._waiting[0] is each:  # more than the maximum may have come meanwhile
                self._waiting.popleft()

    def _send(self, each: _Waiting) -> None:
        application = self._directory.application(each.appid)
        owner = self._directory.account(application.owner) if application else None
        if application is None or owner is None:
            return
        page = f"{self._audience}/myapps/{application.id}"
        texts = {"service": self._audience, "name": application.name, "url": each.url, "reason": _REASONS[each.reason], "page": page}
        self._server.send(owner.email, f"The webhook of {application.name} is turned off", _TURNED_OFF.format(**texts))
        log.info("the owner of application %s was told that its webhook is turned off", each.appid)
