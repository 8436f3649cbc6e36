"""The script ``dpresence``: patches the standard library, so that every wait has the deadline of the command."""

from __future__ import annotations

import signal

_on_interrupt = signal.getsignal(signal.SIGINT)
if _on_interrupt is signal.default_int_handler:  # it may be ignored
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while modules are imported ends the process without a traceback

from gevent import get_hub, monkey  # noqa: E402

monkey.patch_all()

import os  # noqa: E402
import sys  # noqa: E402
from typing import Any  # noqa: E402

from .cli import execute, log_to_stderr, parser, seconds_of  # noqa: E402

SPARE_SECONDS = 5.0
"""Seconds after the deadline at which the process ends itself, whatever blocks it."""


def run() -> int:
    """Run the command of this process's command line; return the exit status."""
    options = parser().parse_args()
    log_to_stderr()
    get_hub().NOT_ERROR = (*get_hub().NOT_ERROR, KeyboardInterrupt)  # gevent would print a line and the date
    signal.signal(signal.SIGINT, _on_interrupt)
    _end_after(seconds_of(options) + SPARE_SECONDS)
    return execute(options)


def _end_after(seconds: float) -> None:
    """End this process after some seconds, by a native thread."""
    start: Any = monkey.get_original("_thread", "start_new_thread")
    sleep: Any = monkey.get_original("time", "sleep")

    def end() -> None:
        sleep(seconds)
        os.write(2, b"dpresence: not done within the deadline\n")
        os._exit(5)

    start(end, ())


if __name__ == "__main__":
    sys.exit(run())
