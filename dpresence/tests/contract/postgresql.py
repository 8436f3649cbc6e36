"""A real PostgreSQL for the tests: started from the wheel ``pgserver``, stopped, frozen and left alone."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, text

from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.tables import metadata


class Server:
    """One server, listening on a Unix socket in its own folder. Use from one process."""

    def __init__(self) -> None:
        # not below pytest's folder, which only its owner enters: the server of root runs as somebody else
        self.folder = Path(tempfile.mkdtemp(prefix="dpresence-postgresql-"))
        self._pgserver = _pgserver()
        self.start()
        self._set(fsync="off", deadlock_timeout="200ms")

    def url(self, name: str = "postgres") -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}/data"

    def start(self) -> None:
        self._server = self._pgserver.get_server(self.folder / "data", cleanup_mode="stop")

    def stop(self) -> None:
        """Break off every connection and end, in a tenth of a second."""
        self._server.cleanup()

    def crash(self) -> None:
        """End without any order: nothing is written any more."""
        ended = self._processes()
        for process in ended:
            process.kill()
        for process in ended:
            process.wait(10)
        self._server.cleanup()  # it has ended; now pgserver knows

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def make_database(self, name: str) -> str:
        """Make an empty database; return its URL."""
        self._server.psql(f"CREATE DATABASE {name}")
        return self.url(name)

    @contextmanager
    def set(self, **options: str) -> Iterator[None]:
        """Let it have other options for a while."""
        self._set(**options)
        try:
            yield
        finally:
            for name in options:
                self._server.psql(f"ALTER SYSTEM RESET {name}")
            self._set(fsync="off")

    def _set(self, **options: str) -> None:
        for name, value in options.items():
            self._server.psql(f"ALTER SYSTEM SET {name} = '{value}'")
        self._server.psql("SELECT pg_reload_conf()")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop every process of it for a while, as if the machine hung: connections stand, nothing is answered."""
        frozen = self._processes()
        for process in frozen:
            process.suspend()
        try:
            yield
        finally:
            for process in frozen:
                process.resume()

    def _processes(self) -> list[Any]:
        server = self._server.get_postmaster_info().process
        return [server, *server.children()]


def _pgserver() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where XDG_RUNTIME_DIR is not set
        import pgserver
    return pgserver


def empty(database: Database) -> None:
    """Take every row away and start counting anew."""
    names = ", ".join(table.name for table in metadata.sorted_tables)
    database.run(lambda connection: connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY")))


def sessions(connection: Connection) -> int:
    """How many connections the service has on this connection's database, this one included."""
    named = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'dpresence'"
    return connection.scalar(text(named))
