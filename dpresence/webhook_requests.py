"""Requests to webhooks of applications: signed after Standard Webhooks, over the checked addresses of ``outbound``."""

from __future__ import annotations

import base64
import hmac
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from time import perf_counter, time

from .model.webhooks import AttemptResult
from .networks import is_public, look_up
from .outbound import FetchFailed, Resolve, Response, Target, wait_seconds
from .public_fetcher import public_fetcher
from .settings import OutboundSettings

log = logging.getLogger(__name__)

SECONDS = 15.0
"""Maximum duration of an attempt."""
SECRET_PREFIX = "whsec_"  # noqa: S105 not a secret
_ERROR_CHARACTERS = 200
_NO_ADDRESS = "the name has no public address"
_ANY_STATUS = range(100, 600)
_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """The body of a request and its headers."""

    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The result of an attempt; see ``WebhookAttempt``.

    :param retry_after: seconds until the next attempt that the endpoint asks for; 0 without such a wish.
    """

    outcome: AttemptResult
    status: int | None
    error: str
    milliseconds: int
    retry_after: float = 0


def new_secret() -> str:
    """Return a new key in the form of Standard Webhooks."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(message_id: str, timestamp: int, body: bytes, keys: Sequence[str]) -> SignedMessage:
    """Return a message signed with each of the keys.

    :param timestamp: time of the attempt, seconds since the epoch.
    """
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    signatures = [f"v1,{base64.b64encode(hmac.digest(_key(text), signed, sha256)).decode()}" for text in keys]
    headers = {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": " ".join(signatures)}
    return SignedMessage(body, {**headers, "Content-Type": "application/json"})


def _key(text: str) -> bytes:
    return base64.b64decode(text.removeprefix(SECRET_PREFIX))


class WebhookRequests:
    """Sends messages to webhooks.

    :param resolve: function that resolves a name.
    :param is_public: function that returns whether connections to an address are allowed, besides ``outbound.allow_networks``.
    :raises SettingError: ``outbound.ca_file`` cannot be read.
    """

    def __init__(self, settings: OutboundSettings, *, resolve: Resolve = look_up, is_public: Callable[[str], bool] = is_public) -> None:
        self._loopback = settings.allow_loopback
        self._fetcher = public_fetcher(settings, seconds=SECONDS, body_bytes=0, resolve=resolve, is_public=is_public)

    def post(self, url: str, make: Callable[[], SignedMessage]) -> DeliveryResult:
        """Send a message and return the result. Redirects are not followed, and the body of the answer is not read.

        :param url: as ``domains.check_webhook_url`` accepted it.
        :param make: makes the message when the connection is there, so that it has nothing that was revoked meanwhile. Its exceptions
            are raised.
        """
        began = perf_counter()
        try:
            with self._fetcher.deadline():
                answer = self._post(Target.parse(url), make)
        except FetchFailed as failed:
            return _failure(url, failed, _milliseconds_since(began))
        taken, status = _milliseconds_since(began), answer.status
        if status in _SUCCESS:
            return DeliveryResult("delivered", status, "", taken)
        return DeliveryResult("status", status, f"status {status}", taken, wait_seconds(answer.headers.get("Retry-After", ""), time()))

    def _post(self, target: Target, make: Callable[[], SignedMessage]) -> Response:
        addresses = ["127.0.0.1"] if self._loopback and target.host in ("localhost", "127.0.0.1") else self._fetcher.addresses(target)

        def prepare() -> tuple[bytes, Mapping[str, str]]:
            message = make()
            return message.body, message.headers

        return self._fetcher.request("POST", target, addresses=addresses, prepare=prepare, statuses=_ANY_STATUS, reads=False)


def _failure(url: str, failed: FetchFailed, milliseconds: int) -> DeliveryResult:
    """Return the result of a failure. Of a look-up it has neither address nor duration: a name of the operator's network may be below
    any domain.
    """
    outcome: AttemptResult = "status" if failed.failure == "size" else failed.failure
    if outcome == "dns":
        log.info("a webhook at %s was sent nothing: %s", Target.parse(url).authority, failed.cause)
        return DeliveryResult(outcome, None, _NO_ADDRESS, 0)
    return DeliveryResult(outcome, None, failed.cause[:_ERROR_CHARACTERS], milliseconds)


def _milliseconds_since(began: float) -> int:
    return round((perf_counter() - began) * 1000)
