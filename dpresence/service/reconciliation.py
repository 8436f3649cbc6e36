"""Reconciles the tracker's feeds with the directory (docs/decisions/0012-outbox.md).

The outbox applies each change to the tracker. The reconciliation corrects differences for which no entry exists any more: after a store was
restored from a backup or lost acknowledged writes, and after a sweep that used outdated grants.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile

from ..backends.directory import Directory
from ..backends.tracker import Tracker
from ..errors import BackendUnavailable
from ..model import FeedEntry, Grant
from .grants import Grants
from .scheduling import yield_to_loop

log = logging.getLogger(__name__)

_CLAIM = "comparison"  # a stored name
_CLAIM_SECONDS = 30
"""Minimum seconds between two reconciliations, over all processes."""
_FAILURES = 3
"""Number of feeds that fail after which a sweep ends, as a backend is probably unavailable."""
_PAGE = 100
"""Number of application ids that are read from the tracker in one call."""


class Reconciliation:
    """Runs on request, in at most one process at a time; another process whose request is pending runs after ``_CLAIM_SECONDS``."""

    def __init__(self, directory: Directory, tracker: Tracker, grants: Grants) -> None:
        self._directory = directory
        self._tracker = tracker
        self._grants = grants
        self._requested = True  # every process requests a reconciliation at its start
        self._start = ""  # id of the application after whose feed the next sweep begins
        self._missing: BackendUnavailable | None = None  # why the last sweep compared only what the available parts of the tracker have

    def request(self) -> None:
        """Request a reconciliation by the next ``sweep``. Does not block."""
        self._requested, self._missing = True, None

    def sweep(self) -> None:
        """Reconcile every feed, if this was requested and no other process has just done so.

        :raises BackendUnavailable: a backend is unavailable; the next sweep tries again. If only a part of it was, that waits for the part.
        """
        self._detect_restored_directory()
        if not self._requested or not self._tracker.claim(_CLAIM, _CLAIM_SECONDS):
            return
        if self._missing:
            self._tracker.applications("", 1)  # fails while a part is unavailable
        self._requested = False  # a request during the reconciliation causes another one
        try:
            self._reconcile_all()
        except BaseException as error:
            if self._requested or error is not self._missing:
                self._missing = None
            self._requested = True
            raise

    def _reconcile_all(self) -> None:
        """Reconcile each feed. One that fails keeps no other from it; after some failures, the next sweep begins with the feed after them.

        A part of the tracker that is unavailable is no failure of the feeds, whose entries in the other parts are compared.

        :raises BackendUnavailable: a feed has failed, or a part of the tracker is unavailable.
        """
        failures: list[BackendUnavailable] = []
        self._missing = None
        for appid in self._appids(self._start):
            try:
                self._reconcile(appid)
            except BackendUnavailable as error:
                failures.append(error)
                self._start = appid
                if len(failures) == _FAILURES:
                    break
        if failure := next(iter(failures), self._missing):
            raise failure

    def _appids(self, start: str) -> Iterator[str]:
        """Yield the ids of the applications with feeds: those after ``start``, then the others."""
        yield from self._appids_after(start)
        if start:
            yield from takewhile(lambda appid: appid <= start, self._appids_after(""))

    def _appids_after(self, after: str) -> Iterator[str]:
        while appids := self._page(after):
            yield from appids
            after = appids[-1]

    def _page(self, after: str) -> Sequence[str]:
        """Return ids of applications with feeds; only those in the parts of the tracker that are available, if some are."""
        try:
            return self._tracker.applications(after, _PAGE)
        except BackendUnavailable as error:
            self._missing = error
            return self._tracker.applications(after, _PAGE, allow_missing=True)

    def _detect_restored_directory(self) -> None:
        """Reset the tracker if it has seen a newer version of the directory, which was restored from a backup since.

        A lower version is read a second time, because another process may have reported a newer one after the first read.
        """
        tracker, directory = self._tracker, self._directory
        if not tracker.record_version(directory.version()) and not tracker.record_version(directory.version()):
            log.warning(
                "the directory was restored from a backup, or a service with another directory uses the same redis.prefix: "
                "all feeds are rebuilt from it"
            )
            tracker.reset()

    def _reconcile(self, appid: str) -> None:
        """Reconcile the feed of one application.

        The tracker is read before the directory: a grant that is added or revoked in between has an outbox entry of its own.
        """
        for view in self._view(appid):
            grants = self._directory.grants_by_puid(appid, list(view))
            self._revoke(appid, [puid for puid in view if puid not in grants])
            self._publish([grant for puid, grant in grants.items() if _may_be_wrong(view[puid])])
            yield_to_loop()

    def _view(self, appid: str) -> Iterator[Mapping[str, FeedEntry]]:
        """Yield the pages of a feed; only those in the parts of the tracker that are available, if some are.

        :raises BackendUnavailable: no part has answered.
        """
        answered = False
        try:
            for page in self._tracker.view(appid):
                answered = True
                yield page
        except BackendUnavailable as error:
            if not answered:
                raise
            self._missing = error

    def _revoke(self, appid: str, puids: Sequence[str]) -> None:
        for puid in puids:
            log.warning("the feed of application %s contained a user whose grant has ended; it is revoked there now", appid)
            self._tracker.append_revocation(Grant(appid, puid, "", granted_at=0, since=0))

    def _publish(self, grants: Sequence[Grant]) -> None:
        for grant in grants:
            self._grants.republish(grant.user, grant.appid)


def _may_be_wrong(seen: FeedEntry) -> bool:
    """Return whether an entry may show more than the user's grants allow. An entry that is ``offline`` cannot."""
    return seen.status != "offline"
