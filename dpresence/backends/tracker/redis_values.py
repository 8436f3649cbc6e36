"""Encoding of arguments and decoding of results of the scripts in ``lua/``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import gevent

from ...model import Reason, Status, Update
from ..redis.client import Operation

_DECODED_AT_ONCE = 2000
"""Entries decoded without yielding to the event loop, which takes a few milliseconds; a snapshot may have very many."""
_MIN_WEIGHT = 8
"""Weight of an operation on a user who has the maximum number of devices."""
_WEIGHTS = {"read": 10, "snapshot": 100, "trim": 200, "find_lost": 50, "postponed": 50, "over": 25, "users": 25}


@dataclass
class Known:
    """The state of the server's data according to its last reply."""

    epoch: str = ""
    run: str = ""
    batches: int = 0


EncodedGrant = tuple[str, str, int, bool, bool]
"""The parts of a grant that a script needs, and whether the process wants the new entry of the application's feed in the answer."""


def decode_entry(text: str) -> Update:
    """Decode an entry as ``lua/feeds.lua`` writes it.

    :raises ValueError: the text is not an entry.
    """
    offset, puid, status, at, reason = text.split(" ")
    return Update(int(offset), puid, cast("Status", status), int(at), cast("Reason", reason))


def decode_entries(text: str) -> list[Update]:
    """Decode lines of entries; yields to the event loop if there are very many.

    :raises ValueError: a line is not an entry.
    """
    found: list[Update] = []
    for line in text.split("\n") if text else ():
        found.append(decode_entry(line))
        if len(found) % _DECODED_AT_ONCE == 0:
            gevent.sleep(0)
    return found


def weight(operation: Operation) -> int:
    """Return the approximate weight of an operation in a batch, in units of 20 microseconds; each grant of its user adds two."""
    name, *arguments = operation
    longest = max((len(part) for part in arguments if isinstance(part, list)), default=0)
    if name == "latest":
        return _MIN_WEIGHT + longest // 5
    return _WEIGHTS.get(name, _MIN_WEIGHT + 2 * longest)
