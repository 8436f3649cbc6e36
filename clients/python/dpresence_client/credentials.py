"""Credentials of a device: a callable that returns an assertion or a ticket (docs/protocol.md, section 2)."""

from __future__ import annotations

import inspect
from typing import Any, Awaitable, Callable, Union

from .errors import CredentialsError, InvalidCredentials, NotConnected, ProtocolError, Refused
from .rest import Rest

_MISSING = 104
Credentials = Callable[[], Union[str, Awaitable[Union[str, None]], None]]
"""Returns an assertion, or a ticket, each time one is needed; None if the user is signed out, which stops the client.

It may block, as it runs in a thread of its own, or be a coroutine function, which runs in the client's event loop. It raises
``CredentialsError`` if it could not find out now; the client then tries again. An object with ``__call__`` may keep what it needs.
"""


class DevelopmentIssuer:
    """Credentials of the development issuer of a service on this machine (section 8).

    :param url: origin of the service, such as ``http://127.0.0.1:8282``.
    :param email: any e-mail address.
    :param token: content of the development token file.
    """

    def __init__(self, url: str, email: str, token: str) -> None:
        self._rest = Rest(url, {"X-Development-Token": token.strip()})
        self._email = email

    def __repr__(self) -> str:
        return f"DevelopmentIssuer({self._rest.url!r}, {self._email!r})"

    def __call__(self) -> str:
        """Return a new assertion.

        :raises CredentialsError: the service does not answer, or refuses.
        """
        try:
            return str(self._rest.call("POST", "/__dev__/assertion", {"email": self._email})["assertion"])
        except Refused as refused:
            raise CredentialsError(f"the development issuer refused: {refused.error}") from None
        except (NotConnected, ProtocolError, KeyError, TypeError) as error:
            raise CredentialsError(f"the development issuer does not answer: {error}") from None


async def obtain(credentials: Credentials, in_thread: Callable[[Callable[[], Any]], Awaitable[Any]]) -> str | None:
    """Call credentials, and return what they return.

    :param in_thread: runs a function that may block in a thread.
    :raises TypeError: they return something else than text or None.
    """
    if inspect.iscoroutinefunction(credentials) or inspect.iscoroutinefunction(type(credentials).__call__):
        found: Any = credentials()
    else:
        found = await in_thread(credentials)
    result = await found if inspect.isawaitable(found) else found
    if result is not None and not isinstance(result, str):
        raise TypeError("credentials return text or None")
    return result


def proof(assertion: str | None) -> str:
    """Return an assertion for a REST call.

    :raises InvalidCredentials: the user is signed out.
    """
    if assertion is None:
        raise InvalidCredentials(_MISSING, "the credentials say that nobody is signed in")
    return assertion
