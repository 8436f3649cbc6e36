"""The operator's command: ``dpresence migrate``, ``unpin``, ``block`` and ``unblock`` (docs/operations.md)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .backends import Backends, load
from .clock import Clock
from .errors import BackendUnavailable, SettingError
from .ini import load as load_settings
from .ini_file import read_section
from .model import canonical_email

_ON_ACCOUNTS = {
    "unpin": "let the next sign-in of an e-mail pin its account to another issuer",
    "block": "let nobody sign in to an account; a running service signs its devices out at its next sweep",
    "unblock": "undo it",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="dpresence", description="Work on the data of a dpresence service.")
    parser.add_argument("--ini", default="presence.ini", help="the service's ini (presence.ini)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="bring the database to this version; the service does it at its start, too")
    for name, purpose in _ON_ACCOUNTS.items():
        commands.add_parser(name, help=purpose).add_argument("email")
    given = parser.parse_args(arguments)
    try:
        return _migrate(given.ini) if given.command == "migrate" else _change_account(given.ini, given.command, given.email)
    except (SettingError, BackendUnavailable, FileNotFoundError, LookupError) as error:
        print(f"dpresence: {error}", file=sys.stderr)
        return 1


def _backends(ini: str) -> Backends:
    path = Path(ini).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {ini}")
    return load(load_settings(read_section(path, "app:main"), str(path.parent)), Clock())


def _migrate(ini: str) -> int:
    backends = _backends(ini)
    backends.close()
    print("the database is up to date")
    return 0


def _change_account(ini: str, command: str, email: str) -> int:
    backends, email = _backends(ini), canonical_email(email)
    found = backends.directory.unpin(email) if command == "unpin" else backends.directory.block(email, command == "block")
    backends.close()
    print(f"{email}: {command} done" if found else f"there is no account of {email}")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
