"""An application's event stream through the public URL for ``dpresence doctor``: whether a proxy passes events on at once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from ..model import Account, Application
from ..service.api_keys import generate_key
from .context import Context
from .output import Finding

NAME = "dpresence doctor"
"""Name of the application that exists during the check; nobody grants it, so it sees nobody."""
_ANSWER_SECONDS = 10
_SPARE_SECONDS = 3
"""Seconds for which a comment of the service may be late."""
_DAY_MS = 86_400_000
_ADVICE = (
    "turn off buffering and compression of text/event-stream in each proxy in between (nginx: proxy_buffering off, and no"
    " proxy_ignore_headers X-Accel-Buffering), and raise its timeouts above {least} s (docs/operations.md, Behind a TLS proxy)"
)


def check_event_stream(context: Context, email: str) -> Iterator[Finding]:
    """Follow the feed of an application of an account until a comment of the service comes; yield what was seen.

    It takes ``presence.ping_seconds`` and a little more. The application is deleted in the end.

    :raises NotFound: there is no such account.
    """
    account, presence = context.administration.account(email), context.settings.presence
    advice = _ADVICE.format(least=presence.silence_seconds)
    with _application(context, account) as (appid, key):
        url, began = f"{context.settings.identity.home}/myapps/{appid}/feed", time.monotonic()
        silence = presence.ping_seconds + _SPARE_SECONDS
        headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
        try:
            with requests.get(url, headers=headers, stream=True, timeout=(_ANSWER_SECONDS, silence)) as answer:
                answer.raise_for_status()
                yield _followed(answer, began, silence, advice)
        except requests.RequestException as error:
            seconds = time.monotonic() - began
            yield "error", f"the feed of an application gave no event within {seconds:.0f} s ({type(error).__name__})", advice


def _followed(answer: requests.Response, began: float, silence: float, advice: str) -> Finding:
    """Return the finding about a stream whose head was received.

    :raises requests.RequestException: nothing is received for longer than the service is silent, or the proxy ends the stream.
    """
    first, text = None, b""
    for chunk in answer.iter_content(chunk_size=None):
        text += chunk
        if first is None and b"event: current" in text:
            first = time.monotonic() - began
            text = text.partition(b"event: current")[2]
        if first is not None and b"\n:" in text:
            if first > _ANSWER_SECONDS:
                return "error", f"the first events of a feed came after {first:.0f} s", advice
            return (
                "ok",
                f"the events of a feed came after {first:.1f} s, the comment of the service after {time.monotonic() - began:.1f} s",
                "",
            )
    return "error", f"the feed of an application ended after {time.monotonic() - began:.0f} s", advice


@contextmanager
def _application(context: Context, account: Account) -> Iterator[tuple[str, str]]:
    """Make an application of an account with a key, and delete it in the end."""
    now, appid = context.clock.now(), secrets.token_urlsafe(12)
    made = Application(
        appid, account.id, NAME, "doctor.invalid", "", "", now, validated_scheme="https", active=True, check_at=now + _DAY_MS
    )
    key, text = generate_key(appid, now)
    context.directory.add_application(made, limit=10_000)
    try:
        context.directory.add_key(key, now)
        yield appid, text
    finally:
        context.directory.delete_application(appid)
        context.apply()
