"""Shared by the live tests: a server that is a process, and a client that sends arbitrary bytes."""

from __future__ import annotations

import gzip
import json
import os
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .warm import Fork

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3


class EchoServer:
    """``echo_server`` as a process. ``log`` is what it logged, ``output`` what it printed; both complete after ``stop``.

    :param command: a command line to start it by; a fork without one.
    """

    def __init__(self, overrides=None, *, command=None, scheme="http"):
        self._folder = tempfile.TemporaryDirectory()
        self._files = {name: Path(self._folder.name) / name for name in ("log", "output")}
        self._texts = {}
        self.process = self._launch(command) if command else self._fork(json.dumps(overrides or {}))
        found = self.wait_for_log(rf"Listening on {scheme}://\S+:(\d+)\n")
        self.port = int(found[1])

    def _fork(self, argument):
        return Fork(["echo_server", argument], *self._files.values(), module="dpresence.tests.live.echo_server")

    def _launch(self, command):
        with self._files["log"].open("w") as log, self._files["output"].open("w") as output:
            return subprocess.Popen(command, stdout=output, stderr=log)

    def _text(self, name):
        if name in self._texts:
            return self._texts[name]
        file = self._files[name]
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    @property
    def log(self):
        return self._text("log")

    @property
    def output(self):
        return self._text("output")

    def wait_for_log(self, pattern):
        """Return the match of a pattern in the log."""

        def find():
            ended = self.process.poll() is not None
            found = re.search(pattern, self.log)
            assert found or not ended, f"{pattern} is not in the log:\n{self.log}"
            return found

        return eventually(find)

    def stop(self, number=signal.SIGTERM):
        """Send a signal, wait, and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE_SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait(PATIENCE_SECONDS)
            self._texts = {name: self._text(name) for name in self._files}
            self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE_SECONDS) as answer:
            return answer.read().decode()

    def stats(self):
        return json.loads(self.get("/stats"))

    def wait_for(self, condition):
        """Return the first statistics that meet a condition."""
        found = []

        def check():
            found[:] = [self.stats()]
            return condition(found[0])

        eventually(check)
        return found[0]

    def end_of(self, name):
        """Wait for the end of a channel; return [code, clean]."""
        return self.wait_for(lambda stats: name in stats["closed"])["closed"][name]

    def connect(self, *arguments, **options):
        return Client(self.port, *arguments, **options)


class Client:
    """A socket that speaks websocket as well or as badly as a test wants."""

    def __init__(self, port, path="/echo", *, headers=None, upgrade=True, receive_buffer=0, version="HTTP/1.1", method="GET",
                 source="127.0.0.1"):  # fmt: skip
        self.sock = socket.socket()
        self.sock.bind((source, 0))
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(PATIENCE_SECONDS)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.status, self.headers = 0, {}
        if upgrade:
            self.request(path, headers or {}, version, method)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def __del__(self):
        self.sock.close()

    def request(self, path, headers, version="HTTP/1.1", method="GET", behind=b""):
        """Ask for a websocket and read the answer's head; ``headers`` override or, with None, take away."""
        fields = {
            "Host": "127.0.0.1", "Upgrade": "websocket", "Connection": "keep-alive, Upgrade", "Sec-WebSocket-Key": KEY,
            "Sec-WebSocket-Version": "13", **headers,
        }  # fmt: skip
        lines = [f"{method} {path} {version}", *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + behind)
        self.read_head()

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            assert data, f"the server hung up after {self.buffer!r}"
            self.buffer += data
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        status, *lines = head.decode().split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    def body(self):
        """Return the rest of an HTTP answer."""
        while len(self.buffer) < int(self.headers["content-length"]):
            self.buffer += self.sock.recv(65536)
        body, self.buffer = self.buffer, b""
        return (gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body).decode()

    def send(self, data):
        self.sock.sendall(data)

    def text(self, text):
        self.send(frame(1, text.encode()))

    def name(self):
        """Return the connection's id."""
        self.text("id")
        return self.answer()

    def _exactly(self, count):
        while len(self.buffer) < count:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(self.buffer)
            self.buffer += data
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def receive(self):
        """Return (opcode, payload) of the next frame; EOFError at the end."""
        first, length = self._exactly(2)
        assert first & 0x80 and not length & 0x80
        if length >= 126:
            length = int.from_bytes(self._exactly(2 if length == 126 else 8), "big")
        return first & 0x0F, self._exactly(length)

    def answer(self):
        """Return the text of the next frame, which must be one."""
        opcode, payload = self.receive()
        assert opcode == 1, (opcode, payload)
        return payload.decode()

    def close_code(self):
        """Return code and reason of the close frame, past whatever comes before it."""
        opcode, payload = self.receive()
        while opcode != 8:
            opcode, payload = self.receive()
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    def hung_up(self, seconds=PATIENCE_SECONDS):
        """Return whether the server ends the connection within this time. Bytes that it sends before are discarded."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.sock], [], [], left)[0]:
                return False
            try:
                if not self.sock.recv(65536):
                    return True
            except ConnectionResetError:
                return True
        return False


def frame(opcode, payload=b"", *, final=True, mask=None, reserved=0, announce=None):
    """Return a client's frame; ``mask=b""`` leaves it unmasked, ``announce`` lies about the length."""
    size = len(payload) if announce is None else announce
    mask = os.urandom(4) if mask is None else mask
    masked = 0x80 if mask else 0
    head = bytes(((0x80 if final else 0) | reserved | opcode,))
    if size < 126:
        head += bytes((masked | size,))
    elif size < 1 << 16:
        head += bytes((masked | 126,)) + size.to_bytes(2, "big")
    else:
        head += bytes((masked | 127,)) + size.to_bytes(8, "big")
    if not mask:
        return head + payload
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")
    return head + mask + body
