"""The command line of ``dpresence``: the parser, and the exit status of each error."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gevent

from .. import __version__
from ..errors import BackendUnavailable, NotFound, SettingError
from . import accounts, applications, backup, copy, doctor, grants, partitions, upkeep
from .context import CommandFailed, Context
from .output import Output

EXIT_CODES = """
exit status:
  0    done
  1    refused, not found, or (check, doctor, migrate --check) something has to be changed
  2    wrong arguments
  3    the ini or the environment is wrong
  4    the database or Redis does not answer
  5    not done within --deadline
  130  ended by Ctrl-C
  141  the program that reads the output has ended
"""
GROUPS = (upkeep, doctor, accounts, applications, grants, partitions, backup, copy)
"""Modules with a function ``add_commands``."""
MAX_SECONDS = 10_000_000
"""Maximum of ``--deadline``."""
_ID = re.compile(r"-[A-Za-z0-9_-]{15,21}$")


class _Parser(argparse.ArgumentParser):
    """Takes an id that begins with a hyphen for a value, even one that begins with an option's letter."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*arguments, **options)

    def _parse_optional(self, arg_string: str) -> Any:  # argparse has no public way
        is_id = _ID.match(arg_string) and arg_string not in self._option_string_actions
        return None if is_id else super()._parse_optional(arg_string)


class _NoCompletion(argparse.Action):
    """Refuses ``--print-completion`` and names the package that it needs."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        parser.error("--print-completion needs the package shtab: pip install shtab, or install dpresence with the extra [completion]")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = _Parser(prog="dpresence", description="Operate a dpresence service.", epilog=EXIT_CODES)
    found.add_argument("--version", action="version", version=__version__)
    _add_common(found, {"ini": Path("presence.ini"), "json": False, "deadline": None})
    common = argparse.ArgumentParser(add_help=False)
    _add_common(common, dict.fromkeys(("ini", "json", "deadline"), argparse.SUPPRESS))
    commands = found.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_commands(commands, common)
    shtab = _optional("shtab")
    if shtab:
        shtab.add_argument_to(
            found, ["--print-completion"], help='write the completion of a shell: eval "$(dpresence --print-completion bash)"'
        )
    else:
        found.add_argument("--print-completion", metavar="SHELL", action=_NoCompletion, help=argparse.SUPPRESS)
    return found


def _add_common(found: argparse.ArgumentParser, defaults: dict[str, Any]) -> None:
    """Add the options that every command has, before and after its name."""
    found.add_argument("--ini", type=Path, default=defaults["ini"], help="the service's ini (default: presence.ini)")
    found.add_argument("--json", action="store_true", default=defaults["json"], help="write one JSON object per line")
    found.add_argument("--deadline", type=_seconds, metavar="SECONDS", default=defaults["deadline"],
                       help="give up after so many seconds (default: 60; doctor 180; backup, restore, copy and migrate 3600)")  # fmt: skip


def _seconds(text: str) -> float:
    """Parse a deadline; argparse turns the error into exit status 2."""
    seconds = float(text) if re.fullmatch(r"[0-9.]+(e-?[0-9]+)?", text) else 0
    if not 0 < seconds <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"must be more than 0, and at most {MAX_SECONDS}")
    return seconds


def _optional(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:  # an extra of the package installs it
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command in this process; return the exit status."""
    return execute(parser().parse_args(arguments))


def seconds_of(options: argparse.Namespace) -> float:
    """Return the deadline of a command in seconds."""
    return float(options.deadline or options.seconds)


def execute(options: argparse.Namespace) -> int:
    """Execute a parsed command; return the exit status."""
    seconds = seconds_of(options)
    try:
        with gevent.Timeout(seconds), Context(options.ini, Output(sys.stdout, options.json)) as context:
            return int(options.run(options, context) or 0)
    except gevent.Timeout:
        return _fail(f"not done within {seconds:g} s", 5)
    except (NotFound, CommandFailed) as error:
        return _fail(error.error if isinstance(error, NotFound) else str(error), 1)
    except SettingError as error:
        return _fail(str(error), 3)
    except BackendUnavailable as error:
        return _fail(error.for_operator(), 4)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the program that reads the output has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes the rest of its buffer at exit, which would fail
        return 141
    except OSError as error:
        if error.errno is None:
            raise
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror), 1)


def _fail(text: str, status: int) -> int:
    sys.stderr.write(f"dpresence: {text}\n")
    return status


def log_to_stderr() -> None:
    """Show warnings of the service's modules, which name the cause of a failure, on standard error."""
    logging.basicConfig(format="%(levelname)s %(name)s %(message)s", level=logging.WARNING, stream=sys.stderr)
