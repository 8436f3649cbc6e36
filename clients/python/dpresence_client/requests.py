"""Divides notifications into frames that the service accepts (docs/protocol.md, sections 5 and 7)."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List, Sequence

from .errors import InvalidField
from .values import Outgoing

MAX_NOTIFICATIONS = 100
MAX_BYTES = 120 * 1024
"""Bytes of the notifications in one frame. The service takes 128 KiB, and closes the channel for good after a larger frame."""
_WRONG, _TOO_LONG = 107, 151


def pages(notifications: Sequence[Outgoing]) -> Iterator[List[Dict[str, Any]]]:
    """Return the notifications of each frame.

    :raises InvalidField: a notification is too long for any frame, or is no JSON. None was sent then.
    """
    entries = [notification.frame() for notification in notifications]
    sizes = [_size(number, entry) for number, entry in enumerate(entries)]
    return _divide(entries, sizes)


def _size(number: int, entry: Dict[str, Any]) -> int:
    """Return the length of a notification in a frame. What is not valid JSON would be answered without the number of the request."""
    try:
        json.dumps(entry, ensure_ascii=False).encode()
        size = len(json.dumps(entry, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidField(_WRONG, f"notifications[{number}]: {error}") from None
    if size > MAX_BYTES:
        raise InvalidField(_TOO_LONG, f"notifications[{number}]: {size} bytes are too many; message and action have up to 512 characters")
    return size


def _divide(entries: List[Dict[str, Any]], sizes: List[int]) -> Iterator[List[Dict[str, Any]]]:
    page: List[Dict[str, Any]] = []
    total = 0
    for entry, size in zip(entries, sizes):
        if page and (len(page) == MAX_NOTIFICATIONS or total + size > MAX_BYTES):
            yield page
            page, total = [], 0
        page.append(entry)
        total += size + 2
    if page:
        yield page
