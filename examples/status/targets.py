"""The services that show a status: Slack and Matrix, by their documented HTTP calls."""

from __future__ import annotations

import time
from typing import Any, Protocol
from urllib.parse import quote

import httpx

_SLACK_LATER = {"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
_TEXTS = {"online": ("Reachable", ":large_green_circle:"), "unavailable": ("Busy", ":no_entry:"), "offline": ("", "")}


class TryAgain(Exception):
    """The call failed for now.

    :ivar seconds: least wait before the next one.
    """

    def __init__(self, text: str, seconds: float = 0) -> None:
        super().__init__(text)
        self.seconds = seconds


class Refused(Exception):
    """The call would fail again, for example because the token is not valid any more."""


class Target(Protocol):
    """The account of a person.

    :ivar refresh_seconds: how often a status other than ``offline`` is written again. One that is not ends by itself, as after ``kill -9``.
    """

    refresh_seconds: float

    async def set(self, status: str) -> None:
        """Write a status of dpresence; raise ``TryAgain`` or ``Refused``."""


async def call(client: httpx.AsyncClient, method: str, url: str, token: str, body: Any) -> dict[str, Any]:
    """Make a call; return its answer."""
    headers = {"Authorization": f"Bearer {token}"}
    try:
        answer = await client.request(method, url, json=body, headers=headers)
        found = answer.json() if answer.content else {}
    except (httpx.TransportError, ValueError) as error:
        raise TryAgain(f"{type(error).__name__}: {error}") from None
    if answer.status_code == 429:
        seconds = answer.headers.get("Retry-After", "")
        raise TryAgain("too many calls", float(seconds) if seconds.isdigit() else found.get("retry_after_ms", 0) / 1000)
    if answer.status_code >= 500:
        raise TryAgain(f"HTTP {answer.status_code}")
    if answer.status_code >= 400:
        raise Refused(f"HTTP {answer.status_code}: {found.get('error', '')}")
    return dict(found)


class Slack:
    """The status of a Slack user: ``users.profile.set``, with a user token that has the scope ``users.profile:write``."""

    refresh_seconds = 300.0

    def __init__(self, client: httpx.AsyncClient, url: str, token: str) -> None:
        self._client, self._url, self._token = client, f"{url}/users.profile.set", token

    async def set(self, status: str) -> None:
        """Write the status; it expires after two times ``refresh_seconds``."""
        text, emoji = _TEXTS[status]
        until = int(time.time() + 2 * self.refresh_seconds) if text else 0
        profile = {"status_text": text, "status_emoji": emoji, "status_expiration": until}
        answer = await call(self._client, "POST", self._url, self._token, {"profile": profile})
        if not answer.get("ok"):
            error = str(answer.get("error"))
            raise TryAgain(error) if error in _SLACK_LATER else Refused(error)


class Matrix:
    """The presence of a Matrix user, with an access token of theirs. Synapse shows them as offline 30 s after the last call."""

    refresh_seconds = 20.0

    def __init__(self, client: httpx.AsyncClient, url: str, user: str, token: str) -> None:
        self._client, self._url, self._token = client, f"{url}/_matrix/client/v3/presence/{quote(user, safe='')}/status", token

    async def set(self, status: str) -> None:
        """Write the presence, whose values are those of dpresence."""
        await call(self._client, "PUT", self._url, self._token, {"presence": status, "status_msg": _TEXTS[status][0]})
