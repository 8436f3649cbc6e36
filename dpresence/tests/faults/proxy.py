"""A TCP proxy in front of a server, which can be cut: what is under way then arrives when it heals, as the network has it."""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

RECORD_BYTES = 16384
"""Maximum size of a TLS record: a read of this size leaves no data in the TLS layer, where ``select`` does not see it."""


def to_unix(path: Path) -> Callable[[], socket.socket]:
    """Return what connects to a unix socket."""

    def connect() -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        try:
            made.connect(str(path))
        except OSError:
            made.close()
            raise
        return made

    return connect


class Proxy:
    """Forwards what comes to ``port`` of 127.0.0.1; a context that ends it.

    :param connect: makes a connection to the server; what it raises closes the client's.
    :param tls: makes it a TLS server, with a plain one behind it.
    :param send_bytes: size of the buffer to the client; the system's if 0.
    :param address: host and port to listen at; any port if 0.
    :ivar delay: seconds that each piece of data waits on its way; may be changed at any time.
    """

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        tls: ssl.SSLContext | None = None,
        send_bytes: int = 0,
        address: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self._connect = connect
        self._send_bytes = send_bytes
        self._tls = tls
        self._listener = socket.create_server(address)
        self._sockets: list[socket.socket] = [self._listener]
        self._whole = threading.Event()
        self._whole.set()
        self.port = int(self._listener.getsockname()[1])
        self.carried = 0
        self.delay = 0.0

    def __enter__(self) -> Proxy:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._whole.set()
        for each in self._sockets:
            _end(each)

    def cut(self) -> None:
        """Carry nothing any more, either way; connections stand, new ones are made and get no answer."""
        self._whole.clear()

    def heal(self) -> None:
        """Carry on, with all that was sent meanwhile."""
        self._whole.set()

    def answer(self, data: bytes) -> bytes:
        """Return what the client gets instead of data of the server."""
        return data

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                self._sockets.append(near)
                self._start(self._serve, near)

    def _serve(self, near: socket.socket) -> None:
        self._whole.wait()
        if self._send_bytes:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_bytes)
        try:
            if self._tls is not None:
                near = self._tls.wrap_socket(near, server_side=True)
                self._sockets.append(near)
            far = self._connect()
        except OSError:
            return _end(near)
        self._sockets.append(far)
        with suppress(OSError, ValueError):  # the latter for a socket that was closed meanwhile
            self._carry(near, far)
        self._whole.wait()  # nor does the end of a connection get through
        _end(near)
        _end(far)

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        while True:
            for source in select.select([near, far], [], [])[0]:
                data = source.recv(RECORD_BYTES)
                time.sleep(self.delay)
                self._whole.wait()
                if not data:
                    return
                (far if source is near else near).sendall(data if source is near else self.answer(data))
                self.carried += len(data)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
