"""Shared by the tests of the SQL backends: databases that are opened, lost and killed for real."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import migrate
from dpresence.backends.sql.tables import metadata
from dpresence.clock import SETTLING_SECONDS
from dpresence.tests.shared_tables import shared_tables
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import PATIENCE_SECONDS

WAIT = """
def wait_to_be_killed():
    print("OK", flush=True)
    sys.stdin.read()
"""


@contextmanager
def opened(url: str, clock: FakeClock | None = None) -> Iterator[Database]:
    """A migrated database, closed at the end; its clock is the present, if none is given."""
    clock = clock or FakeClock(time.time_ns() // 1_000_000 - SETTLING_SECONDS * 1000)
    with shared_tables():
        database = Database(url, clock=clock)
    clock.advance(SETTLING_SECONDS)  # it has stood for long enough
    try:
        with shared_tables():
            migrate(database)
        yield database
    finally:
        database.close()


def drop_tables(database: Database) -> None:
    """Lose everything under an open connection."""
    database.run(metadata.drop_all)


@contextmanager
def spoil(path: Path) -> Iterator[Database]:
    """A database whose file is not one."""
    path.write_bytes(b"not a database. " * 512)
    database = Database(f"sqlite:///{path}")
    try:
        yield database
    finally:
        database.close()


@contextmanager
def nowhere(folder: Path) -> Iterator[Database]:
    """A database on a PostgreSQL that is not running."""
    database = Database(f"postgresql+psycopg://postgres@/presence?host={folder}")
    try:
        yield database
    finally:
        database.close()


def killed_after_ok(script: str) -> None:
    """Run a script in a process of its own until it says OK, then kill it without a warning."""
    source = "import sys\n" + WAIT + textwrap.dedent(script)
    with subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "OK\n"
        finally:
            process.send_signal(signal.SIGKILL)
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
