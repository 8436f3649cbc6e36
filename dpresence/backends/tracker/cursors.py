"""Cursors: the wire form of an offset, as text that applications do not interpret.

The cursor of one feed is ``EPOCH:NUMBER``, or ``EPOCH.RUN:NUMBER``. That of a tracker in partitions is ``DIGEST.PART.PART…``, with the
offsets of all of them. The digest is that of the epochs of all partitions: when a partition has lost its data, every earlier
cursor is void. A part is the number of its offset in hexadecimal, empty for 0, and ``-RUN`` with the run of its server if that is not the
first. So a cursor of 64 partitions takes some 500 characters. With one partition the cursor is that of its feed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256

_PART = re.compile(r"([1-9a-f][0-9a-f]{0,14})?(?:-([1-9][0-9]{0,8}))?", re.ASCII)
_DIGEST_CHARACTERS = 16


def offset_of(cursor: str, epoch: str) -> int | None:
    """Return the offset in a cursor ``epoch:offset``; None if it has another epoch or the text is not a cursor."""
    given, _, digits = cursor.partition(":")
    return int(digits) if given == epoch and digits.isascii() and digits.isdigit() and len(digits) <= 18 else None


@lru_cache
def digest(epochs: Sequence[str]) -> str:
    """Return the digest of the epochs of the partitions, which must be hashable."""
    return sha256(" ".join(epochs).encode()).hexdigest()[:_DIGEST_CHARACTERS]


def join_cursor(epochs: Sequence[str], parts: Iterable[str]) -> str:
    """Return the cursor of these parts."""
    return f"{digest(epochs)}.{'.'.join(parts)}"


def encode_part(cursor: str) -> tuple[str, str]:
    """Return the epoch of a cursor of one partition, ``epoch:number`` or ``epoch.run:number``, and its part of the cursor of all."""
    epoch, _, number = cursor.partition(":")
    epoch, dot, run = epoch.partition(".")
    return epoch, (f"{int(number):x}" if number != "0" else "") + (f"-{run}" if dot else "")


def split_cursor(cursor: str, epochs: Sequence[str]) -> list[str] | None:
    """Return the cursor of each partition; None if the text is no cursor, or one of other epochs.

    :param epochs: the present epoch of each partition.
    """
    if len(epochs) == 1:
        return [cursor]
    given, *parts = cursor.split(".", len(epochs))
    found = [_PART.fullmatch(part) for part in parts]
    if given != digest(epochs) or len(parts) != len(epochs) or not all(found):
        return None
    return [_of_one(epoch, part.group(1), part.group(2)) for epoch, part in zip(epochs, found, strict=True) if part]


def _of_one(epoch: str, number: str | None, run: str | None) -> str:
    return f"{epoch}{f'.{run}' if run else ''}:{int(number or '0', 16)}"
