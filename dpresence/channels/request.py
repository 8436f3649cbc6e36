"""HTTP/1.1 requests out of a buffered file, read strictly (RFC 9112) and within bounds that hold before anything is parsed.

What two readers could understand in two ways is refused: a proxy in front may be the other reader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO

from ..errors import TooLarge, WrongValue

LINE_BYTES = 8192
"""Longest request line."""
FIELD_BYTES = 4096
"""Longest header line, but for those of ``_LONG``."""
FIELDS = 64
"""Header lines of a request."""
HEAD_BYTES = 16384
"""All of them together."""
CHUNKS = 1024
"""Chunks of one body."""
CHUNK_LINE_BYTES = 128
"""Longest line with the size of a chunk, its extensions included; also of a trailer."""

_LONG = {"authorization": 8192 + 256, "cookie": 8192}
_ONCE = frozenset((
    "host", "content-length", "transfer-encoding", "authorization", "content-type", "origin", "expect", "upgrade", "x-csrf-token",
    "sec-websocket-key", "sec-websocket-version",
))  # fmt: skip
"""Headers that mean something here, and nothing when there are two of them."""
_IGNORED = frozenset(("range", "if-range"))
"""Headers whose parser in WebOb takes quadratic time; files are answered whole, as RFC 9110 (14.2) allows."""
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST = re.compile(rb"(%s) (/[!\"$-~]*) (HTTP/1\.[01])\r\n" % _TOKEN)
_FIELD = re.compile(rb"(%s):([\t -~]*)\r\n" % _TOKEN)
_HOST = re.compile(r"[A-Za-z0-9._~-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_LENGTH = re.compile(r"[0-9]{1,15}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[\t ]*(?:;[\t -~]*)?\r\n")


class BadRequest(ValueError):
    """No proper request; answered without an errno, and the connection ends.

    :param status: the HTTP status: 400, 414 or 431.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request.

    :ivar fields: (name in lower case, value), in order.
    :ivar length: of the body, None without ``Content-Length``.
    :ivar chunked: the body comes in chunks.
    """

    method: str
    target: str
    version: str
    fields: list[tuple[str, str]]
    length: int | None
    chunked: bool

    def value(self, name: str, default: str = "") -> str:
        """Return a header that appears once."""
        return next((value for key, value in self.fields if key == name), default)

    @property
    def keeps(self) -> bool:
        """Whether the connection stays open after the answer (RFC 9112, 9.3)."""
        options = {token.strip().lower() for name, value in self.fields if name == "connection" for token in value.split(",")}
        return "close" not in options and (self.version == "HTTP/1.1" or "keep-alive" in options)


def read_head(line: bytes, rfile: BinaryIO) -> Head:
    """Return the head of a request.

    :param line: the request line, as read.
    :param rfile: the rest.
    :raises BadRequest: it is none.
    """
    if len(line) >= LINE_BYTES:
        raise BadRequest(414, "the request line is too long")
    match = _REQUEST.fullmatch(line)
    if match is None:
        raise BadRequest(400, "no request line")
    method, target, version = (part.decode("ascii") for part in match.groups())
    fields = _read_fields(rfile)
    length, chunked = _framing(version, fields)
    return Head(method, target, version, [field for field in fields if field[0] not in _IGNORED], length, chunked)


def _read_fields(rfile: BinaryIO) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    left = HEAD_BYTES
    while (line := rfile.readline(LINE_BYTES + 1024)) != b"\r\n":
        left -= len(line)
        if left < 0 or len(fields) == FIELDS:
            raise BadRequest(431, "the header is too large")
        match = _FIELD.fullmatch(line)
        name = match[1].decode("ascii").lower() if match else ""
        if len(line) > _LONG.get(name, FIELD_BYTES):
            raise BadRequest(431, "a header line is too long")
        if match is None:
            raise BadRequest(400, "no header line")
        fields.append((name, match[2].decode("ascii").strip(" \t")))
    return fields


def _framing(version: str, fields: list[tuple[str, str]]) -> tuple[int | None, bool]:
    """Return the length of the body and whether it is chunked, or refuse what is in doubt (RFC 9112, 3.2 and 6.3)."""
    names = [name for name, _ in fields]
    values = dict(fields)
    if len(names) != len(values) and any(names.count(name) > 1 for name in _ONCE):
        raise BadRequest(400, "a header appears twice")
    if not _HOST.fullmatch(values.get("host", "" if version == "HTTP/1.1" else "none")):
        raise BadRequest(400, "no proper Host")
    length, coding = values.get("content-length"), values.get("transfer-encoding")
    if coding is not None and (coding.lower() != "chunked" or length is not None or version != "HTTP/1.1"):
        raise BadRequest(400, "the length of the body is in doubt")
    if length is not None and not _LENGTH.fullmatch(length):
        raise BadRequest(400, "no proper Content-Length")
    return (None if length is None else int(length)), coding is not None


def read_body(head: Head, rfile: BinaryIO, most: int) -> bytes:
    """Return the body of a request.

    :param most: its bytes at the most.
    :raises TooLarge: it has more.
    :raises WrongValue: it is not what the header says.
    """
    if not head.chunked:
        return _exactly(rfile, head.length or 0, most)
    body = bytearray()
    for _ in range(CHUNKS):
        match = _CHUNK.fullmatch(rfile.readline(CHUNK_LINE_BYTES))
        if match is None:
            raise _broken()
        size = int(match[1], 16)
        if not size:
            _skip_trailers(rfile)
            return bytes(body)
        body += _exactly(rfile, size, most - len(body), most)
        if rfile.read(2) != b"\r\n":
            raise _broken()
    raise WrongValue(f"the body may have {CHUNKS} chunks")


def _exactly(rfile: BinaryIO, size: int, left: int, most: int | None = None) -> bytes:
    if size > left:
        raise TooLarge(f"the body may have {left if most is None else most} bytes")
    data = rfile.read(size)
    if len(data) != size:
        raise _broken()
    return data


def _skip_trailers(rfile: BinaryIO) -> None:
    for _ in range(FIELDS):
        line = rfile.readline(CHUNK_LINE_BYTES)
        if line == b"\r\n":
            return
        if not _FIELD.fullmatch(line):
            break
    raise _broken()


def _broken() -> WrongValue:
    return WrongValue("the body is not what its headers say")


_PAIR = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)=\"?([!#-+\--:<-\[\]-~]*)\"?")


def own_cookies(header: str, names: tuple[str, ...]) -> str:
    """Return a ``Cookie`` header with nothing but well-formed cookies whose names begin with one of ``names``.

    WebOb reads cookies with an expression that takes quadratic time on what is none.
    """
    pairs = [pair.strip(" \t") for pair in header.split(";")]
    return "; ".join(pair for pair in pairs if pair.startswith(names) and _PAIR.fullmatch(pair))
