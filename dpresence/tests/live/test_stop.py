"""A stop by SIGTERM or SIGINT: no new connections, every channel gets the time to reconnect, no data is lost, exit status 0 in time."""

from __future__ import annotations

import re
import signal
import socket
import time
from contextlib import ExitStack

import pytest
import requests

from dpresence.tests.waiting import PATIENCE_SECONDS

from .clients import Person, activate
from .service import Site
from .warm import running

pytestmark = pytest.mark.slow

STOP_SECONDS = 50


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_stop_tells_every_channel_and_loses_nothing(tmp_path, number):
    with running(tmp_path, presence__grace_seconds=1) as service, Site() as site:
        application = activate(service.origin, site)
        ada, ben = Person(service.origin, "ada@example.org"), Person(service.origin, "ben@example.org")
        ada.grant(application)
        puid = ben.grant(application)
        with application.service() as app_service, ada.device() as device:
            app_service.notify({"puid": puid, "message": "kept"})
            start = time.monotonic()
            service.send_signal(number)
            for channel in (device, app_service):
                code, reason = channel.wait_closed()
                assert code == 4200
                assert re.search(r"retry_after=\d+$", reason), reason
            assert service.wait() == 0
        assert time.monotonic() - start < STOP_SECONDS
        service.start()
        with ben.device() as device:
            assert device.notifications(1)[0]["message"] == "kept"


def test_a_stop_admits_nobody_and_does_not_wait_for_who_does_not_answer(tmp_path):
    request = (
        "GET /presence HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with ExitStack() as stack:
        service = stack.enter_context(running(tmp_path))
        half, mute, silent = (stack.enter_context(socket.create_connection(("127.0.0.1", service.port))) for _ in range(3))
        half.sendall(b"GET / HTTP/1.1\r\n")
        mute.sendall(request.encode())
        assert mute.recv(4096).startswith(b"HTTP/1.1 101")
        device = stack.enter_context(Person(service.origin, "a@example.org").device())
        start = time.monotonic()
        service.send_signal(signal.SIGTERM)
        device.wait_closed()
        silent.sendall(request.encode())  # while the mute one is waited for
        refusal = silent.recv(4096)
        assert refusal.startswith(b"HTTP/1.1 503") and b"Retry-After" in refusal
        with pytest.raises(requests.RequestException):
            requests.get(f"{service.origin}/__lbheartbeat__", timeout=PATIENCE_SECONDS).raise_for_status()
        assert service.wait() == 0
        assert time.monotonic() - start < STOP_SECONDS
