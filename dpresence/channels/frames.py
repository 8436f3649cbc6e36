"""Sans-I/O implementation of RFC 6455: a strict parser of client frames, and constructors of server frames.

The parser raises a violation as early as possible: for a frame that is too long after its header, and for invalid UTF-8 after
the fragment that contains it.
"""

from __future__ import annotations

import codecs
import struct
from typing import NamedTuple

from ..errors import CloseCode
from .frame_limits import FrameLimits

try:
    from websockets.speedups import apply_mask  # in C: a quarter of the cost of big integers
except ImportError:  # a platform without a wheel
    from websockets.utils import apply_mask

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
CONTROL_BYTES = 125
NO_CODE = 1005
"""Stands for a close frame without a code; never sent (RFC 6455, 7.4.1)."""

_FIN, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_CLOSE_CODES = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))
_utf8_decoder = codecs.getincrementaldecoder("utf-8")

_SMALL_HEADS = [b"---"] * 6 + [bytes((_FIN | TEXT, _MASKED | size)) for size in range(CONTROL_BYTES + 1)]
"""By the size of a small text frame, its first two bytes; for a size that no frame has, something longer than two bytes."""
_LARGE = len(_SMALL_HEADS)
_MEDIUM_HEAD = bytes((_FIN | TEXT, _MASKED | 126))


class Violation(Exception):
    """The peer broke the protocol or a limit. The rest of its bytes cannot be parsed.

    :param code: close code of the answer.
    :param reason: reason for the close frame.
    """

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Text(NamedTuple):
    """A complete text message."""

    text: str


class Binary(NamedTuple):
    """A complete binary message."""

    data: bytes


class Part(NamedTuple):
    """A fragment that does not complete its message. It only counts against the rate."""

    size: int


class Ping(NamedTuple):
    """A ping; the pong must repeat its payload."""

    data: bytes


class Pong(NamedTuple):
    """A pong."""

    data: bytes


class Close(NamedTuple):
    """The peer's close frame; ``code`` is ``NO_CODE`` if the frame has none."""

    code: int
    reason: str


Event = Text | Binary | Part | Ping | Pong | Close


class Parser:
    """Parser of the frames of one client. Callers pass bytes to ``feed``, then call ``next`` until it returns None.

    :ivar began_at: when the incomplete frame began; only for callers.
    """

    __slots__ = ("_buffer", "_fragments", "_limits", "_message", "_size", "began_at")

    def __init__(self, limits: FrameLimits, began_at: float = 0.0) -> None:
        self._limits = limits
        self.began_at = began_at
        self._buffer = bytearray()
        self._message: _TextParts | _BinaryParts | None = None  # the incomplete message, of which fragments have arrived
        self._fragments = 0
        self._size = 0

    @property
    def partial(self) -> bool:
        """True if an incomplete frame or message has arrived."""
        return bool(self._buffer) or self._message is not None

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._buffer += data

    def next(self) -> Event | None:
        """Return the next frame's event, or None until more bytes are fed.

        :raises Violation: the peer broke RFC 6455 or a limit; the parser must not be used afterwards.
        """
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, length = buffer[0], buffer[1] & _LENGTH
        opcode, final = first & _OPCODE, bool(first & _FIN)
        self._check_header(first, buffer[1], opcode)
        start = 2
        if length > CONTROL_BYTES:
            start = 4 if length == 126 else 10
            if len(buffer) < start:
                return None
            length = _long_length(buffer, start)
        if opcode < CLOSE and self._size + length > self._limits.message_bytes:
            raise Violation(CloseCode.TOO_BIG, f"a message may have {self._limits.message_bytes} bytes")
        end = start + 4 + length
        if len(buffer) < end:
            return None
        payload = apply_mask(buffer[start + 4 : end], buffer[start : start + 4])
        if len(buffer) == end:
            self._buffer = bytearray()  # a cleared bytearray would keep its memory
        else:
            del buffer[:end]
        return _control(opcode, payload) if opcode >= CLOSE else self._data(opcode, final, payload)

    def _check_header(self, first: int, second: int, opcode: int) -> None:
        """Check the first two bytes of a frame (RFC 6455, 5.2, 5.4 and 5.5)."""
        if first & _RESERVED or opcode not in _OPCODES:
            raise Violation(CloseCode.PROTOCOL_ERROR, "reserved bits or opcode")
        if not second & _MASKED:
            raise Violation(CloseCode.PROTOCOL_ERROR, "a client's frames are masked")
        if opcode >= CLOSE:
            if not first & _FIN or second & _LENGTH > CONTROL_BYTES:
                raise Violation(CloseCode.PROTOCOL_ERROR, "a control frame has one part of up to 125 bytes")
        elif (opcode == CONTINUATION) != (self._message is not None):
            raise Violation(CloseCode.PROTOCOL_ERROR, "fragments out of order")
        elif self._fragments >= self._limits.fragments:
            raise Violation(CloseCode.TOO_MANY_FRAMES, f"a message may have {self._limits.fragments} fragments")

    def _data(self, opcode: int, final: bool, payload: bytes) -> Event:
        if final and opcode == TEXT:
            return Text(_decode(payload))
        if final and opcode == BINARY:
            return Binary(payload)
        if opcode != CONTINUATION:
            self._message = _TextParts() if opcode == TEXT else _BinaryParts()
        assert self._message is not None
        self._fragments += 1
        self._size += len(payload)
        self._message.add(payload, final)
        if not final:
            return Part(len(payload))
        event = self._message.end()
        self._message, self._fragments, self._size = None, 0, 0
        return event


