"""People whose partition is on a server that dies, and the others, who must notice nothing of it."""

from __future__ import annotations

from collections.abc import Collection
from zlib import crc32

from sqlalchemy import select

from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.tables import accounts

from .crowd import Crowd
from .support import Figures

PAUSE_SECONDS = 0.5
"""Goal for the longest pause in the updates of the others, of whom somebody changes every 20 ms."""
ROAMING = 20
"""The others who lose their connection meanwhile and come back."""


def people_in(url: str, partitions: int, chosen: Collection[int]) -> set[str]:
    """Return the e-mails of the users of some partitions.

    :param url: URL of the database.
    :param partitions: number of all partitions.
    """
    database = Database(url)
    try:
        found = database.read(lambda connection: connection.execute(select(accounts.c.id, accounts.c.email)).all())
    finally:
        database.close()
    return {email for user, email in found if crc32(user.encode()) % partitions in chosen}


def follow_others(all_: Crowd, away: Collection[str], seconds: float, until: float | None = None) -> None:
    """Have the applications measure the pauses in the updates of those whose server stays.

    :param seconds: time after which some of them lose their connection.
    :param until: time after which pauses are not measured any more: a server that comes back without its data has all applications sent
        a snapshot, which waits for the devices of its users.
    """
    others = {puid for email, puid in all_.puids.items() if email not in away}
    for auditor in all_.auditors:
        auditor.follow(others)
    if until is not None:
        all_.loop.later(until, lambda: [auditor.follow(set()) for auditor in all_.auditors])
    roaming = [device for device in all_.fleet.devices if device.email not in away][:ROAMING]
    all_.loop.later(seconds, lambda: [device.drop() for device in roaming])


def compare_refused(all_: Crowd, away: Collection[str], figures: Figures, name: str, is_noticed: bool = True) -> None:
    """Check that only people whose server was away were refused.

    :param is_noticed: whether somebody must have been refused.
    """
    refused = all_.fleet.refused_people
    assert refused & set(away) or not is_noticed, "the load reached the server that was away"
    assert set(all_.fleet.refused) <= {201}, all_.fleet.refused
    figures.count(name, "people refused whose server stayed", len(refused - set(away)), 0)


def compare_pauses(all_: Crowd, figures: Figures, name: str) -> None:
    """Check that applications received the updates of the others all the time."""
    figures.time(name, "longest pause in the updates of the others", max(each.longest_pause for each in all_.auditors), PAUSE_SECONDS)
