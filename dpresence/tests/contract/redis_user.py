"""A program that uses a Redis as a service does: a signal between two trackers, and a mailbox. ``warm`` runs it in a fork."""

from __future__ import annotations

import json
import sys

import gevent

from dpresence.backends.mailbox.redis import RedisMailbox
from dpresence.backends.redis.connections import ConnectionFactory
from dpresence.backends.tracker.redis import RedisTracker
from dpresence.backends.tracker.redis_server import TrackerServer
from dpresence.clock import Clock
from dpresence.errors import BackendUnavailable
from dpresence.settings import PresenceSettings, RedisSettings

from .mailbox import kept, push


def _server() -> ConnectionFactory:
    return ConnectionFactory(RedisSettings(**json.loads(sys.argv[1]), timeout_seconds=10.0))


def main() -> str | None:
    """Print "OK", or end with "unavailable"; the argument is the settings of ``redis``, as JSON."""
    settings = PresenceSettings()
    try:
        one, two = (RedisTracker(TrackerServer(_server(), settings, Clock()), settings, Clock()) for _ in range(2))
    except BackendUnavailable:
        return "unavailable"
    received: list[tuple[str, str]] = []
    two.subscribe(lambda *signal: received.append(signal))
    one.signal("mail", "jane")
    with gevent.Timeout(60):
        while ("mail", "jane") not in received:
            gevent.sleep(0.01)
    mailbox = RedisMailbox(_server(), allow_volatile=False)
    mailbox.purge("jane")
    push(mailbox, *map(str, range(100)))
    assert len(kept(mailbox)) == 100
    for each in (one, two, mailbox):
        each.close()
    print("OK")
    return None
