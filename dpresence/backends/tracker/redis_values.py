"""Values as the scripts of ``redis/`` take and give them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import gevent

from ...model import Grant, GrantSet, Reason, Status, Update

_SLICE = 2000
"""Entries read in one go, a few milliseconds; a snapshot may have very many."""


@dataclass
class Known:
    """What a process knows of the server's data, from the last answer."""

    epoch: str = ""
    run: str = ""
    batches: int = 0


def brief_set(grants: GrantSet) -> tuple[list[tuple[str, str, int, bool]], int]:
    """Return what a script needs of a user's grants, and their revision."""
    return brief(grants.grants), grants.revision


def brief(grants: Iterable[Grant]) -> list[tuple[str, str, int, bool]]:
    """Return what a script needs of grants."""
    return [(grant.appid, grant.puid, grant.since, grant.paused) for grant in grants]


def updates(text: str) -> list[Update]:
    """Read entries as ``feed.lua`` writes them; lets others have a turn when there are very many."""
    found: list[Update] = []
    for line in text.split("\n") if text else ():
        offset, puid, status, at, reason = line.split(" ")
        found.append(Update(int(offset), puid, cast("Status", status), int(at), cast("Reason", reason)))
        if len(found) % _SLICE == 0:
            gevent.sleep(0)
    return found
