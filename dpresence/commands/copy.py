"""``dpresence copy``: the database, or the notifications of a mailbox, from one place to another."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from ..backends import load_mailbox
from ..backends.mailbox import InboxRecord, Record
from .context import CommandFailed, Context, Subparsers, add
from .output import Output
from .sql import copy_database
from .upkeep import LONG_SECONDS

MAILBOXES = ("sql", "redis")


def add_commands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the commands of this module."""
    purpose = "copy a database to an empty one, or the notifications from one mailbox to the other; stop the service first"
    copying = add(commands, common, "copy", purpose, _copy, LONG_SECONDS)
    copying.add_argument(
        "--from", dest="source", metavar="URL", required=True, help="as in directory.url, or sql or redis: a mailbox of the ini"
    )
    copying.add_argument("--to", dest="target", metavar="URL", required=True, help="the same; it must be empty")


def _copy(options: argparse.Namespace, context: Context) -> None:
    if options.source in MAILBOXES or options.target in MAILBOXES:
        _copy_mailbox(options, context)
        return
    counts: dict[str, int] = {}
    copy_database(_url(options.source), _url(options.target), context.clock, counts.__setitem__)
    context.output.show(**counts)


def _url(text: str) -> str:
    """Return the URL of a database; for an ini, which need not show its password to other users, that of the ini."""
    return Context(Path(text), Output(sys.stdout, False)).settings.storage.directory_url if text.endswith(".ini") else text


def _copy_mailbox(options: argparse.Namespace, context: Context) -> None:
    if {options.source, options.target} != set(MAILBOXES):
        raise CommandFailed("--from and --to must be two databases, or sql and redis")
    settings = context.settings
    source, target = (
        load_mailbox(replace(settings, storage=replace(settings.storage, mailbox=name)), lambda: context.directory)
        for name in (options.source, options.target)
    )
    if next(target.records(), None) or next(target.inbox_records(), None):
        raise CommandFailed(f"the mailbox in {options.target} has notifications: it must be empty")
    records = list(source.records())
    target.restore(records)
    entries = target.load_inboxes(source.inbox_records())
    same = sorted(map(_content, records)) == sorted(map(_content, target.records()))
    if not same or _digest(source.inbox_records()) != _digest(target.inbox_records()):
        raise CommandFailed("the copied notifications are not the same")
    context.output.show(notifications=len(records), inbox_entries=entries)


def _digest(entries: Iterator[InboxRecord]) -> int:
    """Return a digest of the entries of all inboxes, which does not depend on their order."""
    digest = 0
    for entry in entries:
        digest ^= int.from_bytes(sha256(json.dumps(entry, sort_keys=True).encode()).digest())
    return digest


def _content(record: Record) -> str:
    """Return what a copy preserves: SQL has no id of a notification that was received."""
    return json.dumps({**record, "id": "" if record["notification"] is None else record["id"]}, sort_keys=True)
