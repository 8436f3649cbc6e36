"""The command ``dpresence-client``."""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import re
import signal
import sys
from typing import Any, Sequence

from .. import __version__
from ..core import STOPPED, log
from ..errors import PresenceError
from . import applications, devices, services, simulate
from .output import Output, printable

ABOUT = "Connect this computer as a device, watch an application's users, notify them, manage applications."
DEFAULT_URL = "http://127.0.0.1:8282"
EXIT_CODES = """
exit codes:
  0    done
  1    the service refused it, or does not answer; the text says why
  2    wrong arguments
  130  ended by Ctrl-C
"""

_ID = re.compile(r"-[A-Za-z0-9_-]{15,21}$")


class _Parser(argparse.ArgumentParser):
    """Takes an application's id or a PUID that begins with a hyphen for a value, even one that begins with an option's letter."""

    def _parse_optional(self, arg_string: str) -> Any:  # argparse has no public way
        is_id = _ID.match(arg_string) and arg_string not in self._option_string_actions
        return None if is_id else super()._parse_optional(arg_string)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = _Parser(prog="dpresence-client", description=ABOUT, epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter)
    url = os.environ.get("DPRESENCE_URL", DEFAULT_URL)
    found.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    found.add_argument("--service", metavar="URL", default=url, help="default: $DPRESENCE_URL, or %(default)s")
    found.add_argument("--json", action="store_true", help="write one JSON object per line")
    commands = found.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (devices, services, applications, simulate):
        module.add_commands(commands)
    _add_completion(found)
    return found


def _add_completion(found: argparse.ArgumentParser) -> None:
    try:
        shtab = importlib.import_module("shtab")
    except ImportError:  # the extra "completion" installs it
        return
    text = 'write the completion of a shell: eval "$(dpresence-client --print-completion bash)"'
    shtab.add_argument_to(found, ["--print-completion"], help=text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a character that the terminal cannot show ends nothing
    output = Output(sys.stdout, options.json)
    log.addFilter(_is_no_stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        options.run(options, output)
    except (PresenceError, ValueError, OSError) as error:
        sys.stderr.write(f"dpresence-client: {printable(str(error))}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        log.removeFilter(_is_no_stop)
    return 0


def _interrupt(*_: object) -> None:
    """End the command; a further Ctrl-C does not disturb it while it closes its connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _is_no_stop(record: logging.LogRecord) -> bool:
    """Leave out the error that stops a client: it ends the command, which writes it."""
    return record.msg != STOPPED
