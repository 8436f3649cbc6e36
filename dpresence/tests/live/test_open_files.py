"""A process with a low limit of open files: it lets in as many as it has files for, and says so instead of failing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from dpresence.files import files_needed
from dpresence.tests.waiting import PATIENCE_SECONDS

from .service import PSERVE, Service
from .support import Client, EchoServer

OVERRIDES = {"channels": {"unsigned_per_address": 1000, "accept_rate": 1000.0, "accept_burst": 1000}}
FILES = 64


def limited(overrides=OVERRIDES, files=FILES):
    command = [sys.executable, "-m", "dpresence.tests.live.echo_server", json.dumps(overrides)]
    return EchoServer(command=["bash", "-c", f'ulimit -n {files}; exec "$@"', "bash", *command])


@pytest.fixture
def scarce():
    with limited() as server:
        yield server
    assert "Traceback" not in server.log, server.log


def test_channels_beyond_the_files_are_asked_to_reconnect_and_pages_still_work(scarce):
    with ExitStack() as open_clients:
        answers = [open_clients.enter_context(Client(scarce.port)) for _ in range(FILES)]
        statuses = [client.status for client in answers]
        let_in = statuses.count(101)
        assert 5 <= let_in < FILES - 16
        assert statuses == [101] * let_in + [503] * (FILES - let_in)
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert scarce.get("/page") == "a page"
    scarce.wait_for_log("the limit of open files is 64: ")


def test_idle_connections_take_no_file_away_from_a_newcomer(scarce):
    with ExitStack() as idle:
        for _ in range(3 * FILES):
            idle.enter_context(socket.create_connection(("127.0.0.1", scarce.port)))
        assert scarce.get("/page") == "a page"
        with scarce.connect() as client:
            client.text("hello")
            assert client.answer() == "hello"
    assert scarce.log.count("WARNING") <= 2


@pytest.mark.slow
def test_with_no_file_left_accepting_pauses_says_so_once_and_goes_on(scarce):
    cpu = scarce.stats()["cpu"]
    assert int(scarce.get("/eat?2")) > 5
    with ExitStack() as waiting:
        for _ in range(20):
            waiting.enter_context(socket.create_connection(("127.0.0.1", scarce.port)))
        time.sleep(1.5)
    scarce.wait_for_log("connections cannot be accepted: Too many open files")
    assert scarce.get("/page") == "a page"
    assert scarce.log.count("connections cannot be accepted") == 1
    assert scarce.stats()["cpu"] - cpu < 0.3


@pytest.mark.slow
def test_the_service_itself_answers_its_heartbeat_with_64_files(tmp_path):
    service = Service(tmp_path)
    service._command = ["bash", "-c", f'ulimit -n {FILES}; exec "$@"', "bash", str(PSERVE), "-q", str(service.ini)]
    service.start()
    try:
        with ExitStack() as clients:
            for _ in range(100):
                clients.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            for _ in range(3):
                service.alive_within(PATIENCE_SECONDS)
            with Client(service.port, "/__heartbeat__", upgrade=False) as client:
                client.send(b"GET /__heartbeat__ HTTP/1.1\r\nHost: x\r\n\r\n")
                client.read_head()
                assert client.status == 200
        assert service.stop() == 0
        needed = files_needed(20000)
        assert service.log().count(f"channels.sockets needs {needed}") == 1, "the number of dpresence doctor"
    finally:
        service.kill()
    service.assert_clean()


@pytest.mark.slow
def test_a_limit_that_leaves_no_room_stops_the_start_and_says_what_is_needed():
    command = ["bash", "-c", 'ulimit -n 16; exec "$@"', "bash", sys.executable, "-m", "dpresence.tests.live.echo_server"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "the limit of open files is 16: must be at least" in ended.stderr
