"""A service that can keep nothing says so on its heartbeat; a second one on its database does not start."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager

import pytest
import requests

from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .clients import Person
from .warm import WarmService, running

pytestmark = pytest.mark.slow


def heartbeat(service):
    answer = requests.get(f"{service.origin}/__heartbeat__", timeout=PATIENCE_SECONDS)
    return answer.status_code, answer.json()


def becomes(service, wanted):
    eventually(lambda: heartbeat(service) == wanted)


WELL = (200, {"directory": True, "tracker": True, "mailbox": True})
KEEPS_NOTHING = (503, {"directory": False, "tracker": True, "mailbox": False})


@contextmanager
def service_in(folder):
    service = WarmService(folder)
    service.start()
    try:
        yield service
        assert service.stop() == 0
    finally:
        service.kill()


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


def test_a_full_disk_shows_on_the_heartbeat_and_so_does_room_on_it(small_disk, tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    with running(folder, **{"directory__url": f"sqlite:///{small_disk}/live.db"}) as service:
        assert heartbeat(service) == WELL
        with (small_disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError):
            while True:
                filler.write(b"x" * 4096)
        becomes(service, KEEPS_NOTHING)
        assert "database or disk is full" in service.log()
        (small_disk / "filler").unlink()
        becomes(service, WELL)


def test_a_database_that_was_replaced_under_the_service_shows_on_the_heartbeat(tmp_path):
    with service_in(tmp_path) as service:
        ann = Person(service.origin, "ann@example.org")
        ann.device().close()
        assert heartbeat(service) == WELL
        database = tmp_path / "live.db"
        copy = tmp_path / "copy.db"
        copy.write_bytes(database.read_bytes())
        copy.replace(database)
        assert heartbeat(service) == KEEPS_NOTHING
        assert f"{database} was deleted, moved or replaced under the service: put it back, or restore a backup; a restart" in service.log()
        assert "Traceback" not in service.log()


def test_a_second_service_on_one_database_says_what_to_do(tmp_path, tmp_path_factory):
    with running(tmp_path) as first:
        other = tmp_path_factory.mktemp("other")
        second = WarmService(other, {"directory.url": f"sqlite:///{tmp_path}/live.db"})
        second.launch()
        assert second.wait() != 0
        last = second.log().strip().splitlines()[-1]
        assert last == (
            f"dpresence does not start: directory.url = sqlite:///{tmp_path}/live.db: must be a database that no other service uses "
            "while tracker = memory, which is known to one process only: stop the other service, or give this one a database of its "
            "own; tracker = redis is for several"
        )
        assert heartbeat(first) == WELL
        assert first.crash(), "it holds nothing after its end"
