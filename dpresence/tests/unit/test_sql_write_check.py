"""The heartbeat of the database proves a write: now and then, cheaply, and on disks that are full or read-only."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import gevent
import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.mailbox.sql import SqlMailbox
from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.write_check import ACCEPTED_SECONDS, REFUSED_SECONDS, WriteCheck
from dpresence.errors import BackendUnavailable
from dpresence.tests.shared_tables import make_tables
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import PATIENCE_SECONDS


class Store:
    def __init__(self) -> None:
        self.writes = 0
        self.full = False

    def write(self) -> None:
        self.writes += 1
        gevent.sleep(0)
        if self.full:
            raise BackendUnavailable


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def check(store, clock):
    return WriteCheck(store.write, clock)


def keeps(check: WriteCheck) -> bool:
    try:
        check.check()
    except BackendUnavailable:
        return False
    return True


def test_many_who_ask_at_once_cost_one_write(check, store, clock):
    for round in (1, 2):
        asked = [gevent.spawn(keeps, check) for _ in range(50)]
        gevent.joinall(asked)
        assert all(one.value for one in asked)
        assert store.writes == round
        clock.advance(ACCEPTED_SECONDS)


def test_a_write_that_failed_is_tried_again_sooner_than_one_that_did_not(check, store, clock):
    store.full = True
    assert [keeps(check) for _ in range(5)] == [False] * 5
    assert store.writes == 1
    store.full = False
    clock.advance(REFUSED_SECONDS)
    assert keeps(check)
    store.full = True
    clock.advance(ACCEPTED_SECONDS - 0.1)
    assert keeps(check)
    clock.advance(0.1)
    assert not keeps(check)
    assert store.writes == 3


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB."""
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], check=False, capture_output=True).returncode
    ):
        pytest.skip("only root can mount a small disk")
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


@pytest.fixture
def database(small_disk, clock):
    database = Database(f"sqlite:///{small_disk}/presence.db", clock=clock)
    make_tables(database)
    yield database
    database.close()


@pytest.fixture(params=[SqlDirectory, SqlMailbox])
def backend(request, database):
    return request.param(database)


def refused(backend) -> bool:
    try:
        backend.ping()
    except BackendUnavailable:
        return True
    return False


def logged(caplog) -> list[str]:
    """Return what the database logged; in the same process, servers of earlier tests may end meanwhile."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("dpresence.backends.sql")]


def fill(disk) -> None:
    with (disk / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 4096)
        except OSError:
            pass


def test_a_full_disk_is_seen_before_its_log_runs_out_and_so_is_its_end(backend, small_disk, clock, caplog):
    backend.ping()
    fill(small_disk)
    seen = []
    for _ in range(400):  # what is left of the pages of the log
        clock.advance(ACCEPTED_SECONDS)
        seen.append(refused(backend))
        if seen[-1]:
            break
    assert seen[-1], "a write of one page fails where no page is left"
    assert set(logged(caplog)) == {"database: OperationalError: database or disk is full"}
    (small_disk / "filler").unlink()
    clock.advance(REFUSED_SECONDS)
    assert not refused(backend)


@pytest.fixture
def failing_disk(tmp_path):
    """A disk that can be made read-only under the files that are open on it, as the kernel does at a fault."""
    image, folder = tmp_path / "image", tmp_path / "disk"
    image.write_bytes(b"")
    os.truncate(image, 8 << 20)
    folder.mkdir()
    commands = (["mkfs.ext4", "-q", str(image)], ["mount", "-o", "loop", str(image), str(folder)])
    if os.geteuid() or any(subprocess.run(command, check=False, capture_output=True).returncode for command in commands):
        pytest.skip("only root can mount a disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("kind", [SqlDirectory, SqlMailbox])
def test_a_disk_that_turned_read_only_is_seen(kind, failing_disk, clock, caplog):
    database = Database(f"sqlite:///{failing_disk}/presence.db", clock=clock)
    make_tables(database)
    backend = kind(database)
    assert not refused(backend)
    subprocess.run(["mount", "-o", "remount,abort", failing_disk], check=True)
    clock.advance(ACCEPTED_SECONDS)
    assert refused(backend)
    assert logged(caplog) == ["database: OperationalError: disk I/O error"]
    database.close()


LIMITED = """
    import resource, signal
    from dpresence.backends.directory.sql import SqlDirectory
    from dpresence.backends.sql.engine import Database
    from dpresence.backends.sql.migrate import migrate
    from dpresence.errors import BackendUnavailable
    from dpresence.tests.support import FakeClock
    clock = FakeClock()
    database = Database("sqlite:///{path}", clock=clock)
    migrate(database)
    directory = SqlDirectory(database)
    directory.ping()
    database.scrub()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    clock.advance(5)
    try:
        directory.ping()
    except BackendUnavailable:
        print("refused")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    clock.advance(1)
    directory.ping()
    print("kept")
    database.close()
"""


@pytest.mark.slow
def test_a_file_that_may_not_grow_is_seen(tmp_path):
    script = textwrap.dedent(LIMITED).format(path=tmp_path / "presence.db")
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert run.stdout == "refused\nkept\n", run.stderr
