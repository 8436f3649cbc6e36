"""Reports of internal errors to Sentry, if ``sentry.dsn`` is set. Nothing personal leaves (docs/operations.md, Sentry)."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from typing import Any

import gevent
from gevent.pool import Pool

from .errors import SettingError
from .logs import context
from .settings import SentrySettings

CLOSE_SECONDS = 2.0
_SENDERS = 16
"""Maximum number of events that are being prepared; further ones are dropped. Sentry's queue has a bound of its own."""


def start(settings: SentrySettings, version: str) -> None:
    """Report the errors that the service logs from now on.

    ``check`` has accepted the settings.
    """
    if settings.dsn:
        from sentry_sdk import Client

        client = Client(settings.dsn, release=f"dpresence@{version}", server_name="", default_integrations=False)
        logging.getLogger("dpresence").addHandler(SentryHandler(client))


def check(settings: SentrySettings) -> None:
    """Check that errors can be reported, if they are to be.

    :raises SettingError: sentry-sdk is not installed, or refuses the DSN.
    """
    if not settings.dsn:
        return
    try:
        from sentry_sdk.utils import BadDsn, Dsn  # an extra of the package installs it
    except ImportError:
        raise SettingError("sentry.dsn: needs sentry-sdk: install dpresence[sentry]") from None
    try:
        Dsn(settings.dsn)
    except BadDsn:
        raise SettingError("sentry.dsn: must be a DSN, such as https://key@sentry.example.org/1") from None


class SentryHandler(logging.Handler):
    """Sends what an event may contain, and no more: texts without their values, types of exceptions, and places in the code.

    The client is used without its integrations, so that nothing else sends events or adds to them.
    """

    def __init__(self, client: Any) -> None:
        super().__init__(logging.ERROR)
        self._client = client
        self._senders = Pool(_SENDERS)
        self._loop = gevent.get_hub().loop

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record from a greenlet: the caller may be the event loop, or another thread."""
        self._loop.run_callback_threadsafe(self._send, event_of(record))

    def _send(self, event: dict[str, Any]) -> None:
        if not self._senders.full():
            self._senders.spawn(self._client.capture_event, event)

    def close(self) -> None:
        """Send the pending events, for up to twice ``CLOSE_SECONDS``. ``logging`` calls this when the process ends."""
        self._senders.join(CLOSE_SECONDS)
        self._client.close(timeout=CLOSE_SECONDS)
        super().close()


def event_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the event of a record: neither its values nor those of its exception, which may name a person."""
    tags = context()
    if session := getattr(record, "session", ""):
        tags["session"] = session
    event = {
        "level": record.levelname.lower(),
        "logger": record.name,
        "logentry": {"message": str(record.msg)},
        "timestamp": record.created,
        "tags": tags,
    }
    if record.exc_info and record.exc_info[1]:
        event["exception"] = {"values": [_exception(error) for error in reversed(list(_chain(record.exc_info[1])))]}
    return event


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and its causes, the newest first."""
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _exception(error: BaseException) -> dict[str, Any]:
    frames = [
        _frame(frame.f_globals.get("__name__", ""), frame.f_code.co_name, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return {"type": type(error).__name__, "module": type(error).__module__, "value": "", "stacktrace": {"frames": frames}}


def _frame(module: str, function: str, line: int) -> dict[str, Any]:
    """Return a place in the code, without the folder of the installation."""
    return {"module": module, "filename": f"{module.replace('.', '/')}.py", "function": function, "lineno": line}
