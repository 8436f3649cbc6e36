"""Shared by the commands: the settings, the opened backends, the output, and the request to a running service."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..backends import check_database, load_directory, load_mailbox, send_signal
from ..clock import Clock
from ..errors import BackendUnavailable, NoDatabaseYet, SettingError
from ..ini import load, load_server
from ..ini_file import read_section
from ..service.administration import Administration
from ..settings import ServerSettings, Settings
from ..worker import CHANGES_SIGNAL
from .output import Output

if TYPE_CHECKING:
    from ..backends.directory.sql import SqlDirectory
    from ..backends.mailbox import Mailbox

Subparsers = Any
"""The type of ``add_subparsers``, which argparse does not export."""


class CommandFailed(Exception):
    """The command does not do it; the text says why."""


class NotStartedYet(CommandFailed):
    """The command needs a database, and no start of the service has created one."""


class Context:
    """One command. Backends are opened when they are first used, and closed at its end.

    :param ini: path of the ini.
    """

    def __init__(self, ini: Path, output: Output) -> None:
        self.ini = ini.absolute()
        self.output = output
        self.clock = Clock()
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    def section(self, name: str) -> dict[str, str]:
        """Return a section of the ini.

        :raises SettingError: the ini cannot be read.
        """
        try:
            if not self.ini.is_file():
                raise SettingError(f"no such file: {self.ini}; --ini names the service's ini")
            return read_section(self.ini, name)
        except OSError as error:
            raise SettingError(f"{self.ini}: {error.strerror}") from None

    @cached_property
    def settings(self) -> Settings:
        """The settings of ``[app:main]``."""
        return load(self.section("app:main"), str(self.ini.parent))

    @cached_property
    def server(self) -> ServerSettings:
        """The settings of ``[server:main]``."""
        return load_server(self.section("server:main"), str(self.ini.parent))

    @cached_property
    def directory(self) -> SqlDirectory:
        """The directory, migrated to this version.

        :raises NotStartedYet: there is no database; a command does not create it.
        """
        self._check_database()
        directory = load_directory(self.settings, self.clock)
        self._opened.callback(directory.close)
        return directory

    def _check_database(self) -> None:
        try:
            if check_database(self.settings, self.clock)[0] is None:
                raise NoDatabaseYet("directory.url: the database is empty; the first start creates its tables")
        except NoDatabaseYet as error:
            raise NotStartedYet(f"the service has not been started yet: {error}") from None

    @cached_property
    def mailbox(self) -> Mailbox:
        """The mailbox."""
        mailbox = load_mailbox(self.settings, lambda: self.directory)
        self._opened.callback(mailbox.close)
        return mailbox

    @cached_property
    def administration(self) -> Administration:
        """The operations on accounts and applications."""
        return Administration(self.directory)

    def note(self, what: str) -> None:
        """Log what was done, unless no service has been started yet, or the database cannot be used now."""
        with suppress(NotStartedYet, BackendUnavailable, SettingError):
            self.administration.note(what)

    def changed(self, text: str, **values: Any) -> None:
        """Have a running service apply a change at once, and write the result."""
        applied = self.apply()
        when = "" if applied else "; no service could be asked: a running one applies it within two sweeps, another one after its start"
        self.output.write(text + when, **values, applied=applied)

    def apply(self) -> bool:
        """Ask the running service to apply the entries of the outbox; return False if none could be asked."""
        if self.settings.storage.tracker == "redis":
            try:
                send_signal(self.settings, self.directory, "changes", str(self.directory.version().revision))
            except (NotStartedYet, BackendUnavailable, SettingError):  # what was done is done, whatever is wrong with Redis
                return False
            return True
        try:
            pid = self.directory.database.service_pid()
            if pid is None:
                return False
            os.kill(pid, CHANGES_SIGNAL)
        except (NotStartedYet, BackendUnavailable, SettingError, OSError):  # OSError: it has ended, or belongs to another user
            return False
        return True


def add(
    commands: Subparsers, common: argparse.ArgumentParser, name: str, purpose: str, run: Callable[..., Any], seconds: float = 60
) -> argparse.ArgumentParser:
    """Add one command.

    :param common: the options that every command has.
    :param run: called with the options and the context; returns the exit status or None.
    :param seconds: the deadline if none is given.
    """
    found: argparse.ArgumentParser = commands.add_parser(name, help=purpose, description=purpose, parents=[common])
    found.set_defaults(run=run, seconds=seconds)
    return found


def add_group(commands: Subparsers, name: str, purpose: str) -> Subparsers:
    """Add a command whose own commands follow it."""
    group = commands.add_parser(name, help=purpose, description=purpose)
    return group.add_subparsers(dest="what", required=True, metavar="COMMAND")
