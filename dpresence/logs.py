"""The log's formatter: one line a record, control characters escaped, secrets masked. Named by the ini's ``[formatter_line]``."""

from __future__ import annotations

import logging
import re

_SECRET = re.compile(
    r"(?P<kept>dpk_[A-Za-z0-9_-]{12}_|ticket:|(?:BrowserID|Bearer)\s+)[A-Za-z0-9._~=-]+"  # keys, tickets, headers
    r"|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_~.-]+"  # JSON web tokens, and so assertions
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class LineFormatter(logging.Formatter):
    """Formats a record so that nothing a client sent can forge a line or leave a secret behind.

    A traceback of ours keeps its lines; a message does not.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return clean(super().formatMessage(record)).replace("\n", "\\n")

    def formatException(self, ei: object) -> str:
        """Return a traceback without secrets."""
        return clean(super().formatException(ei))  # type: ignore[arg-type]


def clean(text: str) -> str:
    """Return a text with secrets masked and control characters, but for line feeds and tabs, escaped."""
    masked = _SECRET.sub(lambda match: (match["kept"] or "") + "***", text)
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", masked)
