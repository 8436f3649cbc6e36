"""The log formatters: one line per record, control characters escaped, secrets masked. Sections ``[formatter_..]`` of the ini name them.

``LineFormatter`` writes text and ``JsonFormatter`` JSON in the MozLog 2.0 shape, with the ids of the request and of the channel.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any

import gevent
from dockerflow.logging import MozlogFormatter

_SECRET = re.compile(
    r"(?P<prefix>dpk_[A-Za-z0-9_-]{12}_|ticket:|device:|(?:BrowserID|Bearer)\s+)[A-Za-z0-9._~=-]+"  # keys, tickets, headers
    r"|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_~.-]+"  # JSON web tokens, which include assertions
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")

_request: ContextVar[str] = ContextVar("request", default="")
_session: ContextVar[str] = ContextVar("session", default="")


def begin_request() -> str:
    """Begin a request in this greenlet, and return its new id."""
    request_id = secrets.token_hex(8)
    _request.set(request_id)
    _session.set("")
    return request_id


def current_request() -> str:
    """Return the id of this greenlet's request; a new one if it has none."""
    return _request.get() or begin_request()


def enter_session(connection_id: str) -> None:
    """Name the channel that this greenlet works for. Its id is that of the connection."""
    _session.set(connection_id)


def context() -> dict[str, str]:
    """Return the ids of this greenlet's request, ``rid``, and channel, ``session``, as far as it has them."""
    return {name: value for name, value in (("rid", _request.get()), ("session", _session.get())) if value}


def spawn(function: Callable[..., Any], *arguments: Any) -> gevent.Greenlet[..., Any]:
    """Start a greenlet that works for this one: its lines have the same ids."""
    helper = gevent.Greenlet(function, *arguments)
    helper.gr_context = copy_context()
    helper.start()
    return helper


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


class JsonFormatter(MozlogFormatter):
    """Formats a record as one line of JSON in the MozLog 2.0 shape, without secrets."""

    def __init__(self, *_: Any) -> None:
        super().__init__(logger_name="dpresence")

    def convert_record(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return a record as a dict. ``Fields`` has its ``extra``, the ids of ``context``, ``msg``, and ``traceback`` of an exception."""
        line: dict[str, Any] = super().convert_record(record)
        fields = {**context(), **line["Fields"], "msg": record.getMessage()}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)  # with the causes
        line["Fields"] = {name: clean(value) if isinstance(value, str) else value for name, value in fields.items()}
        return line


def clean(text: str) -> str:
    """Return a text with secrets masked and with control characters other than line feeds and tabs escaped."""
    masked = _SECRET.sub(lambda match: (match["prefix"] or "") + "***", text)
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", masked)
