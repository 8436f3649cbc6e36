"""The script ``pserve``: Pyramid's, with an end that shows nothing of an ini that cannot be read (docs/security.md).

Pyramid's own script parses the ini before any code of this package is imported, and configparser's errors hold the whole line.
"""

from __future__ import annotations

import configparser
import sys
from types import TracebackType
from typing import Any

from .errors import BackendUnavailable, SettingError
from .ini_file import read_raw, unreadable


def main() -> Any:
    """Run Pyramid's ``pserve`` with the arguments of this process."""
    from pyramid.scripts import pserve

    sys.excepthook = _say_why_unread
    read_raw()
    return pserve.main(sys.argv)


def say_why(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """End a start with the one line an operator needs; what is no mistake of theirs keeps its traceback."""
    if isinstance(error, configparser.Error):
        error = unreadable(error)
    if isinstance(error, SettingError | BackendUnavailable):
        sys.stderr.write(f"dpresence does not start: {' '.join(str(error).split())}\n")
    else:
        sys.__excepthook__(kind, error, traceback)


def _say_why_unread(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Do as ``say_why``; until the server begins, all that is opened and decoded is the ini."""
    if isinstance(error, UnicodeDecodeError):
        error = unreadable(error)
    elif isinstance(error, OSError):
        error = SettingError(f"{error.filename}: {error.strerror}")
    say_why(kind, error, traceback)
