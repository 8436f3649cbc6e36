"""``dpresence backup`` and ``restore``: database, secrets, ini and, if it is in Redis, the mailbox, as one folder."""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from .. import __version__
from ..backends import check_database, stored_partitions
from ..backends.partition_states import is_served, repairs
from ..errors import BackendUnavailable, SettingError
from ..secret_files import create
from ..settings import RedisSettings
from .context import CommandFailed, Context, Subparsers, add
from .sql import dump, is_filled, load_dump, name_in_backup
from .upkeep import LONG_SECONDS

T = TypeVar("T")

MANIFEST = "manifest.json"
FORMAT = 1
"""Version of the layout of a backup."""
_RESTORED = 1000
"""Notifications that are in memory while a mailbox is restored."""
_UNSUPPORTED = {errno.EINVAL, errno.EBADF, errno.EACCES}
"""Errors of a folder that cannot be synced, or not be opened for it."""
_MAILBOX, _INBOXES, _INI = "mailbox.jsonl", "inboxes.jsonl", "presence.ini"


def add_commands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the commands of this module."""
    saving = add(commands, common, "backup", "write a backup into a new folder, also while the service runs", _backup, LONG_SECONDS)
    saving.add_argument("folder", metavar="DIR", type=Path)
    restoring = add(commands, common, "restore", "restore a backup while the service is stopped", _restore, LONG_SECONDS)
    restoring.add_argument("folder", metavar="DIR", type=Path)
    restoring.add_argument("--force", action="store_true", help="overwrite a database, a secret and a mailbox that are not empty")
    restoring.add_argument("--check", action="store_true", help="only verify the backup")


def _backup(options: argparse.Namespace, context: Context) -> None:
    folder: Path = options.folder.absolute()
    if folder.exists():
        raise CommandFailed(f"{folder}: exists already; a backup needs a new folder")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(mode=0o700, parents=True)
        manifest = _write_parts(partial, context)
        _write(partial / MANIFEST, json.dumps(manifest, indent=2))
        _sync(*partial.iterdir(), partial)
        partial.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        raise CommandFailed(f"{folder}: {error.strerror}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    size = sum(path.stat().st_size for path in folder.iterdir())
    context.output.write(f"{folder}: written, {size} bytes", folder=str(folder), bytes=size, files=sorted(manifest["files"]))


def _write_parts(folder: Path, context: Context) -> dict[str, Any]:
    """Write everything but the manifest, and return that."""
    settings = context.settings
    database = name_in_backup(settings)
    revision, *_ = check_database(settings, context.clock)
    dump(settings, folder / database)
    if settings.storage.mailbox == "redis":
        for name, records in ((_MAILBOX, context.mailbox.records()), (_INBOXES, context.mailbox.inbox_records())):
            _write(folder / name, (f"{json.dumps(record)}\n" for record in records))
    for name, secret in _secrets(context).items():
        if secret.exists():
            _write(folder / name, secret.read_text(encoding="utf-8"))
    _write(folder / _INI, context.ini.read_text(encoding="utf-8-sig"))
    return {
        "format": FORMAT,
        "version": __version__,
        "revision": revision,
        "database": database,
        "made_at": context.clock.now(),
        "variables": sorted(name for name in os.environ if name.startswith("DPRESENCE_")),
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()},
    }


def _secrets(context: Context) -> dict[str, Path]:
    """Return the files with secrets of the service's own, by their names in a backup."""
    settings = context.settings
    return {"presence.secret": Path(settings.identity.secret_file), "presence-vapid.pem": Path(settings.push.key_file)}


def _write(file: Path, content: str | Iterator[str]) -> None:
    with open(create(file), "w", encoding="utf-8") as opened:
        opened.writelines([content] if isinstance(content, str) else content)


def _sync(*paths: Path) -> None:
    """Have the disk store files and folders, so that a loss of power does not undo them; some file systems cannot sync a folder."""
    for path in paths:
        try:
            _sync_one(path)
        except OSError as error:
            if error.errno not in _UNSUPPORTED or not path.is_dir():
                raise


