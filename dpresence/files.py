"""The limit of open files: how many sockets it leaves to a process."""

from __future__ import annotations

import logging
import os
import resource

from .errors import SettingError

log = logging.getLogger("dpresence.server")

OTHER_FILES = 64
"""Open files kept for the database, Redis, fetches and the heartbeat; a quarter of all where the limit is low."""
LEAST_SOCKETS = 8
"""With room for fewer a service is of no use."""


def free_files(sockets: int) -> int:
    """Return how many sockets may be open, having raised this process's limit of open files as far as it goes.

    :param sockets: how many are wanted; fewer are said in the log.
    :raises SettingError: there is room for hardly anything.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    wanted = sockets + OTHER_FILES + used
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    soft = wanted if soft == resource.RLIM_INFINITY else soft
    free = soft - used - min(OTHER_FILES, soft // 4)
    if free < LEAST_SOCKETS:
        raise SettingError(f"the limit of open files is {soft}: must be at least {used + 2 * LEAST_SOCKETS + soft // 4} (ulimit -n)")
    if free < sockets:
        log.warning("the limit of open files is %d: %d connections are let in; channels.sockets needs %d", soft, free, wanted)
    return free
