"""Clients of several workers: calls without a pause, a device that reconnects, an application that reads what happened."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

from websockets.exceptions import ConnectionClosed

from dpresence.errors import CloseCode

from .clients import Device


@contextmanager
def elsewhere(cluster, pid, connect):
    """Connect until it is to another worker than ``pid``; the connections that were not are closed in the end."""
    with ExitStack() as stack:
        for _ in range(50):
            channel = stack.enter_context(connect())
            if cluster.worker_of(channel) != pid:
                break
        yield channel
        assert cluster.worker_of(channel) != pid


class Caller(threading.Thread):
    """Calls the service all the time; ``failures`` are the calls that nobody took."""

    def __init__(self, port, pause=0.002):
        super().__init__()
        self.port = port
        self.pause = pause
        self.calls = 0
        self.failures = []
        self._over = threading.Event()

    def run(self):
        while not self._over.is_set():
            self.calls += 1
            try:
                socket.create_connection(("127.0.0.1", self.port), 30).close()
            except OSError as error:
                self.failures.append(error)
            time.sleep(self.pause)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join()


def alive(pid):
    return os.path.exists(f"/proc/{pid}")


class Patient(threading.Thread):
    """A device that comes back whenever its channel ends, as section 7 of the protocol asks."""

    def __init__(self, person, ticket):
        super().__init__()
        self.person = person
        self.ticket = ticket
        self.codes = []
        self.over = threading.Event()
        self.there = threading.Event()

    def run(self):
        while not self.over.is_set():
            with Device(self.person) as device:
                self.ticket = device.sign_in("online", device="phone", ticket=True, assertion=self.ticket)["ticket"]
                self.there.set()
                while not self.over.is_set():
                    with suppress(TimeoutError):
                        self.codes.append(device.wait_closed(0.2)[0])
                        time.sleep(1)
                        break


def read_updates(application, cursor):
    """Listen for a second, or until the channel ends; return the updates that came and the next cursor.

    A worker that is being replaced may end the channel before it has answered: then nothing was read.
    """
    try:
        return _read_updates(application, cursor)
    except ConnectionClosed as closed:
        assert closed.rcvd.code == CloseCode.STOPPING, closed
        return [], cursor


def _read_updates(application, cursor):
    with application.service(cursor) as app_service:
        assert cursor is None or app_service.recovery == "replayed"
        updates = []
        with suppress(TimeoutError, ConnectionClosed):
            while True:
                updates += app_service.next_updates(1, 1.0)
        return updates, app_service.cursor