def _sync_one(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def verified(folder: Path) -> dict[str, Any]:
    """Return the manifest of a backup whose files are complete.

    :raises CommandFailed: a file is missing or was changed, or another version made the backup.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for name, expected in manifest["files"].items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
                raise CommandFailed(f"{folder / name}: was changed after the backup")
    except (OSError, ValueError, KeyError) as error:
        raise CommandFailed(f"{folder}: is not a complete backup ({error})") from None
    if manifest.get("format") != FORMAT:
        raise CommandFailed(f"{folder}: was written by another version ({manifest.get('version')})")
    return manifest


def _restore(options: argparse.Namespace, context: Context) -> None:
    folder: Path = options.folder.absolute()
    manifest = verified(folder)
    if not options.check:
        _prepare(folder, context)
        _refuse_running(context)
        _refuse_loss(folder, manifest, options.force, context)
        load_dump(folder / manifest["database"], context.settings, context.clock)
        _restore_others(folder, manifest, context)
    first = [] if options.check else _partitions(repairs, context) or []
    text = f"{folder}: complete" if options.check else f"{folder}: restored; {'; '.join(first) or 'start the service'}"
    shown = {key: manifest[key] for key in ("version", "revision", "made_at", "variables")}
    context.output.write(text, folder=str(folder), first=first, **shown)


def _refuse_running(context: Context) -> None:
    """Refuse to replace the database of processes that run and share a tracker in Redis.

    :raises CommandFailed: a process runs.
    """
    if _partitions(is_served, context):
        raise CommandFailed("the service runs, as its processes are connected to Redis: stop all of them first")


def _partitions(examine: Callable[[RedisSettings, Sequence[str]], T], context: Context) -> T | None:
    """Return what a function finds about the partitions of a tracker in Redis; None without one, or if this cannot be known.

    :param examine: called with the servers of the partitions, none if the database does not exist, or is of another version.
    """
    settings, stored = context.settings, list[str]()
    if settings.storage.tracker != "redis":
        return None
    with suppress(SettingError, BackendUnavailable):
        stored += stored_partitions(settings, context.clock)
    with suppress(SettingError, BackendUnavailable, ModuleNotFoundError):
        return examine(settings.redis, stored)
    return None


def _prepare(folder: Path, context: Context) -> None:
    """Use the ini of the backup if there is none."""
    if not context.ini.exists():
        _write(context.ini, (folder / _INI).read_text(encoding="utf-8"))
    elif len({file.read_text(encoding="utf-8-sig", errors="replace") for file in (context.ini, folder / _INI)}) > 1:
        context.output.note(f"{context.ini} is not the ini of the backup, and stays as it is")


def _refuse_loss(folder: Path, manifest: dict[str, Any], force: bool, context: Context) -> None:
    """Refuse what would overwrite anything without ``--force``, and a backup for which the ini has no place, before anything is changed.

    :raises CommandFailed: something would be overwritten, or the backup is of another kind of database.
    :raises SettingError: the mailbox of the backup is not where the ini says.
    """
    settings = context.settings
    if name_in_backup(settings) != manifest["database"]:
        raise CommandFailed(
            f"the backup has {manifest['database']}, and directory.url is of the other kind: restore it there, and use dpresence copy"
        )
    kind = "redis" if _MAILBOX in manifest["files"] else "sql"
    if settings.storage.mailbox != kind:
        raise SettingError(f"mailbox: must be {kind}, as in the backup")
    filled = []
    if is_filled(settings, context.clock):
        filled.append("the database")
    for name, secret in _secrets(context).items():
        if name in manifest["files"] and secret.exists() and secret.read_bytes() != (folder / name).read_bytes():
            filled.append(str(secret))
    if settings.storage.mailbox == "redis" and (next(context.mailbox.records(), None) or next(context.mailbox.inbox_records(), None)):
        filled.append("the mailbox")
    if filled and not force:
        raise CommandFailed(f"not empty: {' and '.join(filled)}; --force overwrites")


def _restore_others(folder: Path, manifest: dict[str, Any], context: Context) -> None:
    for name, secret in _secrets(context).items():
        if name in manifest["files"]:
            secret.unlink(missing_ok=True)
            _write(secret, (folder / name).read_text(encoding="utf-8"))
    if _MAILBOX in manifest["files"]:
        context.mailbox.empty()
        records = _records(folder / _MAILBOX)
        while some := list(islice(records, _RESTORED)):
            context.mailbox.restore(some)
    if _INBOXES in manifest["files"]:  # not in a backup of an earlier version
        context.mailbox.load_inboxes(_records(folder / _INBOXES))


def _records(file: Path) -> Iterator[Any]:
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
