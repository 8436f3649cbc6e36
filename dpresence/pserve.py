"""The script ``pserve``: Pyramid's, except that errors of an unreadable ini do not show its content (docs/security.md).

Pyramid's script parses the ini before it imports this package, and the errors of configparser contain the whole line.
"""

from __future__ import annotations

import configparser
import sys
import warnings
from traceback import walk_tb
from types import TracebackType
from typing import Any

from . import log_sections
from .errors import BackendUnavailable, SettingError
from .ini_file import read_raw, unreadable

_PACKAGE = __name__.partition(".")[0]
_READERS = (__name__, read_raw.__module__)
"""Modules that run while PasteDeploy reads the ini."""
_USE = "use in [app:main] and in [server:main]: must be egg:dpresence, or another program that is installed; both sections must be there"


def main() -> Any:
    """Run Pyramid's ``pserve`` with the arguments of this process."""
    warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)  # Pyramid and Cornice still import it
    import plaster_pastedeploy  # type: ignore[import-untyped]
    from pyramid.scripts import pserve

    sys.excepthook = _report_unreadable_ini
    read_raw()
    plaster_pastedeploy.fileConfig = log_sections.configure
    return pserve.main(sys.argv)


def report_failed_start(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Report a failed start in one line for the operator; an unexpected exception is shown with its traceback."""
    if isinstance(error, configparser.Error):
        error = unreadable(error)
    elif _is_of_use(error, traceback):
        error = SettingError(f"{_USE} ({type(error).__name__})")
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
    report_failed_start(kind, error, traceback)


def _is_of_use(error: BaseException, traceback: TracebackType | None) -> bool:
    """Return whether PasteDeploy did not find what a section names, before anything of this package began."""
    modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(traceback)]
    started = any(name.startswith(f"{_PACKAGE}.") and name not in _READERS for name in modules)
    return isinstance(error, LookupError | ImportError | OSError) and "paste.deploy.loadwsgi" in modules and not started
