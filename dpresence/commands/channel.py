"""A device's channel through the public URL for ``dpresence doctor``: whether it stays open while nobody sends anything."""

from __future__ import annotations

import json
import os
import secrets
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from ..model import Account, Ticket, digest_of
from ..service.accounts import TICKET_PREFIX
from .context import Context
from .output import Finding

DEVICE = "dpresence-doctor"
"""Name of the device; it is offline, so no application sees it."""
_ANSWER_SECONDS = 10
_SPARE_SECONDS = 3
"""Seconds for which the channel is held beyond a ping and its answer."""


class _Listening(ClientConnection):
    """A connection that records when the first ping came."""

    pinged_at: float | None = None

    def process_event(self, event: Any) -> None:
        if isinstance(event, Frame) and event.opcode is Opcode.PING and self.pinged_at is None:
            self.pinged_at = time.monotonic()
        super().process_event(event)


def check_channel(context: Context, email: str) -> Iterator[Finding]:
    """Hold a channel of an account until the service has pinged it and waited for the answer; yield what was seen.

    It takes ``presence.ping_seconds`` + ``presence.pong_seconds`` and a little more. The device is signed out in the end.

    :raises NotFound: there is no such account.
    """
    account, presence = context.administration.account(email), context.settings.presence
    least, url = presence.silence_seconds, context.settings.identity.home.replace("http", "ws", 1) + "/presence"
    with _ticket(context, account) as ticket:
        try:
            with connect(url, ssl=_trust(url), open_timeout=_ANSWER_SECONDS, ping_interval=None, create_connection=_Listening) as channel:
                frame = {"email": account.email, "assertion": ticket, "status": "offline", "device": DEVICE}
                began = time.monotonic()
                channel.send(json.dumps(frame))
                answer = json.loads(channel.recv(_ANSWER_SECONDS))
                if answer.get("result") != "OK":
                    yield "error", f"the channel does not sign in: {answer.get('error')}", "see the log of the service"
                    return
                yield "ok", f"a device signs in within {time.monotonic() - began:.1f} s", ""
                yield from _held(channel, began, least)
        except (OSError, WebSocketException) as error:
            yield "error", f"{url}: {type(error).__name__}: {error}", "see the checks of the public URL above"


def _held(channel: ClientConnection, began: float, least: int) -> Iterator[Finding]:
    """Wait without sending anything but answers to pings."""
    assert isinstance(channel, _Listening)
    until = began + least + _SPARE_SECONDS
    try:
        while (left := until - time.monotonic()) > 0:
            channel.recv(left)
    except TimeoutError:
        pass
    except ConnectionClosed as closed:
        code = closed.rcvd.code if closed.rcvd else 1006
        seen = (
            "no ping had come"
            if channel.pinged_at is None
            else f"the last ping was answered {time.monotonic() - channel.pinged_at:.0f} s before"
        )
        advice = f"raise the timeouts of each proxy in between, for reading and sending, above {least} s"
        yield "error", f"the channel was closed with {code} after {time.monotonic() - began:.0f} s of silence; {seen}", advice
        return
    if channel.pinged_at is None:
        yield "error", f"no ping of the service came within {least + _SPARE_SECONDS} s", "have the proxy pass frames on without buffering"
    else:
        held, pinged = time.monotonic() - began, channel.pinged_at - began
        yield "ok", f"a channel stayed open for {held:.0f} s; the ping of the service came after {pinged:.1f} s of silence", ""


@contextmanager
def _ticket(context: Context, account: Account) -> Iterator[str]:
    """Make a ticket for a device of an account, and sign that device out in the end."""
    value, now = TICKET_PREFIX + secrets.token_urlsafe(32), context.clock.now()
    ends_at = now + 600_000
    context.directory.add_ticket(Ticket(digest_of(value), secrets.token_urlsafe(12), account.id, ends_at, ends_at))
    try:
        yield value
    finally:
        context.directory.sign_out_device(account.id, DEVICE)
        context.apply()


def _trust(url: str) -> ssl.SSLContext | None:
    """Return what vouches for the certificate: as ``requests`` does, the file of ``REQUESTS_CA_BUNDLE`` if it is set."""
    if urlsplit(url).scheme != "wss":
        return None
    return ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE") or None)
