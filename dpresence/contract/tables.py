"""The meaning of each errno and close code: the tables of docs/protocol.md, section 7, word by word.

``errors`` has the numbers and their exceptions; tests compare the three.
"""

from __future__ import annotations

from ..errors import CloseCode

ERRNOS: dict[int, str] = {
    34: "The assertion, ticket or device credential is not valid, for any reason",
    104: "Credentials are missing",
    105: "The API key is not valid",
    106: "Not one JSON object (or list, where one is asked for)",
    107: "A field has a wrong value; `error` names it",
    108: "A field or action is missing or unknown",
    110: "No such application, PUID, grant or device. "
    "The answer has the same bytes when it is another's, was revoked, or was never granted",
    111: "No such path",
    113: "The body is too large",
    114: "Too many devices of this e-mail (20; those in grace do not count), or applications of this developer (100)",
    115: "The method is not allowed here; `Allow` lists those that are",
    117: "Too many, or too quickly; `retry_after` says how long to wait",
    121: "The request does not come from a page of this service (the CSRF token or the origin is wrong), or the page is not for you",
    122: "In conflict with the present state",
    130: "The session has ended; send a new assertion, or log in again",
    133: "`email` differs from the address that the assertion proves",
    140: "The application's domain is not validated",
    141: "The domain proof failed; `details` says how (section 6)",
    142: "The application is not active",
    143: "The pairing is not complete; `details` says why (section 6)",
    144: "The logout token is not valid; `details` says why (section 6)",
    151: "`message`, `action` or `source` is too long",
    153: "Bad `ttl`",
    156: "Bad `action`",
    201: "A backend is unavailable, or the service is full, stopping or just started; `retry_after`",
    999: "Internal error; `details` is the request id that the log shows",
}
"""Meaning of each errno."""

CLOSE_CODES: dict[CloseCode, tuple[str, str]] = {
    CloseCode.NORMAL: ("a normal end", "as you like"),
    CloseCode.PROTOCOL_ERROR: ("protocol error, binary message, bad UTF-8 (RFC 6455)", "do not come back: fix the client"),
    CloseCode.UNSUPPORTED_DATA: ("protocol error, binary message, bad UTF-8 (RFC 6455)", "do not come back: fix the client"),
    CloseCode.INVALID_TEXT: ("protocol error, binary message, bad UTF-8 (RFC 6455)", "do not come back: fix the client"),
    CloseCode.TOO_BIG: ("a frame or message is too large", "do not come back: fix the client"),
    CloseCode.UNKNOWN_APPLICATION: ("unknown application", "do not come back"),
    CloseCode.DEACTIVATED: ("the application was deactivated", "do not come back until it is active again"),
    CloseCode.NOT_SIGNED_IN: ("not signed in, or signed out", "do not come back without new credentials"),
    CloseCode.REPLACED: ("a newer connection has this device", "do not come back"),
    CloseCode.BAD_FRAMES: ("20 bad frames in 60 s", "do not come back: fix the client"),
    CloseCode.TOO_MANY_FRAMES: ("too many frames or fragments", "come back, with backoff"),
    CloseCode.INTERNAL_ERROR: ("internal error", "come back, with backoff"),
    CloseCode.TRY_AGAIN_LATER: ("try again later: too many channels, or a backend is unavailable", "come back, with backoff"),
    CloseCode.SLOW_DOWN_IGNORED: ("the slow-down was ignored", "come back, with backoff"),
    CloseCode.SLOW_READER: ("slow reader", "come back, with backoff, with your cursor"),
    CloseCode.STOPPING: ("the server is stopping", "come back soon, after `retry_after`"),
    CloseCode.NO_PONG: ("no pong", "come back soon"),
    CloseCode.SESSION_ENDED: ("the session has ended", "come back soon, with a new assertion"),
}
"""Meaning of each close code, and what a client does next."""
