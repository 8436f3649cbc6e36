"""A real PgBouncer before the PostgreSQL of the tests."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dpresence.tests.waiting import PATIENCE_SECONDS

from .postgresql import SOCKET, Server

_CONFIGURATION = """
[databases]
* = host={server} user=postgres
[pgbouncer]
listen_port = 5432
unix_socket_dir = {folder}
auth_type = any
pool_mode = session
ignore_startup_parameters = options
logfile = {folder}/log
pidfile = {folder}/pid
"""


def executable() -> str | None:
    """Return the program, which Debian installs where only root looks."""
    return shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")


@contextmanager
def running(server: Server) -> Iterator[str]:
    """Run a PgBouncer; yield what follows the name of the database in a URL."""
    folder, owner = Path(tempfile.mkdtemp(prefix="dpresence-pgbouncer-")), server.socket.owner()
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(_CONFIGURATION.format(server=server.socket.parent, folder=folder))
    for path in (folder, configuration):
        shutil.chown(path, user=owner)
    process = subprocess.Popen([str(executable()), "-q", "-u", owner, str(configuration)], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE_SECONDS
        while not (folder / SOCKET).exists():
            assert time.monotonic() < until and process.poll() is None, (folder / "log").read_text()
            time.sleep(0.02)
        yield f"?host={folder}"
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)
        shutil.rmtree(folder)
