"""``pserve`` in a fork of a process that has imported the service, for starts that fail: they take no second of imports.

Everything else is as in a process of its own: the arguments, the ini, standard output and error, the exit status. Run as a module, this
is the process that forks; tests call ``run``.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def run(arguments: list[str], log: Path, seconds: float) -> int:
    """Run ``pserve``, append what it prints to a file, and return its exit status.

    :param arguments: those of the command line, the script first.
    :raises AssertionError: it does not end in time.
    """
    process = _process()
    process.stdin.write(json.dumps({"arguments": arguments, "log": str(log), "seconds": seconds}) + "\n")
    process.stdin.flush()
    status: int | None = json.loads(process.stdout.readline())
    assert status is not None, f"the service did not end within {seconds} s:\n{log.read_text()}"
    return status


@functools.cache
def _process() -> Any:
    """The process that forks; it ends with this one, which closes its standard input."""
    return subprocess.Popen([sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _serve() -> None:
    """Fork for each line of standard input; return in the child."""
    from gevent.monkey import get_original

    fork, waitpid, sleep = get_original("os", "fork"), get_original("os", "waitpid"), get_original("time", "sleep")
    while line := sys.stdin.readline():
        order = json.loads(line)
        pid, until, status = fork(), time.monotonic() + order["seconds"], None
        if pid == 0:
            sys.argv = order["arguments"]
            _redirect(order["log"])
            return
        while time.monotonic() < until:
            done, ended = waitpid(pid, os.WNOHANG)
            if done:
                status = os.waitstatus_to_exitcode(ended)
                break
            sleep(0.005)
        else:
            os.kill(pid, 9)
            waitpid(pid, 0)
        print(json.dumps(status), flush=True)
    sys.exit()


def _redirect(log: str) -> None:
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)):
        file = os.open(path, flags, 0o644)
        os.dup2(file, number)
        os.close(file)
    os.dup2(1, 2)


if __name__ == "__main__":
    from pyramid.scripts import pserve as _pyramid  # noqa: F401

    from dpresence.pserve import main

    import dpresence.server  # isort: skip  # patches the standard library, as in a start, before what follows imports it
    import dpresence.app
    import dpresence.backends.directory.sql
    import dpresence.backends.mailbox.redis
    import dpresence.backends.sql.migrate
    import dpresence.backends.tracker.redis  # noqa: F401

    _serve()
    sys.exit(main())
