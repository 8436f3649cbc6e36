"""Compares what the tracker shows applications with the directory, and mends what differs (docs/decisions/0012-outbox.md).

The outbox tells the tracker of each change. This is for what no entry is left of: a store that was restored or lost what it
had acknowledged, and a sweep that was made with grants nobody knew to be old.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..backends.directory import Directory
from ..backends.tracker import Tracker
from ..messages import MOST_ENTRIES
from ..model import Grant, Update
from .grants import Grants
from .turns import give_way

log = logging.getLogger(__name__)

_CLAIM_SECONDS = 30
"""After a comparison no process begins another one for this long."""
_AT_ONCE = 100
"""Applications that are looked at in one go."""


class Comparison:
    """One for each process; of all processes one at a time compares, once for all that asked for it."""

    def __init__(self, directory: Directory, tracker: Tracker, grants: Grants) -> None:
        self._directory = directory
        self._tracker = tracker
        self._grants = grants
        self._wanted = True  # at the start

    def ask(self) -> None:
        """Have the next ``sweep`` compare. Never waits."""
        self._wanted = True

    def sweep(self) -> None:
        """Compare every application, if that was asked for and no other process did so just now.

        :raises BackendUnavailable: a backend is away; the next sweep tries again.
        """
        self._notice_restoration()
        if not self._wanted or not self._tracker.claim("comparison", _CLAIM_SECONDS):
            return
        after = ""
        while appids := self._tracker.applications(after, _AT_ONCE):
            for appid in appids:
                self._compare(appid)
            after = appids[-1]
        self._wanted = False

    def _notice_restoration(self) -> None:
        """Have the tracker begin anew if it has seen a newer directory than this one, which was restored from a backup.

        The version is read again after the tracker has answered: until then another process may have noted a newer one.
        """
        tracker, directory = self._tracker, self._directory
        if not tracker.follows(directory.version()) and not tracker.follows(directory.version()):
            log.warning("the directory was restored from a backup: what applications are shown is read from it anew")
            tracker.begin_anew()

    def _compare(self, appid: str) -> None:
        """Compare what one application sees. Read first, so that a grant that comes or goes meanwhile is told by its own change."""
        view, _ = self._tracker.snapshot(appid)
        puids = list(view)
        for start in range(0, len(puids), MOST_ENTRIES):
            some = puids[start : start + MOST_ENTRIES]
            grants = self._directory.grants_by_puid(appid, some)
            self._end(appid, [puid for puid in some if puid not in grants])
            self._show([grant for puid, grant in grants.items() if _may_be_wrong(view[puid])])
            give_way()

    def _end(self, appid: str, puids: Sequence[str]) -> None:
        for puid in puids:
            log.warning("application %s was shown a user whose grant has ended", appid)
            self._tracker.revoked(Grant(appid, puid, "", granted_at=0, since=0))

    def _show(self, grants: Sequence[Grant]) -> None:
        for grant in grants:
            self._grants.show_again(grant.user, grant.appid)


def _may_be_wrong(seen: Update) -> bool:
    """Return whether an entry says more of a user than that nobody sees them."""
    return seen.status != "offline"
