"""When notifications whose outcomes are recorded are checked (docs/decisions/0049-outcomes.md).

A look-up in the mailbox finds what was dropped. Its time does not depend on checks of what is held: they show that somebody has a device.
"""

from __future__ import annotations

from ..model.outcomes import Followed

FIRST_LOOKUP_MS, _LAST_LOOKUP_MS = 60_000, 3_600_000
"""Milliseconds until a notification is first looked up in the mailbox, and between two later look-ups at most."""
HELD_CHECK_MS, _LAST_HELD_CHECK_MS = 2000, 60_000
"""Milliseconds until the first check whether what is held may be published, and between two later ones at most."""
_NEVER = 2**52


def lookup_due(each: Followed, now: int) -> bool:
    """Return whether a look-up of a notification that is due was due by now.

    Without anything held, every check is a look-up, also a check that a process has claimed and not completed.
    """
    return each.held_at is None or _next_lookup(each, each.due_at - 1) <= now


def next_check(each: Followed, now: int) -> int:
    """Return when to check a notification again, milliseconds by the clock of the store; it is not limited to the time of its deletion.

    What is held is not checked shortly before another check, as this would change the order in which notifications are claimed.
    """
    due_at = min(_next_lookup(each, now), each.expires_at) if each.ended_at is None else _NEVER
    if each.held_at is None:
        return due_at
    held_check_at = now + max(HELD_CHECK_MS, min(now - each.held_at, _LAST_HELD_CHECK_MS))
    return held_check_at if held_check_at + HELD_CHECK_MS < due_at else due_at


def _next_lookup(each: Followed, after: int) -> int:
    """Return the first look-up after a time: they are 1, 2, 4.. minutes after the notification was sent, and every hour."""
    passed = after - each.sent_at
    doubling = FIRST_LOOKUP_MS << (passed // FIRST_LOOKUP_MS).bit_length()
    return each.sent_at + min(doubling, (passed // _LAST_LOOKUP_MS + 1) * _LAST_LOOKUP_MS)
