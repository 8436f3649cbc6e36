"""The file of an SQLite database: created for its owner only, locked by one service, and checked while it is open."""

from __future__ import annotations

import fcntl
import logging
import os

from ...errors import BackendUnavailable, SettingError
from ...secret_files import give_to_owner_of_folder, warn_of_readers

log = logging.getLogger(__name__)

_ALONE = (
    "must be a database that no other service uses while tracker = memory, which is known to one process only: stop the other "
    "service, or give this one a database of its own; tracker = redis is for several"
)
_TOGETHER = "must not be used by a service with tracker = memory: stop that one, or give this one a database of its own"


class DatabaseFile:
    """The database file that was opened, for as long as the process uses it.

    :param path: path of the database, which is created if it does not exist.
    :param alone: whether no other service may use the file; None for a process that is not a service, such as the operator's command.
    :raises SettingError: the file cannot be opened, or another service uses it; names ``directory.url``.
    """

    def __init__(self, path: str, alone: bool | None) -> None:
        self.path = os.path.realpath(path)
        self._setting = f"directory.url = sqlite:///{path}"
        self._lock: int | None = None
        self._lost = False
        os.close(self._open(self.path))
        self._opened = self._identity()
        warn_of_readers(self.path, "everybody's e-mail addresses")
        if alone is not None:
            self._claim(alone)

    def check(self) -> None:
        """Verify that the opened file is still at its path; writes to a deleted file would be lost.

        :raises BackendUnavailable: the file was deleted or moved, or another one is at its path.
        """
        lost = self._identity() != self._opened
        if lost and not self._lost:
            log.error(
                "database: %s was deleted, moved or replaced under the service: put it back, or restore a backup; a restart alone "
                "begins with an empty database",
                self.path,
            )
        self._lost = lost
        if lost:
            raise BackendUnavailable

    def close(self) -> None:
        """Release the lock. Idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _open(self, path: str) -> int:
        """Open or create a file with mode 0600, before SQLite creates it with a wider mode; SQLite uses the same mode for -wal and -shm."""
        try:
            return give_to_owner_of_folder(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), path)
        except OSError as error:
            raise SettingError(f"directory.url: must be a file that can be opened ({error.strerror})") from None

    def _claim(self, alone: bool) -> None:
        """Hold a lock until the process ends. The lock file is separate: NFS would confuse a lock on the database with SQLite's own."""
        self._lock = self._open(f"{self.path}.lock")
        try:
            fcntl.flock(self._lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise SettingError(f"{self._setting}: {_ALONE if alone else _TOGETHER}") from None
        if alone:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def service_pid(self) -> int | None:
        """Return the process of the service that uses the file alone; None if there is none, or if it is in another container."""
        try:
            lock = os.open(f"{self.path}.lock", os.O_RDONLY)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(lock, 20).decode()
            return int(pid) if pid.isdigit() and _has_open(int(pid), lock) else None
        finally:
            os.close(lock)
        return None


def _has_open(pid: int, file: int) -> bool:
    """Return whether a process has a file open. A process of another container may have the same number as one of this one."""
    found = os.fstat(file)
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    return any(_is_same(f"/proc/{pid}/fd/{name}", found) for name in names if name != "0")


def _is_same(path: str, found: os.stat_result) -> bool:
    """Return whether a path leads to a file; False for one that another process has closed meanwhile."""
    try:
        there = os.stat(path)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino)
