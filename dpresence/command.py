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
from .errors import BackendUnavailable, NotFound, SettingError
from .ini import load as load_settings
from .ini_file import read_section
from .model import canonical_email
from .service.administration import Administration

_ON_ACCOUNTS = {
    "unpin": "let the next sign-in of an e-mail pin its account to another issuer; sign it out everywhere and deactivate its applications",
    "block": "refuse every sign-in to an account; sign it out everywhere and deactivate its applications",
    "unblock": "let an account sign in again",
}
_ON_APPLICATIONS = {
    "stop": "deactivate an application; its developer cannot activate it",
    "start": "let the developer of a stopped application activate it again",
}


def _parser() -> argparse.ArgumentParser:
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
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    given = _parser().parse_args(arguments)
    try:
        print(_run(given))
    except NotFound as error:
        print(error.error)
        return 1
    except (SettingError, BackendUnavailable, FileNotFoundError, LookupError) as error:
        print(f"dpresence: {error}", file=sys.stderr)
        return 1
    return 0


def _run(given: argparse.Namespace) -> str:
    """Run a command and return its message.

    :raises NotFound: there is no account or application of that name.
    """
    with closing(_directory(given.ini)) as directory:
        if given.command == "migrate":
            return "the database is up to date"
        if given.command in _ON_ACCOUNTS:
            return _change_account(Administration(directory), given)
        if given.command == "merge":
            return _merge(Administration(directory), given)
        return _change_application(Administration(directory), given)


def _directory(ini: str) -> Directory:
    path = Path(ini).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {ini}")
    return load_directory(load_settings(read_section(path, "app:main"), str(path.parent)), Clock())


def _change_account(administration: Administration, given: argparse.Namespace) -> str:
    if given.command == "unpin":
        administration.unpin(given.email, given.same)
    else:
        administration.block(given.email, given.command == "block")
    return f"{canonical_email(given.email)}: {given.command} done"


def _merge(administration: Administration, given: argparse.Namespace) -> str:
    administration.merge(given.email, given.into)
    return f"{canonical_email(given.email)}: merged into {canonical_email(given.into)}"


def _change_application(administration: Administration, given: argparse.Namespace) -> str:
    application = administration.stop(given.appid, given.command == "stop")
    return f"{application.domain}: {given.command} done"


if __name__ == "__main__":
    sys.exit(main())
