"""Credentials of a device: a callable that returns an assertion or a ticket (docs/protocol.md, section 2)."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any, Awaitable, Callable, Union

from .errors import CredentialsError

Credentials = Callable[[], Union[str, Awaitable[Union[str, None]], None]]
"""Returns an assertion, or a ticket, each time one is needed; None if the user is signed out, which stops the client.

It may block, as it runs in a thread of its own, or be a coroutine function, which runs in the client's event loop. It raises
``CredentialsError`` if it could not find out now; the client then tries again. An object with ``__call__`` may keep what it needs.
"""

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the development issuer is on this machine
_ANSWER_SECONDS = 10
_MAX_BYTES = 65536


class DevelopmentIssuer:
    """Credentials of the development issuer of a service on this machine (section 8).

    :param url: origin of the service, such as ``http://127.0.0.1:8282``.
    :param email: any e-mail address.
    :param token: content of the development token file.
    """

    def __init__(self, url: str, email: str, token: str) -> None:
        self._url = f"{url.rstrip('/')}/__dev__/assertion"
        self._email = email
        self._token = token.strip()

    def __repr__(self) -> str:
        return f"DevelopmentIssuer({self._url!r}, {self._email!r})"

    def __call__(self) -> str:
        """Return a new assertion.

        :raises CredentialsError: the service does not answer, or refuses.
        """
        headers = {"Content-Type": "application/json", "X-Development-Token": self._token}
        request = urllib.request.Request(self._url, json.dumps({"email": self._email}).encode(), headers)  # noqa: S310
        try:
            with _DIRECT.open(request, timeout=_ANSWER_SECONDS) as answer:
                return str(json.loads(answer.read(_MAX_BYTES))["assertion"])
        except urllib.error.HTTPError as error:
            with error:
                raise CredentialsError(f"the development issuer refused: {_reason(error)}") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CredentialsError(f"the development issuer does not answer: {error}") from None


def _reason(error: Any) -> str:
    try:
        return str(json.loads(error.read(_MAX_BYTES))["error"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"HTTP {error.code}"
