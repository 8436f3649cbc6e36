"""Compression of files that are the same for everybody. Pages are never compressed: their length would tell about the secrets in them."""

from __future__ import annotations

import gzip
from functools import lru_cache

from pyramid.response import Response

from ..request import Request

_TYPES = ("text/javascript", "application/javascript", "text/css", "image/svg+xml", "application/manifest+json")
_ENCODING = "gzip"
_FILES = 256
"""Number of compressed files that a process keeps: more than there are."""


def compress(request: Request, response: Response) -> Response:
    """Compress a file, if the client accepts gzip and its type compresses well (RFC 9110, section 12.5.3).

    :param response: one whose body depends on the path and the version of the service only.
    """
    if response.content_type in _TYPES:
        response.vary = ("Accept-Encoding",)
        if response.status_int == 200 and _accepts(request):
            response.body = _compressed(response.body)
            response.content_encoding = _ENCODING
            if response.etag:
                response.etag = f"{response.etag}-{_ENCODING}"
    return response


def _accepts(request: Request) -> bool:
    """Return whether the client names gzip. A part of a file is sent as it is."""
    named = bool(request.accept_encoding) and not request.range
    return named and bool(request.accept_encoding.acceptable_offers([_ENCODING]))


@lru_cache(_FILES)
def _compressed(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)
