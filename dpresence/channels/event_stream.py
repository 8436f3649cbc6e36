"""The feed of an application as server-sent events, ``GET /myapps/<appid>/feed`` (docs/protocol.md, section 5)."""

from __future__ import annotations

from msgspec import Struct

from ..messages import AuthReply, OkReply, OutcomeFrame, StreamEnd, encode
from ..model import Offset
from .channel import ChannelConnection
from .feed_channel import FeedChannel
from .stream_connection import StreamConnection, answer_head, retry_after

CONTENT_TYPE = "text/event-stream"
RETRY_MS = 1000
"""Milliseconds after which a client connects again, unless the end of the stream names others."""
ID_SEPARATOR = "~"
"""Between the cursor of the feed and that of outcomes in the id of an event, if the stream has both; neither contains it."""


class EventStream(FeedChannel):
    """The feed of an application as an event stream. Implements ``hub.AppServicePort`` and ``stream_connection.StreamChannel``."""

    __slots__ = ("_after",)

    kind = "event stream"
    keep_alive = b":\n\n"
    status = 200

    def sign_in(self, connection: StreamConnection, key: str, since: str | None, outcomes_after: int | None) -> None:
        """Sign in, before the answer begins.

        :param outcomes_after: see ``begin``.
        :raises Refused: see ``AppSessions.open``.
        """
        self.connection = connection
        self._session = self._services.app_sessions.open(self, self._appid, key, since, connection.address)
        self._after = outcomes_after
        connection.open(self)

    def opened(self, connection: ChannelConnection) -> None:
        """Send the head, then the feed."""
        connection.send_frame(answer_head(connection, "200 OK", CONTENT_TYPE) + b"retry: %d\n\n" % RETRY_MS)
        connection.defer(self._start)

    def _start(self) -> None:
        assert self._session is not None
        reply = AuthReply(recovery="snapshot" if self._session.offset is None else "replayed")
        self.begin(self._session, reply, self._after)

    def send(self, message: Struct) -> None:
        """Send an event; one with a cursor has an id."""
        event = b"auth" if isinstance(message, AuthReply) else b""
        if isinstance(message, OutcomeFrame):
            event_id = self._id(self._services.feeds.cursor(self.offset) if self.offset is not None else "", message.cursor)
        else:
            cursor = getattr(message, "cursor", None)
            event_id = self._id(cursor) if isinstance(cursor, str) else ""
        self.connection.send_frame(_event(encode(message), event_id, event))

    def _id(self, cursor: str, outcomes: str = "") -> str:
        """Return the id of an event, from which a reconnecting client continues."""
        return cursor if self._outcome_position is None else f"{cursor}{ID_SEPARATOR}{outcomes or self._outcome_position}"

    def send_updates(self, payload: bytes, offset: Offset) -> None:
        """Send or queue an event with updates up to ``offset``."""
        self.offset = offset
        self.connection.send_frame(_event(payload, self._id(self._services.feeds.cursor(offset))))

    def caught_up(self) -> None:
        """Report that the updates that follow are new."""
        self.connection.send_frame(_event(encode(OkReply()), event=b"current"))

    def last_bytes(self, code: int, reason: str) -> bytes:
        """Return the event ``close``."""
        wait = retry_after(reason)
        retry = b"" if wait is None else b"retry: %d\n" % (1000 * wait)
        return retry + _event(encode(StreamEnd(code, reason)), event=b"close")


def _event(data: bytes, cursor: str = "", event: bytes = b"") -> bytes:
    """Return an event; JSON has no line ends."""
    lines = [b"event: " + event] if event else []
    if cursor:
        lines.append(b"id: " + cursor.encode())
    return b"\n".join([*lines, b"data: " + data, b"", b""])