class _TextParts:
    """The fragments of a text message, decoded as they arrive."""

    def __init__(self) -> None:
        self._decoder = _utf8_decoder()
        self._parts: list[str] = []

    def add(self, payload: bytes, final: bool) -> None:
        try:
            self._parts.append(self._decoder.decode(payload, final))
        except UnicodeDecodeError:
            raise _bad_text() from None

    def end(self) -> Text:
        return Text("".join(self._parts))


class _BinaryParts:
    """The fragments of a binary message."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, payload: bytes, final: bool) -> None:
        self._parts.append(payload)

    def end(self) -> Binary:
        return Binary(b"".join(self._parts))


def small_text(data: bytes, most: int) -> bytes | None:
    """Return the payload of ``data`` if it is exactly one text frame, ASCII and not large, which every parser accepts; else None.

    Nearly every read of a device's socket is such a frame: up to 125 bytes an update, above that the first frame. This costs a tenth of
    what ``Parser`` costs.

    :param most: maximum size of a message, at least 125.
    """
    size = len(data)
    if size < _LARGE:
        if data[:2] != _SMALL_HEADS[size]:
            return None
        payload = apply_mask(data[6:], data[2:6])
    elif data[:2] == _MEDIUM_HEAD and CONTROL_BYTES < int.from_bytes(data[2:4], "big") == size - 8 <= most:
        payload = apply_mask(data[8:], data[4:8])
    else:
        return None
    return payload if payload.isascii() else None


def is_pong(data: bytes) -> bool:
    """Return whether ``data`` is exactly one whole masked pong, whose payload nobody reads."""
    size = len(data) - 6
    return 0 <= size <= CONTROL_BYTES and data[0] == _FIN | PONG and data[1] == _MASKED | size


def text_frame(payload: bytes) -> bytes:
    """Return ``payload``, UTF-8, as one unmasked text frame."""
    size = len(payload)
    return bytes((_FIN | TEXT, size)) + payload if size <= CONTROL_BYTES else _frame(TEXT, payload)


def binary_frame(payload: bytes) -> bytes:
    """Return ``payload`` as one unmasked binary frame."""
    return _frame(BINARY, payload)


def ping_frame(payload: bytes = b"") -> bytes:
    """Return a ping with up to 125 bytes of payload."""
    return _frame(PING, payload[:CONTROL_BYTES])


def pong_frame(payload: bytes) -> bytes:
    """Return a pong with up to 125 bytes of payload."""
    return _frame(PONG, payload[:CONTROL_BYTES])


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame. The reason is truncated to 123 bytes of valid UTF-8; ``NO_CODE`` gives a frame without payload."""
    if code == NO_CODE:
        return _frame(CLOSE, b"")
    text = reason.encode("utf-8", "replace")
    if len(text) > CONTROL_BYTES - 2:
        text = text[: CONTROL_BYTES - 2].decode("utf-8", "ignore").encode("utf-8")
    return _frame(CLOSE, struct.pack("!H", code) + text)


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size <= CONTROL_BYTES:
        return bytes((_FIN | opcode, size)) + payload
    if size <= 0xFFFF:
        return struct.pack("!BBH", _FIN | opcode, 126, size) + payload
    return struct.pack("!BBQ", _FIN | opcode, 127, size) + payload


def _long_length(buffer: bytearray, start: int) -> int:
    """Return an extended length of two or eight bytes; it must be the shortest form (RFC 6455, 5.2)."""
    length = int.from_bytes(buffer[2:start], "big")
    if length <= (CONTROL_BYTES if start == 4 else 0xFFFF) or length >> 63:
        raise Violation(CloseCode.PROTOCOL_ERROR, "a length in the wrong form")
    return length


def _control(opcode: int, payload: bytes) -> Event:
    if opcode in (PING, PONG):
        return Ping(payload) if opcode == PING else Pong(payload)
    if not payload:
        return Close(NO_CODE, "")
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (code in _CLOSE_CODES or 3000 <= code <= 4999):
        raise Violation(CloseCode.PROTOCOL_ERROR, "no such close code")
    return Close(code, _decode(payload[2:]))


def _decode(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise _bad_text() from None


def _bad_text() -> Violation:
    return Violation(CloseCode.INVALID_TEXT, "text is UTF-8")
