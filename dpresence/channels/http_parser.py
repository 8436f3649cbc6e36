"""Strict parser of HTTP/1.1 requests (RFC 9112) with size limits that it checks before it parses.

Ambiguous requests are refused, because a proxy may read them differently (request smuggling).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO

from ..errors import TooLarge, WrongValue

LINE_BYTES = 16384
"""Maximum length of the request line: a call of ``presence`` names up to 500 PUIDs, which take 14 KB."""
FIELD_BYTES = 4096
"""Maximum length of a header line, except those of ``_LONG_FIELDS``."""
FIELDS = 64
"""Maximum number of header lines, and of trailer lines."""
HEAD_BYTES = 16384
"""Maximum size of all header lines."""
CHUNKS = 1024
"""Maximum number of chunks of a body."""
CHUNK_LINE_BYTES = 128
"""Maximum length of a chunk-size line with its extensions, and of a trailer line."""

_LONG_FIELDS = {"authorization": 8192 + 256, "cookie": 8192, "last-event-id": 4096 + 256, "referer": 4096 + 256}
_SINGLE_FIELDS = frozenset((
    "host", "content-length", "transfer-encoding", "authorization", "content-type", "origin", "expect", "upgrade", "x-csrf-token",
    "sec-websocket-key", "sec-websocket-version",
))  # fmt: skip
"""Headers that must not appear twice."""
_IGNORED_FIELDS = frozenset(("range", "if-range", "if-modified-since", "if-unmodified-since"))
"""Headers that WebOb parses in quadratic time: without them files are sent whole, as RFC 9110 (14.2) allows. And dates, at some of which
it fails, and which RFC 9110 (13.1.3) wants ignored for files that have an ``ETag`` and no date.
"""
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST = re.compile(rb"(%s) (/[!\"$-~]*) (HTTP/1\.[01])\r\n" % _TOKEN)
_FIELD = re.compile(rb"(%s):([\t -~]*)\r\n" % _TOKEN)
_HOST = re.compile(r"[A-Za-z0-9._~-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_LENGTH = re.compile(r"[0-9]{1,15}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[\t ]*(?:;[\t -~]*)?\r\n")


class BadRequest(ValueError):
    """Malformed request. The response has an HTTP status but no errno, and the connection is closed.

    :param status: the HTTP status: 400, 414 or 431.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request.

    :ivar fields: (name in lower case, value), in order.
    :ivar length: ``Content-Length``, or None.
    :ivar chunked: the body uses the chunked transfer coding.
    """

    method: str
    target: str
    version: str
    fields: list[tuple[str, str]]
    length: int | None
    chunked: bool

    def value(self, name: str, default: str = "") -> str:
        """Return the first value of a header, or ``default``."""
        return next((value for key, value in self.fields if key == name), default)

    @property
    def keep_alive(self) -> bool:
        """True if the connection stays open after the answer (RFC 9112, 9.3)."""
        options = {token.strip().lower() for name, value in self.fields if name == "connection" for token in value.split(",")}
        return "close" not in options and (self.version == "HTTP/1.1" or "keep-alive" in options)


def read_head(line: bytes, rfile: BinaryIO) -> Head:
    """Read the header lines and return the head of a request.

    :param line: the request line, with its line end.
    :param rfile: the bytes after it.
    :raises BadRequest: the head is malformed, ambiguous or too large.
    """
    if len(line) >= LINE_BYTES:
        raise BadRequest(414, "the request line is too long")
    match = _REQUEST.fullmatch(line)
    if match is None:
        raise BadRequest(400, "no request line")
    method, target, version = (part.decode("ascii") for part in match.groups())
    fields = _read_fields(rfile)
    length, chunked = _framing(version, fields)
    return Head(method, target, version, [field for field in fields if field[0] not in _IGNORED_FIELDS], length, chunked)


def _read_fields(rfile: BinaryIO) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    left = HEAD_BYTES
    while (line := rfile.readline(LINE_BYTES + 1024)) != b"\r\n":
        left -= len(line)
        if left < 0 or len(fields) == FIELDS:
            raise BadRequest(431, "the header is too large")
        match = _FIELD.fullmatch(line)
        name = match[1].decode("ascii").lower() if match else ""
        if len(line) > _LONG_FIELDS.get(name, FIELD_BYTES):
            raise BadRequest(431, "a header line is too long")
        if match is None:
            raise BadRequest(400, "no header line")
        fields.append((name, match[2].decode("ascii").strip(" \t")))
    return fields


def _framing(version: str, fields: list[tuple[str, str]]) -> tuple[int | None, bool]:
    """Return the length of the body and whether it is chunked (RFC 9112, 3.2 and 6.3).

    :raises BadRequest: the framing is ambiguous.
    """
    names = [name for name, _ in fields]
    values = dict(fields)
    if len(names) != len(values) and any(names.count(name) > 1 for name in _SINGLE_FIELDS):
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
    """Read and return the body of a request.

    :param most: maximum size in bytes.
    :raises TooLarge: the body is larger.
    :raises WrongValue: the body is malformed or ends early.
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


_COOKIE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)=\"?([!#-+\--:<-\[\]-~]*)\"?")


def own_cookies(header: str, names: tuple[str, ...]) -> str:
    """Return a ``Cookie`` header with only the well-formed cookies whose names begin with one of ``names``.

    WebOb's regular expression for cookies takes quadratic time on malformed headers.
    """
    pairs = [pair.strip(" \t") for pair in header.split(";")]
    return "; ".join(pair for pair in pairs if pair.startswith(names) and _COOKIE.fullmatch(pair))
