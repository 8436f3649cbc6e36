"""The errno table and the close codes (docs/protocol.md, section 7).

A refusal is an exception with an errno. ``views.errors`` turns it into an HTTP response and the channels into a KO frame; both
contain the same object (``messages.Refusal``). This module does not depend on the web modules.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import ClassVar

Details = str | Mapping[str, list[str]]
"""Details of a refusal for programs: a word, a request id, or the PUIDs that do not exist."""


class Refused(Exception):
    """A request or frame that is answered with KO; it changed nothing.

    :param error: one sentence that names the field and what is allowed; never contains a key, an assertion or a traceback.
    :param details: see ``Details``; None where the protocol defines none.
    :param retry_after: whole seconds to wait before a retry.
    """

    errno: ClassVar[int]
    status: ClassVar[int]
    text: ClassVar[str]

    def __init__(self, error: str = "", *, details: Details | None = None, retry_after: int | None = None) -> None:
        super().__init__(error or self.text)
        self.error = error or self.text
        self.details = details
        self.retry_after = retry_after


class InvalidAssertion(Refused):
    """The assertion is invalid; only the log contains the reason.

    :param reason: the reason in one word.
    :param error: another text for the client, for facts that the sender knows anyway, such as that it is an API key.
    :param about: for the log: a masked e-mail address and a provider.
    """

    errno, status, text = 34, 401, "Invalid assertion"

    def __init__(self, reason: str = "", error: str = "", *, about: str = "", details: str | None = None) -> None:
        super().__init__(error, details=details)
        self.reason = reason
        self.about = about


class NotAdmitted(InvalidAssertion):
    """The assertion is valid, but its user may not sign in with it; the text contains the reason, which is also in ``details``."""

    REASONS: ClassVar[dict[str, str]] = {
        "blocked": "the operator of this service has blocked this account",
        "unverified": "the identity provider has not verified the e-mail address",
        "email": "the identity provider sent no e-mail address in ASCII",
        "domain": "this identity provider may not assert e-mail addresses of that domain",
        "direct": "tokens of this identity provider are accepted only from a sign-in with the browser",
    }

    def __init__(self, reason: str, about: str = "") -> None:
        super().__init__(reason, f"{self.text}: {self.REASONS[reason]}", about=about, details=reason)


class SignInEnded(InvalidAssertion):
    """The identity provider ended a sign-in, for example because the person declined.

    :param code: the provider's error code, for the log.
    """

    def __init__(self, code: str, about: str = "") -> None:
        reason = f"the identity provider answered {code}"
        super().__init__(reason, f"{self.text}: the identity provider ended the sign-in", about=about, details="ended")


class NoCredentials(Refused):
    errno, status, text = 104, 401, "credentials are missing"


class InvalidKey(Refused):
    errno, status, text = 105, 401, "the API key is not valid"


class NotAnObject(Refused):
    errno, status, text = 106, 400, "expected one JSON object"


class WrongValue(Refused):
    errno, status, text = 107, 400, "a field has a wrong value"


class WrongField(Refused):
    errno, status, text = 108, 400, "a field is missing or unknown"


class NotFound(Refused):
    """Unknown, owned by another user, revoked or never granted: the response is the same in all cases."""

    errno, status, text = 110, 404, "not found"


class UnknownPath(Refused):
    errno, status, text = 111, 404, "there is no such path"


class TooLarge(Refused):
    errno, status, text = 113, 413, "the body is too large"


class TooMany(Refused):
    errno, status, text = 114, 409, "there are too many of these already"


class MethodNotAllowed(Refused):
    """A wrong method.

    :ivar allowed: the methods that are allowed, for the header ``Allow`` (RFC 9110, 15.5.6).
    """

    errno, status, text = 115, 405, "the method is not allowed here"

    def __init__(self, error: str = "", *, allowed: str) -> None:
        super().__init__(error)
        self.allowed = allowed


class SlowDown(Refused):
    """A rate limit; ``retry_after`` is always set."""

    errno, status, text = 117, 429, "slow down"


class Forbidden(Refused):
    errno, status, text = 121, 403, "the request does not come from a page of this service"


class Conflict(Refused):
    errno, status, text = 122, 409, "the request conflicts with the present state"


class SessionEnded(Refused):
    errno, status, text = 130, 401, "the session has ended; send a new assertion"


class OtherEmail(Refused):
    errno, status, text = 133, 403, "email: differs from the address that the assertion proves"


class DomainNotValidated(Refused):
    errno, status, text = 140, 403, "the application's domain is not validated"


class ProofFailed(Refused):
    """The domain proof failed; ``details`` is the class of the failure."""

    errno, status, text = 141, 400, "the domain could not be validated"


class NotActive(Refused):
    errno, status, text = 142, 403, "the application is not active"


class PairingIncomplete(Refused):
    """A pairing has no credential yet, or will not have one; ``details`` is an error code of RFC 8628, section 3.5."""

    errno, status, text = 143, 400, "the pairing is not complete"

    REASONS: ClassVar[dict[str, str]] = {
        "authorization_pending": "the user has not answered yet",
        "slow_down": "the device polls too often",
        "access_denied": "the user has refused it",
        "expired_token": "device_code: is unknown, has expired, or its credential is in use",
    }

    def __init__(self, reason: str, retry_after: int | None = None) -> None:
        super().__init__(f"{self.text}: {self.REASONS[reason]}", details=reason, retry_after=retry_after)


class InvalidLogout(Refused):
    """A logout token of an identity provider is not valid; ``details`` is the reason in one word."""

    errno, status, text = 144, 400, "the logout token is not valid"

    REASONS: ClassVar[dict[str, str]] = {
        "malformed": "it is not a signed JWT with the claims of a logout token",
        "too_long": "it has more than 8192 characters",
        "type": "it is of another type",
        "algorithm": "its algorithm is not permitted",
        "issuer": "iss: is not that of this provider",
        "key": "the provider publishes no key with its kid",
        "signature": "its signature is wrong",
        "audience": "aud: does not contain the client id of this service",
        "time": "iat or nbf: is in the future",
        "expired": "exp: is over",
        "old": "iat: is more than ten minutes ago",
        "events": "events: does not name a back-channel logout",
        "nonce": "nonce: must not be there",
        "session": "sid: is missing",
        "subject": "sub: is missing, and so is sid",
        "replayed": "jti: was used before",
    }

    def __init__(self, reason: str) -> None:
        super().__init__(f"{self.text}: {self.REASONS[reason]}", details=reason)


class FieldTooLong(Refused):
    errno, status, text = 151, 400, "a field is too long"


class BadTtl(Refused):
    errno, status, text = 153, 400, "ttl: whole seconds from 0 to 2592000"


class BadAction(Refused):
    errno, status, text = 156, 400, "action: a word, or an http(s) URL on the application's validated domain"


class BackendUnavailable(Refused):
    """A backend is unavailable. Backends translate all errors of their drivers into this exception.

    :ivar reason: for the operator: what the backend does, and what to do about it; "" if it does not answer. Clients never receive it.
    :ivar backend: for the operator: the setting and the backend, "" if they are not known.
    """

    errno, status, text = 201, 503, "the service is unavailable for a moment"
    reason = backend = ""

    def __init__(self, error: str = "", *, details: Details | None = None, retry_after: int = 5) -> None:
        super().__init__(error, details=details, retry_after=retry_after)

    def for_operator(self, backend: str = "") -> str:
        """Return the setting, the backend and its state.

        :param backend: the setting and the backend, if the exception does not name them.
        """
        named = self.backend or backend
        return f"{named} {self.reason or 'does not answer'}" if named else self.error


class InternalError(Refused):
    """An unexpected exception; ``details`` is the request id in the log."""

    errno, status, text = 999, 500, "internal error"


class SettingError(ValueError):
    """An invalid setting that prevents the start; names the key, its value and what is allowed."""


class NoDatabaseYet(SettingError):
    """There is no database, or it has no tables, because the service has not been started yet."""


class CloseCode(enum.IntEnum):
    """Websocket close codes; the range determines what the client does next (docs/protocol.md, section 7)."""

    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_TEXT = 1007
    TOO_MANY_FRAMES = 1008
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    TRY_AGAIN_LATER = 1013
    UNKNOWN_APPLICATION = 4001
    DEACTIVATED = 4003
    NOT_SIGNED_IN = 4009
    REPLACED = 4010
    BAD_FRAMES = 4013
    SLOW_DOWN_IGNORED = 4101
    SLOW_READER = 4102
    STOPPING = 4200
    NO_PONG = 4201
    SESSION_ENDED = 4202


def errno_table() -> dict[int, type[Refused]]:
    """Return every errno of the protocol with its exception class."""
    return {cls.errno: cls for cls in Refused.__subclasses__()}
