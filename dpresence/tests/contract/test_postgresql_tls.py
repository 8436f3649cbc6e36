"""A PostgreSQL that takes TLS only, of the distribution: that of the wheels has no TLS."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.migrate import migrate
from dpresence.demo import free_port
from dpresence.errors import BackendUnavailable
from dpresence.tests.waiting import PATIENCE_SECONDS

from .directory_values import person
from .test_redis_access import certify

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
OPTIONS = """
ssl = on
ssl_cert_file = '{0}/127.0.0.1.pem'
ssl_key_file = '{0}/127.0.0.1.key'
listen_addresses = '127.0.0.1'
port = {1}
unix_socket_directories = ''
fsync = off
"""

pytestmark = pytest.mark.skipif(not PROGRAMS and os.environ.get("CI") != "true", reason="needs Debian's package postgresql")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Path, int]]:
    """The folder with the certificate of a server, and its port."""
    folder, port = Path(tempfile.mkdtemp(prefix="dpresence-postgresql-tls-")), free_port()
    user = {"user": "postgres"} if os.geteuid() == 0 else {}
    certify(folder, "127.0.0.1")
    (folder / "127.0.0.1.key").chmod(0o600)
    for path in (folder, *folder.iterdir()):
        if user:
            shutil.chown(path, **user)

    def run(program: str, *words: str) -> None:
        command = [PROGRAMS[-1].with_name(program), "-D", folder / "data", *words]
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, timeout=PATIENCE_SECONDS, check=True, **user)

    try:
        run("initdb", "--auth=trust", "--username=postgres", "--no-sync")
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.write(OPTIONS.format(folder, port))
        (folder / "data" / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
        run("pg_ctl", "-w", "-l", str(folder / "log"), "start")
        yield folder, port
        run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def database(port: int, options: str) -> Database:
    return Database(f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres?{options}")


def test_the_options_of_the_documents_encrypt_every_connection(server: tuple[Path, int]) -> None:
    folder, port = server
    encrypted = database(port, f"sslmode=verify-full&sslrootcert={folder}/127.0.0.1.pem")
    migrate(encrypted)
    directory = SqlDirectory(encrypted)
    assert directory.account(person(directory, "ann").id) is not None
    query = text("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE backend_type = 'client backend'")
    sessions = encrypted.run(lambda connection: connection.execute(query).scalars().all())
    assert sessions and all(sessions)
    directory.close()


@pytest.mark.parametrize("wrong", ["sslmode=disable", "sslmode=verify-full&sslrootcert={0}/127.0.0.9.pem"], ids=["plain", "not trusted"])
def test_a_connection_without_tls_or_to_a_server_that_is_not_trusted_is_none(server: tuple[Path, int], tmp_path: Path, wrong: str) -> None:
    certify(tmp_path, "127.0.0.9")
    refused = database(server[1], wrong.format(tmp_path))
    with pytest.raises(BackendUnavailable):
        migrate(refused)
    refused.close()
