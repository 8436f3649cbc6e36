"""The script ``pserve``: Pyramid's, except that errors of an unreadable ini do not show its content (docs/security.md).

Pyramid's script parses the ini before it imports this package, and the errors of configparser contain the whole line.
"""

from __future__ import annotations

import configparser
import sys
import warnings
from logging.config import fileConfig
from traceback import walk_tb
from types import TracebackType
from typing import Any

from .errors import BackendUnavailable, SettingError
from .ini_file import read_raw, unreadable


def main() -> Any:
    """Run Pyramid's ``pserve`` with the arguments of this process."""
    warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)  # Pyramid and Cornice still import it
    from pyramid.scripts import pserve

    sys.excepthook = _report_unreadable_ini
    read_raw()
    return pserve.main(sys.argv)


def report_failed_start(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Report a failed start in one line for the operator; an unexpected exception is shown with its traceback."""
    if isinstance(error, configparser.Error):
        error = unreadable(error)
    if isinstance(error, SettingError | BackendUnavailable):
        text = error.for_operator() if isinstance(error, BackendUnavailable) else str(error)
        sys.stderr.write(f"dpresence does not start: {' '.join(text.split())}\n")
    else:
        sys.__excepthook__(kind, error, traceback)


def _report_unreadable_ini(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Handle errors while the ini is read: until the server starts, it is the only file that is opened and decoded."""
    if isinstance(error, UnicodeDecodeError):
        error = unreadable(error)
    elif isinstance(error, OSError):
        error = SettingError(f"{error.filename}: {error.strerror}")
    elif _is_of_logging(traceback):
        error = SettingError(f"the sections of the log, [loggers] to [formatter_line]: {_reason(error)}")
    report_failed_start(kind, error, traceback)


def _is_of_logging(traceback: TracebackType | None) -> bool:
    """Return whether the sections of the log were read, which the standard library does without a check."""
    return any(frame.f_code is fileConfig.__code__ for frame, _ in walk_tb(traceback))


def _reason(error: BaseException) -> str:
    """Return an error of ``logging.config`` without what may be a value, which is in the error of an expression."""
    if isinstance(error, NameError | SyntaxError | TypeError):
        return type(error).__name__
    return f"KeyError {error}" if isinstance(error, KeyError) else str(error)
