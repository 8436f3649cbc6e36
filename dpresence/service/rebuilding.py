"""Rebuilds an application's feed that was damaged in the tracker's store, from the directory and the devices."""

from __future__ import annotations

import logging

import gevent
from gevent.pool import Pool

from ..backends.directory import Directory
from ..backends.tracker import Tracker
from ..errors import BackendUnavailable
from ..messages import MOST_ENTRIES
from .grants import Grants

log = logging.getLogger(__name__)

_GREENLETS = 20
_RETRY_SECONDS = 1.0


class Rebuilding:
    """Rebuilds feeds, one at a time per application. Its service receives errno 201 meanwhile, and a snapshot afterwards."""

    def __init__(self, directory: Directory, tracker: Tracker, grants: Grants) -> None:
        self._directory = directory
        self._tracker = tracker
        self._grants = grants
        self._running: set[str] = set()

    def start(self, appid: str) -> None:
        """Rebuild a feed in a new greenlet. Does not block."""
        if appid not in self._running:
            self._running.add(appid)
            gevent.spawn(self._run, appid)

    def _run(self, appid: str) -> None:
        log.warning("the feed of application %s is damaged and is rebuilt", appid)
        try:
            while not self._rebuild(appid):
                gevent.sleep(_RETRY_SECONDS)
        finally:
            self._running.discard(appid)

    def _rebuild(self, appid: str) -> bool:
        """Publish the status of every user who granted an application again; return False if a backend is unavailable."""
        after = ""
        try:
            while grants := self._directory.grants_of_application(appid, after, MOST_ENTRIES):
                for _ in Pool(_GREENLETS).imap_unordered(self._grants.republish, [grant.user for grant in grants]):
                    pass
                after = grants[-1].puid
            self._tracker.rebuilt(appid)
        except BackendUnavailable:
            return False
        return True
