"""Web Push: requests to the push services of browsers (RFC 8030), whose addresses browsers give (docs/decisions/0037-web-push.md).

A request goes only to a service of ``push.services``, by https, and to a public address. Its duration and the number of requests to a
service at a time are limited, so that one that never answers costs the others nothing.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

from ..clock import Clock
from ..errors import WrongValue
from ..model import PushSubscription
from ..outbound import FetchFailed, Response, Target, wait_seconds
from ..public_fetcher import public_fetcher
from ..settings import LOOPBACK_HOSTS, Settings
from .encryption import check_keys, encrypt
from .vapid import VapidKeys, load_keys

log = logging.getLogger(__name__)

DEADLINE_SECONDS = 10.0
IN_FLIGHT = 20
"""Maximum number of requests to one service at a time."""
_BODY_BYTES = 65_536
_BUSY_SECONDS = 5
_LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")
_GONE, _OVERLOADED = (404, 410), (408, 425, 429)


class Sent(NamedTuple):
    """The result of a request.

    :ivar outcome: ``accepted``; ``gone``: the subscription has ended; ``refused``: another attempt would fail too; ``later``: try again;
        ``busy``: no request was made, as too many are in flight.
    :ivar wait_seconds: seconds before another attempt that the service asks for; 0 if it does not.
    """

    outcome: Literal["accepted", "gone", "refused", "later", "busy"]
    wait_seconds: float = 0


class PushServices:
    """Sends messages to browsers through their push services.

    :ivar keys: the keys of this service, None if it sends nothing.
    :raises SettingError: the file of keys, or ``outbound.ca_file``, cannot be used.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.keys: VapidKeys | None = load_keys(settings)
        self._domains = settings.push.services
        self._loopback = settings.outbound.allow_loopback
        self._in_flight: Counter[str] = Counter()
        self._clock = clock
        outbound = settings.outbound
        if self._loopback:
            outbound = replace(outbound, allow_networks=(*outbound.allow_networks, *_LOOPBACK_NETWORKS))
        self._fetcher = public_fetcher(outbound, seconds=DEADLINE_SECONDS, body_bytes=_BODY_BYTES)

    def check(self, endpoint: str, p256dh: str, auth: str, key: str) -> None:
        """Check a subscription that a browser gives.

        :raises WrongValue: it cannot be used.
        """
        self._service_of(endpoint)
        check_keys(p256dh, auth)
        if self.keys is None or not self.keys.knows(key):
            raise WrongValue("key: the `key` of GET /push")

    def send(self, subscription: PushSubscription, payload: bytes, topic: str, ttl_seconds: int, urgency: str) -> Sent:
        """Send a message; it is encrypted, and the service stores it for ``ttl_seconds`` until the browser is there.

        :param topic: a later message with the same topic replaces this one while it waits.
        :param urgency: that of RFC 8030, section 5.3.
        """
        if self.keys is None or not self.keys.knows(subscription.key):  # keys that were rotated away
            return Sent("gone")
        try:
            target, service = self._service_of(subscription.endpoint)
        except WrongValue:  # a domain that the operator has removed
            return Sent("refused")
        if self._in_flight[service] >= IN_FLIGHT:
            return Sent("busy", _BUSY_SECONDS)
        self._in_flight[service] += 1
        try:
            content = encrypt(payload, subscription.p256dh, subscription.auth)
            return self._request(target, subscription, content, {"TTL": str(ttl_seconds), "Topic": topic, "Urgency": urgency})
        finally:
            self._in_flight[service] -= 1

    def _request(self, target: Target, subscription: PushSubscription, body: bytes, more: Mapping[str, str]) -> Sent:
        assert self.keys
        origin = f"{target.scheme}://{target.authority}"
        headers = {
            "Authorization": self.keys.authorization(subscription.key, origin, self._clock.now() // 1000),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            **more,
        }
        try:
            with self._fetcher.deadline():
                response = self._fetcher.request("POST", target, headers=headers, body=body, statuses=range(200, 600))
        except FetchFailed as failed:
            log.info("a push failed: %s", _without_path(target, failed.cause))
            return Sent("later")
        return _outcome(target, response, self._clock.now() / 1000)

    def _service_of(self, endpoint: str) -> tuple[Target, str]:
        """Return the target of an endpoint, and the name of its push service.

        :raises WrongValue: it is no URL of a push service in ``push.services``.
        """
        try:
            target = Target.parse(endpoint)
        except ValueError as error:
            raise WrongValue(f"endpoint: {error}") from None
        if self._loopback and target.host in LOOPBACK_HOSTS:
            return target, target.authority
        for domain in self._domains if target.scheme == "https" and target.port == 443 else ():
            if target.host == domain or target.host.endswith(f".{domain}"):
                return target, domain
        raise WrongValue("endpoint: an https URL of a push service that this service knows")


def _outcome(target: Target, response: Response, now: float) -> Sent:
    status = response.status
    if status < 300:
        return Sent("accepted")
    if status in _GONE:
        return Sent("gone")
    log.info("a push failed: %s", _without_path(target, f"status {status}"))
    if status in _OVERLOADED or status >= 500:
        return Sent("later", wait_seconds(response.headers.get("Retry-After", ""), now))
    return Sent("refused")


def _without_path(target: Target, cause: str) -> str:
    """Return a text for the log without the path of an endpoint, which is a secret."""
    return f"{target.scheme}://{target.authority}: {cause}"
