"""Protection of secrets: warnings about file permissions, and removal of passwords in URLs from error texts."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

log = logging.getLogger(__name__)

_PASSWORD_IN_URL = re.compile(r"://[^/@]*:[^/@]+@|[?&][^=&#]*(password|secret|token)=[^&#]", re.IGNORECASE)
_SECRET_KEYS = re.compile(r"(^|[._])(password|client_secret|secret|token)$")


def warn_of_readers(path: str, holds: str) -> None:
    """Log a warning if other users than its owner may read or write a file; see ``others_may_access``. A missing file is ignored.

    :param holds: the content of the file, for the message.
    """
    _warn(readers(path, holds))


def readers(path: str, holds: str) -> str:
    """Return the warning of ``warn_of_readers``, "" if there is nothing to warn of."""
    found = _status(path)
    if not found or not others_may_access(found):
        return ""
    mode, right = stat.S_IMODE(found.st_mode), 640 if _is_for_group(found) else 600
    return f"{path} holds {holds}, and others may read or write it (mode {mode:04o}): chmod {right} {path}"


def others_may_access(found: os.stat_result) -> bool:
    """Return whether other users than the owner of a file may read or write it.

    The group may read a file that belongs to root if this process is in the group, as is common below ``/etc`` and in Kubernetes.
    If this process runs as root, the group may be any but root's: it may be that of the service.
    """
    return bool(found.st_mode & (0o037 if _is_for_group(found) else 0o077))


def _is_for_group(found: os.stat_result) -> bool:
    groups = {os.getegid(), *os.getgroups()}
    return found.st_uid == 0 and (found.st_gid != 0 if os.geteuid() == 0 else found.st_gid in groups)


def warn_of_writers(path: str, holds: str) -> None:
    """Log a warning if other users than its owner may write a file that contains no secrets; see ``warn_of_readers``."""
    _warn(writers(path, holds))


def writers(path: str, holds: str) -> str:
    """Return the warning of ``warn_of_writers``, "" if there is nothing to warn of."""
    found = _status(path)
    if not found or not found.st_mode & 0o022:
        return ""
    return f"{path} holds {holds}, and others may write it (mode {stat.S_IMODE(found.st_mode):04o}): chmod go-w {path}"


def _warn(text: str) -> None:
    if text:
        log.warning("%s", text)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def warn_of_secrets(path: str, ini: Mapping[str, str]) -> None:
    """Log a warning if other users may access an ini whose ``[app:main]`` contains a password or a secret.

    :param path: path of the ini.
    :param ini: the keys and values of ``[app:main]``.
    """
    if any(value and (_SECRET_KEYS.search(key) or _PASSWORD_IN_URL.search(value)) for key, value in ini.items()):
        warn_of_readers(path, "passwords or secrets")


def without_url_values(words: str, url: str) -> str:
    """Return a driver's error text without what may be a password in the wrong place of a URL.

    These are the values of options, the path of a socket, and a host that looks like none: the operator may have written
    ``redis://password`` instead of ``redis://:password@..``.
    """
    parts = urlsplit(url)
    values = {value: f"the value of {name}" for name, value in parse_qsl(parts.query)}
    if parts.scheme == "unix":
        values[parts.path] = "the path of its URL"
    if not set(parts.netloc) & set("@:."):
        values[parts.netloc] = "the host of its URL"
    for value in sorted(filter(None, values), key=len, reverse=True):
        words = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", values[value], words, flags=re.IGNORECASE)
    return words


def driver_message(error: Exception) -> str:
    """Return a driver's error message without PostgreSQL's DETAIL, which repeats values."""
    cause = getattr(error, "orig", None) or error
    return getattr(getattr(cause, "diag", None), "message_primary", None) or str(cause).partition("\n")[0]


def create(path: str | Path) -> int:
    """Create a file that only its owner may read and write; return its descriptor.

    :raises FileExistsError: there is such a file.
    """
    return give_to_owner_of_folder(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), path)


def give_to_owner_of_folder(descriptor: int, path: str | Path) -> int:
    """Let a file belong to the owner of its folder if root made it there: the service's user could not open it. Return its descriptor."""
    if os.geteuid() == 0 and os.fstat(descriptor).st_uid == 0:
        folder = Path(path).absolute().parent.stat()
        if folder.st_uid:
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return descriptor
