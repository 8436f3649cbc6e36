"""Errors of the client (docs/protocol.md, section 7). No text of an error contains a key, an assertion or a ticket."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Mapping

_FIELD = re.compile(r"([a-z_]+(?:\[\d+\]|\.[a-z_]+)*): ")


class PresenceError(Exception):
    """Base of all errors of this package."""


class Refused(PresenceError):
    """The service answered KO, or refused the handshake.

    :ivar errno: number in the table of section 7; 0 if the answer had none, for example that of a proxy.
    :ivar error: one sentence of the service; its wording may change.
    :ivar field: name of the wrong field, such as ``notifications[0].ttl``; "" if the sentence names none.
    :ivar details: details for programs, where the protocol names them; otherwise None.
    :ivar retry_after: whole seconds to wait before a retry; None if the service gave none.
    :ivar status: status of the HTTP answer that refused the handshake; None for a refused frame.
    """

    errnos: ClassVar[tuple[int, ...]] = ()

    def __init__(self, errno: int, error: str, details: Any = None, retry_after: int | None = None, status: int | None = None) -> None:
        super().__init__(f"errno {errno}: {error}" if errno else error)
        self.errno = errno
        self.error = error
        self.details = details
        self.retry_after = retry_after
        self.status = status
        named = _FIELD.match(error)
        self.field = named[1] if named else ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the arguments, for ``pickle`` and ``copy``."""
        return type(self), (self.errno, self.error, self.details, self.retry_after, self.status)


class InvalidCredentials(Refused):
    """The assertion or ticket is not valid, has ended, or proves another e-mail address."""

    errnos = (34, 130, 133)


class InvalidKey(Refused):
    """The API key is missing or not valid."""

    errnos = (104, 105)


class InvalidField(Refused):
    """A field of the frame is wrong, missing or too long; ``field`` names it."""

    errnos = (106, 107, 108, 113, 151, 153, 156)


class NotFound(Refused):
    """No such application or PUID, also after the grant was revoked."""

    errnos = (110, 111)


class TooMany(Refused):
    """The user has too many connected devices."""

    errnos = (114,)


class SlowDown(Refused):
    """Too many or too quickly; ``retry_after`` is set."""

    errnos = (117,)


class Forbidden(Refused):
    """The origin of the handshake is not allowed."""

    errnos = (121,)


class Conflict(Refused):
    """In conflict with the present state of the service."""

    errnos = (122,)


class NotActive(Refused):
    """The application is not active, or its domain is not validated."""

    errnos = (140, 142)


class Unavailable(Refused):
    """The service is unavailable at the moment, or has an internal error."""

    errnos = (201, 999)


class Closed(PresenceError):
    """The service closed the channel for good: the client does not reconnect.

    :ivar code: close code of section 7.
    :ivar reason: short text of the service.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the service closed the channel ({code}): {reason or 'no reason was given'}")
        self.code = code
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the arguments, for ``pickle`` and ``copy``."""
        return type(self), (self.code, self.reason)


class SignedOut(Closed):
    """The device was signed out, the key has expired, or the credentials ended (4009): new credentials are needed."""


class Replaced(Closed):
    """A newer connection has this device name (4010). Two programs need two names."""


class Deactivated(Closed):
    """The application was deleted (4001) or deactivated (4003)."""


class NotConnected(PresenceError):
    """``notify`` had no connection in time: then nothing was sent. Or the service did not answer a call, which it may have carried out."""


class OutcomeUnknown(PresenceError):
    """The connection ended, or the time was over, before the answer: the service may have accepted the notification or not."""


class ClientClosed(PresenceError):
    """The client was closed by its own program."""

    def __init__(self, text: str = "this client is closed") -> None:
        super().__init__(text)


class CredentialsError(PresenceError):
    """Credentials could not be obtained now; the client tries again. Raise it in your own credentials.

    :ivar retry_after: least number of seconds until the next attempt.
    """

    def __init__(self, text: str, retry_after: float = 0) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class PairingFailed(PresenceError):
    """The user has refused to connect this device, or the codes have expired."""


class StoreError(PresenceError):
    """A stored table or ticket cannot be used; the text names the file and what to do."""


class ProtocolError(PresenceError):
    """The answer to a call is not that of the service; or a frame cannot be read: then the client closes the connection and tries again."""


_BY_ERRNO: Mapping[int, type[Refused]] = {errno: kind for kind in Refused.__subclasses__() for errno in kind.errnos}
_BY_CODE: Mapping[int, type[Closed]] = {4001: Deactivated, 4003: Deactivated, 4009: SignedOut, 4010: Replaced}


def refusal(answer: Mapping[str, Any], status: int | None = None) -> Refused:
    """Return the error for a KO frame or the body of an HTTP error.

    :param answer: the error object of section 7.
    :param status: HTTP status, for the answer to a handshake.
    """
    errno = answer.get("errno")
    number = errno if isinstance(errno, int) else 0
    retry_after = answer.get("retry_after")
    least = max(0, retry_after) if isinstance(retry_after, int) else None
    return _BY_ERRNO.get(number, Refused)(number, str(answer.get("error", "")), answer.get("details"), least, status)


def closing(code: int, reason: str) -> Closed:
    """Return the error for a close code that is permanent."""
    return _BY_CODE.get(code, Closed)(code, reason)
