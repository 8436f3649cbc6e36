"""The head of a request, as the application gets it (section 7)."""

from __future__ import annotations

from io import BytesIO

from dpresence.channels.http_parser import read_head

FAR = "Fri, 31 Dec 99999 23:59:59 GMT"
"""A date at which WebOb fails."""


def test_headers_that_are_ignored_do_not_reach_the_application() -> None:
    ignored = {"Range": "bytes=0-1", "If-Range": FAR, "If-Modified-Since": FAR, "if-unmodified-since": FAR}
    given = {"Host": "x", **ignored, "If-None-Match": '"a"'}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    head = read_head(b"GET / HTTP/1.1\r\n", BytesIO(f"{lines}\r\n".encode()))
    assert head.fields == [("host", "x"), ("if-none-match", '"a"')]
