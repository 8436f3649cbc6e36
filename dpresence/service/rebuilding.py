"""Rebuilds an application's feed that was damaged in the tracker's store, from the directory and the devices."""

from __future__ import annotations

import logging

from ..backends.directory import Directory
from ..backends.tracker import Tracker
from ..messages import MAX_ENTRIES
from .coalescer import Coalescer
from .grants import Grants
from .scheduling import map_concurrently

log = logging.getLogger(__name__)


class Rebuilding:
    """Rebuilds feeds, one at a time per application. Its service receives errno 201 meanwhile, and a snapshot afterwards."""

    def __init__(self, directory: Directory, tracker: Tracker, grants: Grants) -> None:
        self._directory = directory
        self._tracker = tracker
        self._grants = grants
        self._coalescer = Coalescer("the rebuilding of a feed", self._rebuild)

    def start(self, appid: str) -> None:
        """Rebuild a feed in a new greenlet. Does not block."""
        if not self._coalescer.running(appid):  # each read of the feed reports the damage again until it is rebuilt
            log.warning("the feed of application %s is damaged and is rebuilt", appid)
            self._coalescer.request(appid)

    def _rebuild(self, appid: str) -> None:
        """Publish the status of every user who granted an application again."""
        after = ""
        while grants := self._directory.grants_of_application(appid, after, MAX_ENTRIES):
            map_concurrently(self._grants.republish, [grant.user for grant in grants])
            after = grants[-1].puid
        self._tracker.rebuilt(appid)
