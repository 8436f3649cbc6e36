"""The limit of open files: each socket of the load and of the service needs one."""

from __future__ import annotations

import resource


def allow_open_files() -> None:
    """Raise the limit to what the system permits this process and its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard) if hard != resource.RLIM_INFINITY else (max(soft, 65536), hard))


def open_files() -> int:
    """Return the limit."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
