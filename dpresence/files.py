"""The limit of open files, and the number of sockets that a process may open within it."""

from __future__ import annotations

import logging
import os
import resource

from .errors import SettingError

log = logging.getLogger("dpresence.server")

OPEN_FILES = 36
"""Files that a process may have open before it serves. More count as well, if it has inherited them."""
OTHER_FILES = 64
"""Files reserved for the database, Redis, fetches and the heartbeat. With a low limit, a quarter of the limit is reserved instead."""
SPARE = 100
"""Connections accepted beyond ``channels.sockets``, so that they can be answered with 503."""
MIN_SOCKETS = 8
"""Minimum number of sockets. With fewer the service does not start."""


def limit_of(pid: int | None) -> int:
    """Return up to how many files a process may raise its limit; None for this process. An unlimited number counts as 2**31."""
    _, hard = resource.prlimit(pid or 0, resource.RLIMIT_NOFILE)
    return 2**31 if hard == resource.RLIM_INFINITY else hard


def files_needed(sockets: int, used: int = 0) -> int:
    """Return the limit of open files that suffices for ``channels.sockets``.

    :param used: number of files that are open before the process serves, if it is known.
    """
    return sockets + SPARE + OTHER_FILES + max(OPEN_FILES, used)


def free_files(sockets: int) -> int:
    """Raise this process's limit of open files as far as needed and allowed, and return how many sockets may be open.

    :param sockets: ``channels.sockets``. A result below that and ``SPARE`` is logged.
    :raises SettingError: the limit allows fewer than ``MIN_SOCKETS``.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    wanted = files_needed(sockets, used)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    soft = wanted if soft == resource.RLIM_INFINITY else soft
    free = soft - used - min(OTHER_FILES + max(OPEN_FILES - used, 0), soft // 4)
    if free < MIN_SOCKETS:
        raise SettingError(f"the limit of open files is {soft}: must be at least {used + 2 * MIN_SOCKETS + soft // 4} (ulimit -n)")
    if free < sockets + SPARE:
        log.warning("the limit of open files is %d: it allows %d connections; channels.sockets needs %d", soft, free, wanted)
    return free
