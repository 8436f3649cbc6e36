"""``dpresence check``, ``migrate``, ``status`` and ``rotate``: the state of the service as a whole."""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import requests

from ..backends import at_stored_partitions, check_database, check_partitions, check_redis_server, load_directory
from ..clock import Clock
from ..errors import BackendUnavailable, SettingError
from ..push.vapid import renewed
from ..secret_files import create
from ..settings import Settings
from ..worker import CHECK_VARIABLE
from .context import CommandFailed, Context, Subparsers, add, add_group
from .sql import sqlite_file

LONG_SECONDS = 3600
"""Deadline of a command whose duration depends on the amount of data."""
_PSERVE = "import sys; from dpresence.pserve import main; sys.exit(main())"
_ANSWER_SECONDS = 5


def add_commands(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the commands of this module."""
    checking = add(commands, common, "check", "check everything that would stop a start, without starting", _check)
    checking.add_argument("file", metavar="INI", nargs="?", type=Path, help="instead of --ini")
    migrating = add(commands, common, "migrate", "upgrade the database to this version; a start also does this", _migrate, LONG_SECONDS)
    migrating.add_argument("--check", action="store_true", help="change nothing; exit with 1 if the database is not of this version")
    add(commands, common, "status", "show whether the service runs, and how much it stores", _status)
    rotating = add_group(commands, "rotate", "replace secrets of the service")
    add(rotating, common, "secret", "write a new secret into the file of identity.secret_file", _rotate)
    add(rotating, common, "vapid", "make the keys for Web Push, or replace the older one, in the file of push.key_file", _rotate_vapid)


def _check(options: argparse.Namespace, context: Context) -> int:
    if options.file:
        context.ini = options.file.absolute()
    errors = start_errors(context)
    for error in errors:
        context.output.write(error, error=error)
    if not errors:
        context.output.write(f"{context.ini}: a start would succeed", ini=str(context.ini), ok=True)
    return int(bool(errors))


def start_errors(context: Context) -> list[str]:
    """Return everything that would stop a start."""
    return [error for error in (_start_error(context), *_backend_errors(context)) if error]


def _start_error(context: Context) -> str:
    """Return what stops a start before it reaches a backend, "" if nothing does. The same code runs as in a start."""
    context.section("app:main")  # a file that does not exist is an error of the command
    arguments = [sys.executable, "-c", _PSERVE, str(context.ini)]
    environment = {**os.environ, CHECK_VARIABLE: "1"}
    done = subprocess.run(arguments, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
    return lines[-1].removeprefix("dpresence does not start: ") if done.returncode else ""


def _backend_errors(context: Context) -> list[str]:
    """Return what stops a start at a backend."""
    try:
        settings = context.settings
    except SettingError:
        return []  # ``_start_error`` names it
    found = []
    present = at_stored_partitions(settings, context.clock)
    servers = (partial(check_redis_server, present, name) for name in present.by_redis_server())
    for check in (partial(_check_database, settings, context.clock), *servers):
        try:
            check()
        except SettingError as error:
            found.append(str(error))
        except BackendUnavailable as error:
            found.append(error.for_operator())
    return found


def _check_database(settings: Settings, clock: Clock) -> None:
    path = sqlite_file(settings)
    if path and not path.exists():
        if not os.access(path.parent, os.W_OK):
            raise SettingError(f"directory.url: must be in a folder that can be written to ({path.parent})")
        return
    *_, mode = check_database(settings, clock)
    wanted = "development" if settings.identity.development else "production"
    if mode and mode != wanted:
        raise SettingError(f"directory.url: must be a {wanted} database; this one was made by a {mode} service")
    check_partitions(settings, clock)


def _migrate(options: argparse.Namespace, context: Context) -> int:
    if options.check:
        present, newest, _ = check_database(context.settings, context.clock)
        text = (
            "the database is of this version" if present == newest else f"the database has revision {present}; this version needs {newest}"
        )
        context.output.write(text, present=present, newest=newest)
        return int(present != newest)
    load_directory(context.settings, context.clock).close()
    revision, *_ = check_database(context.settings, context.clock)
    context.output.write("the database is up to date", present=revision, newest=revision)
    return 0


def _status(options: argparse.Namespace, context: Context) -> None:
    stored = {**context.directory.counts(), "pending_changes": len(context.directory.outbox(None, 0, 1000))}
    url = service_url(context)
    version, health = _answer(context, f"{url}/__version__"), _answer(context, f"{url}/__heartbeat__")
    storage = context.settings.storage
    context.output.show(
        address=url,
        running=version is not None,
        version=(version or {}).get("version"),
        healthy=bool(health) and all(value is True for value in (health or {}).values() if isinstance(value, bool)),
        backends=[f"{name} {'ok' if good is True else 'fails'}" for name, good in (health or {}).items() if isinstance(good, bool)],
        redis=(health or {}).get("redis"),
        tracker=storage.tracker,
        mailbox=storage.mailbox,
        workers=context.server.workers,
        **stored,
    )


def service_url(context: Context) -> str:
    """Return the URL at which this machine reaches the service that the ini describes."""
    server, path = context.server, context.settings.identity.path
    host = {"": "[::1]", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(server.host, f"[{server.host}]" if ":" in server.host else server.host)  # noqa: S104
    return f"{'https' if server.certfile else 'http'}://{host}:{server.port}{path}"


def _answer(context: Context, url: str) -> dict[str, Any] | None:
    """Return the object that the service answers, None if it does not."""
    warnings.simplefilter("ignore")  # the certificate is for the public name, not for this address
    try:
        answer = requests.get(url, timeout=_ANSWER_SECONDS, verify=not context.server.certfile)
        found = answer.json()
    except (requests.RequestException, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _rotate(options: argparse.Namespace, context: Context) -> None:
    file = Path(context.settings.identity.secret_file)
    _replace(file, secrets.token_urlsafe(48))
    context.note("replaced the secret of identity.secret_file")
    text = f"{file}: replaced. Copy it to every machine and reload the service; sign-ins in progress must begin again"
    context.changed(text, file=str(file), done="rotated")


def _rotate_vapid(options: argparse.Namespace, context: Context) -> None:
    file = Path(context.settings.push.key_file)
    before = file.read_text(encoding="ascii", errors="replace") if file.exists() else ""
    _replace(file, renewed(before))
    context.note("replaced the keys of push.key_file" if before else "made the keys of push.key_file")
    stays = "; the key before it stays valid for the browsers that have subscribed with it" if before else ""
    text = f"{file}: {'replaced' if before else 'made'}. Copy it to every machine and reload the service{stays}"
    context.changed(text, file=str(file), done="rotated")


def _replace(file: Path, content: str) -> None:
    """Replace a file with a secret by a new one for the same user.

    :raises CommandFailed: that failed, and the file is as it was.
    """
    new = file.with_name(f"{file.name}.new")
    try:
        new.unlink(missing_ok=True)  # of an attempt that was interrupted
        with open(create(new), "w", encoding="ascii") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        if file.exists() and os.geteuid() == 0:
            os.chown(new, file.stat().st_uid, file.stat().st_gid)
        new.replace(file)
    except OSError as error:
        raise CommandFailed(f"{file}: {error.strerror}; it is unchanged") from None
