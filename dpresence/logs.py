"""The log formatter: one line per record, control characters escaped, secrets masked. ``[formatter_line]`` of the ini refers to it."""

from __future__ import annotations

import logging
import re

_SECRET = re.compile(
    r"(?P<prefix>dpk_[A-Za-z0-9_-]{12}_|ticket:|device:|(?:BrowserID|Bearer)\s+)[A-Za-z0-9._~=-]+"  # keys, tickets, headers
    r"|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_~.-]+"  # JSON web tokens, which include assertions
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class LineFormatter(logging.Formatter):
    """Formats a record so that data from a client cannot forge a log line and secrets are not logged.

    A line feed in a message is escaped; a traceback keeps its line feeds.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return a record as one line."""
        return clean(super().formatMessage(record)).replace("\n", "\\n")

    def formatException(self, ei: object) -> str:
        """Return a traceback without secrets."""
        return clean(super().formatException(ei))  # type: ignore[arg-type]


def clean(text: str) -> str:
    """Return a text with secrets masked and with control characters other than line feeds and tabs escaped."""
    masked = _SECRET.sub(lambda match: (match["prefix"] or "") + "***", text)
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", masked)
