"""Results and an error of the methods of a tracker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from ...errors import BackendUnavailable


class StaleGrants(Exception):
    """The passed grants are older than a revision that the tracker has seen; nothing was changed. Load them and call again."""


class Connected(Struct, frozen=True):
    """The result of connecting a device.

    :param device: the device's name; a nameless device gets a generated one that starts with ``~``.
    :param replaced: the other connection that had the device before, if that was still open.
    :param resumed: the device was in grace.
    """

    device: str
    replaced: str | None
    resumed: bool = False


class Lost(NamedTuple):
    """Number of deleted devices.

    :param grace: their grace period had ended.
    :param process: the lease of their process had ended.
    """

    grace: int
    process: int


class PublishedCounts(NamedTuple):
    """Texts that all processes have published.

    :param reports: the texts of the processes that are alive, in any order.
    :param counts: the sums of the counts of all processes, also of those that have ended.
    """

    reports: Sequence[str]
    counts: Mapping[str, float]


Updated = Callable[[bool | BackendUnavailable | StaleGrants], None]
"""Receives the result or the error of an update: once, in the event loop, after ``begin_update`` has returned.

It must neither block nor raise.
"""
