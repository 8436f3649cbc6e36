"""The commands of an application's service: ``watch`` and ``notify``."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any, Callable

from ..errors import InvalidKey
from ..sync import AppService
from .output import Output

_UNKNOWN = "The statuses are not known: the service does not answer."
URGENCIES = ("very-low", "low", "normal", "high")


def add_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    watch = commands.add_parser("watch", help="show an application's users and their statuses until Ctrl-C")
    _add_application(watch)
    watch.set_defaults(run=_watch)
    notify = commands.add_parser("notify", help="send a notification to a user of an application")
    _add_application(notify)
    notify.add_argument("puid", help="the user's identifier for this application")
    notify.add_argument("message", help="up to 512 characters")
    notify.add_argument("--action", default="", help="a word, or a URL on the application's domain")
    notify.add_argument("--source", help="name of the sender; default: the application's")
    notify.add_argument("--ttl", type=int, help="seconds that it may wait; default: a day")
    notify.add_argument("--topic", help="replaces the notification of the same topic that waits")
    notify.add_argument("--idempotency", metavar="KEY", help="the same key again is the same notification, for a day")
    notify.add_argument("--urgency", choices=URGENCIES, help="low ones are not pushed; default: normal")
    notify.set_defaults(run=_notify)


def _add_application(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("appid")
    parser.add_argument("--key-file", type=Path, help="file with the API key; default: the key is in $DPRESENCE_KEY")


def _service(options: argparse.Namespace, on_current: Callable[[bool], None] | None = None) -> AppService:
    key = options.key_file.read_text(encoding="utf-8").strip() if options.key_file else os.environ.get("DPRESENCE_KEY", "")
    if not key:
        raise InvalidKey(105, "no API key: give --key-file, or set DPRESENCE_KEY")
    return AppService(options.service, options.appid, key, on_current=on_current)


def _watch(options: argparse.Namespace, output: Output) -> None:
    def tell(current: bool) -> None:
        if output.is_terminal:
            _show(app, output)
        else:
            output.result({"current": current}, "The statuses are current." if current else _UNKNOWN)

    with _service(options, tell) as app:
        if output.is_terminal:
            _show(app, output)
        elif not app.connected:  # so far no connection was lost, of which ``tell`` would be told
            tell(False)
        for change in app:
            if output.is_terminal:
                _show(app, output)
            else:
                output.result(change._asdict(), f"{_time(change.at)}  {change.puid}  {change.status}  {change.reason}")


def _show(app: AppService, output: Output) -> None:
    """Show the table; while it is not current, no status, so that nobody looks online who is gone."""
    rows = [(entry.status, puid, _time(entry.at)) if app.current else ("unknown", puid, "") for puid, entry in app.table.items()]
    output.table(("status", "puid", "since"), sorted(rows, key=lambda row: (row[0] == "offline", row)))


def _time(milliseconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(milliseconds / 1000))


def _notify(options: argparse.Namespace, output: Output) -> None:
    given = {name: getattr(options, name) for name in ("action", "source", "ttl", "topic", "idempotency", "urgency")}
    with _service(options) as app:
        answer = app.notify(options.puid, options.message, **given)
    waits = "It was not sent to a device, and waits for none." if options.ttl == 0 else "It waits until a device gets it."
    output.result(answer._asdict(), f"{answer.id}: {'It was sent to a device.' if answer.delivered else waits}")
