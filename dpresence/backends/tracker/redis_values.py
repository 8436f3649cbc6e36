"""Encoding of arguments and decoding of results of the scripts in ``lua/``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gevent
import msgspec

from ...errors import BackendUnavailable
from ...model import FeedEntry
from ..redis.client import Operation
from ..redis.connections import ConnectionFactory
from . import PublishedCounts
from .cursors import offset_of

_DECODED_AT_ONCE = 2000
"""Entries decoded without yielding to the event loop, which takes a few milliseconds; a feed may have very many."""
_GRANTS_OF_UPDATE = 6
"""Position of the grants in an operation ``update``."""
_MIN_WEIGHT = 8
"""Weight of an operation on a user who has the maximum number of devices."""
_WEIGHTS = {"read": 10, "view": 100, "trim": 200, "find_lost": 50, "postponed": 50, "ended_grace": 25, "users": 25}


class Epochs:
    """The epochs of the server's data, in the order in which this process saw them, and the offsets of feeds.

    The server's offsets are unique within an epoch only. So each offset that leaves ``tracker/redis*.py`` has the position of its epoch
    in its upper bits: an offset of an earlier epoch, in an open channel for example, is never taken for one of the present feeds. The
    bits above are the number of the partition.

    :param partition: number of the partition.
    :ivar start: what is added to the server's offsets in the present epoch.
    """

    _BITS = 60  # the server's offsets are smaller, also those of forged cursors, see ``offset_of``
    _ALL_BITS = _BITS + 20

    def __init__(self, partition: int = 0) -> None:
        self._epochs = [""]
        self._first = self.start = partition << self._ALL_BITS
        self._run = 1

    @property
    def current(self) -> str:
        """The present epoch, ``""`` before the first registration."""
        return self._epochs[-1]

    def add(self, epoch: str, run: int) -> None:
        """Record the epoch of a registration, and the number of the run of the server."""
        self._run = run
        if not self.current:
            self._epochs = [epoch]
        elif epoch != self.current:
            self._epochs.append(epoch)
        self.start = self._first + (len(self._epochs) - 1 << self._BITS)

    def start_of(self, epoch: str) -> int:
        """Return what is added to the server's offsets in an epoch."""
        return self._first + (max(position for position, known in enumerate(self._epochs) if known == epoch) << self._BITS)

    @classmethod
    def partition_of_offset(cls, offset: int) -> int:
        """Return the number of the partition of an offset."""
        return offset >> cls._ALL_BITS

    def cursor(self, offset: int) -> str:
        """Return the cursor of an offset. It has the number of the run in which it was made, except in the first."""
        epoch, number = self.split(offset)
        return f"{epoch}.{self._run}:{number}" if self._run > 1 else f"{epoch}:{number}"

    def parse(self, cursor: str) -> tuple[int | None, int]:
        """Return the server's offset in a cursor, None if it is of another epoch or no cursor, and the number of its run."""
        given, colon, digits = cursor.partition(":")
        epoch, dot, run = given.partition(".")
        if dot and not (run.isascii() and run.isdigit() and len(run) < 10):
            return None, 0
        return offset_of(f"{epoch}{colon}{digits}", self.current), int(run or 1)

    def split(self, offset: int) -> tuple[str, int]:
        """Return the epoch of an offset, and the server's offset."""
        return self._epochs[offset - self._first >> self._BITS], offset & (1 << self._BITS) - 1


def key_prefix(server: ConnectionFactory, partition: int | None) -> str:
    """Return the prefix of the keys of a partition. The part in braces puts them into one slot of a Redis Cluster."""
    return f"{server.prefix}t:" if partition is None else f"{server.prefix}{{{partition}}}t:"


def fence_key(server: ConnectionFactory, partition: int | None) -> str:
    """Return the key that exists while no process may use a partition at a server; see ``lua/move.lua``."""
    return f"{key_prefix(server, partition)[:-2]}move:fence"


def refused(server: ConnectionFactory, partition: int | None) -> BackendUnavailable:
    """Return the error of a call for a partition, or None for that of a tracker of one partition, which its server does not open."""
    error = BackendUnavailable()
    error.backend = f"{server.setting}: the Redis {server.state.name}".rstrip()
    advice = f"it is being moved, or `dpresence partitions move {partition}` to this server opens it"
    if server.in_cluster:
        advice = "another node has it, or will have it"
    error.reason = f"refuses partition {partition}: {advice}"
    if partition is None:
        error.reason = (
            "refuses the tracker: it is being split, or was split after a backup of the database: see `dpresence partitions list`"
        )
    return error


def lock_key(server: ConnectionFactory, partition: int | None) -> str:
    """Return the key of the mover of a partition at a server."""
    return f"{key_prefix(server, partition)[:-2]}move:lock"


@dataclass
class Known:
    """The state of the server according to its last reply."""

    run: str = ""
    batches: int = 0


EncodedGrant = tuple[str, str, int, bool, bool, bool]
"""The parts of a grant that a script needs: ``appid``, ``puid``, ``since``, ``paused``, whether the process wants the new entry of the
application's feed in the answer, and whether the grant shows only ``online``."""


def decode_entry(text: str, start: int) -> FeedEntry:
    """Decode an entry as ``lua/feeds.lua`` writes it.

    :param start: see ``Epochs``.
    :raises ValueError: the text is not an entry.
    """
    fields: list[Any] = text.split(" ")
    offset, puid, status, at, reason = fields
    return FeedEntry(start + int(offset), puid, status, int(at), reason)


def decode_entries(text: str, start: int) -> list[FeedEntry]:
    """Decode lines of entries; yields to the event loop if there are very many.

    :param start: see ``Epochs``.
    :raises ValueError: a line is not an entry.
    """
    found: list[FeedEntry] = []
    for line in text.split("\n") if text else ():
        found.append(decode_entry(line, start))
        if len(found) % _DECODED_AT_ONCE == 0:
            gevent.sleep(0)
    return found


def weight(operation: Operation) -> int:
    """Return the approximate weight of an operation in a batch, in units of 20 microseconds; each grant of its user adds two."""
    name, longest = operation[0], 0
    if name == "update":  # nearly all are updates. Its only list are the grants
        return _MIN_WEIGHT + 2 * len(operation[_GRANTS_OF_UPDATE])
    for part in operation:
        if type(part) is list and len(part) > longest:
            longest = len(part)
    if name == "latest":
        return _MIN_WEIGHT + longest // 5
    return _WEIGHTS.get(name, _MIN_WEIGHT + 2 * longest)


def read_published(answer: tuple[Sequence[str], Sequence[str], Sequence[str]]) -> PublishedCounts:
    """Return what ``lua/figures.lua`` answers: texts, the counts of each process, and names and counts of those that have ended."""
    texts, counts, ended = answer
    total: Counter[str] = Counter()
    for text in counts:
        total.update(msgspec.json.decode(text, type=dict[str, float]))
    total.update(dict(zip(ended[::2], map(float, ended[1::2]), strict=True)))
    return PublishedCounts(texts, total)
