"""The operator's command ``dpresence`` (docs/operations.md).

It changes only the directory. The effects of a change are in the outbox, and a running service applies them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from .backends import load_directory
from .backends.directory import Directory
from .clock import Clock
from .errors import BackendUnavailable, SettingError
from .ini import load as load_settings
from .ini_file import read_section
from .model import canonical_email

_ON_ACCOUNTS = {
    "unpin": "let the next sign-in of an e-mail pin its account to another issuer; sign it out everywhere and deactivate its applications",
    "block": "refuse every sign-in to an account; sign it out everywhere and deactivate its applications",
    "unblock": "let an account sign in again",
}
_ON_APPLICATIONS = {
    "stop": "deactivate an application; its developer cannot activate it",
    "start": "let the developer of a stopped application activate it again",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="dpresence", description="Administer the data of a dpresence service.")
    parser.add_argument("--ini", default="presence.ini", help="the service's ini (default: presence.ini)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="upgrade the database to this version; the service also does this at every start")
    for name, purpose in _ON_ACCOUNTS.items():
        on_account = commands.add_parser(name, help=purpose)
        on_account.add_argument("email")
        if name == "unpin":
            on_account.add_argument("--same", action="store_true", help="also let the present issuer and subject pin it again")
    merging = commands.add_parser("merge", help="move the grants and applications of an account to another one, and delete the first")
    merging.add_argument("email", help="the e-mail of the account that is deleted")
    merging.add_argument("into", help="the e-mail of the account that stays")
    for name, purpose in _ON_APPLICATIONS.items():
        commands.add_parser(name, help=purpose).add_argument("appid")
    given = parser.parse_args(arguments)
    try:
        said, status = _run(given)
    except (SettingError, BackendUnavailable, FileNotFoundError, LookupError) as error:
        print(f"dpresence: {error}", file=sys.stderr)
        return 1
    print(said)
    return status


def _run(given: argparse.Namespace) -> tuple[str, int]:
    """Return the message of a command and its exit status."""
    with closing(_directory(given.ini)) as directory:
        if given.command == "migrate":
            return "the database is up to date", 0
        if given.command in _ON_ACCOUNTS:
            return _change_account(directory, given.command, canonical_email(given.email), getattr(given, "same", False))
        if given.command == "merge":
            return _merge(directory, canonical_email(given.email), canonical_email(given.into))
        return _change_application(directory, given.command, given.appid)


def _directory(ini: str) -> Directory:
    path = Path(ini).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {ini}")
    return load_directory(load_settings(read_section(path, "app:main"), str(path.parent)), Clock())


def _change_account(directory: Directory, command: str, email: str, same: bool) -> tuple[str, int]:
    found = directory.unpin(email, same) if command == "unpin" else directory.block(email, command == "block")
    return (f"{email}: {command} done", 0) if found else (f"there is no account of {email}", 1)


def _merge(directory: Directory, email: str, into: str) -> tuple[str, int]:
    if directory.merge(email, into):
        return f"{email}: merged into {into}", 0
    return f"{email} and {into} must be two accounts", 1


def _change_application(directory: Directory, command: str, appid: str) -> tuple[str, int]:
    changes = {"active": False, "stopped": True} if command == "stop" else {"stopped": False}
    found = directory.change_application(appid, changes)
    return (f"{found.domain}: {command} done", 0) if found else (f"there is no application {appid}", 1)


if __name__ == "__main__":
    sys.exit(main())
