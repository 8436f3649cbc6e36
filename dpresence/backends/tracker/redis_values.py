"""Encoding of arguments and decoding of results of the scripts in ``lua/``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import gevent

from ...model import Grant, GrantSet, Reason, Status, Update
from ..redis.client import Operation

_SLICE = 2000
"""Entries decoded without yielding to the event loop, which takes a few milliseconds; a snapshot may have very many."""
_LEAST = 8
"""Weight of an operation on a user who has the maximum number of devices."""
_WEIGHTS = {"read": 10, "snapshot": 100, "trim": 200, "find_lost": 50, "postponed": 50, "over": 25, "users": 25}


@dataclass
class Known:
    """The state of the server's data according to its last reply."""

    epoch: str = ""
    run: str = ""
    batches: int = 0


def brief_set(grants: GrantSet) -> tuple[list[tuple[str, str, int, bool]], int]:
    """Return the parts of a user's grants that a script needs, and their revision."""
    return brief(grants.grants), grants.revision


def brief(grants: Iterable[Grant]) -> list[tuple[str, str, int, bool]]:
    """Return the parts of grants that a script needs."""
    return [(grant.appid, grant.puid, grant.since, grant.paused) for grant in grants]


def updates(text: str) -> list[Update]:
    """Decode entries as ``lua/feeds.lua`` writes them; yields to the event loop if there are very many."""
    found: list[Update] = []
    for line in text.split("\n") if text else ():
        offset, puid, status, at, reason = line.split(" ")
        found.append(Update(int(offset), puid, cast("Status", status), int(at), cast("Reason", reason)))
        if len(found) % _SLICE == 0:
            gevent.sleep(0)
    return found


def weight(operation: Operation) -> int:
    """Return the approximate weight of an operation in a batch, in units of 20 microseconds; each grant of its user adds two."""
    name, *arguments = operation
    longest = max((len(part) for part in arguments if isinstance(part, list)), default=0)
    if name == "latest":
        return _LEAST + longest // 5
    return _WEIGHTS.get(name, _LEAST + 2 * longest)
