"""Hostile and broken peers, as a process of their own: ``python -m dpresence.tests.faults.attackers NAME '{"port": ..}'``.

They reach loopback only, are bounded in number and in time, and print what became of them as JSON.
"""

from __future__ import annotations

from gevent import monkey

if __name__ == "__main__":
    monkey.patch_all()

import json
import random
import signal
import socket
import struct
import sys
import time
from collections import Counter
from contextlib import suppress

import gevent
from gevent.pool import Pool

from dpresence.tests.waiting import PATIENCE_SECONDS

LIFE_SECONDS = 300
MIB = 1 << 20
MASK = b"\x01\x02\x03\x04"
UPGRADE = (
    b"GET /presence HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame(opcode, payload=b"", *, final=True, masked=True, size=None, reserved=0):
    """A frame with anything in it; ``size`` is what it announces."""
    size = len(payload) if size is None else size
    length = bytes((size,)) if size < 126 else b"\x7e" + struct.pack("!H", size) if size < 65536 else b"\x7f" + struct.pack("!Q", size)
    first = bytes((0x80 * final | reserved | opcode,))
    if not masked:
        return first + length + payload
    key = (MASK * (len(payload) // 4 + 1))[: len(payload)]
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")
    return first + bytes((length[0] | 0x80,)) + length[1:] + MASK + body


class Peer:
    """A raw socket from an address of its own, so that limits per address do not hide what is behind them."""

    def __init__(self, port, number=0):
        self.sock = socket.socket()
        self.sock.settimeout(PATIENCE_SECONDS)
        self.sock.bind((f"127.2.{number // 250 % 250}.{number % 250 + 1}", 0))
        self.sock.connect(("127.0.0.1", port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def upgrade(self):
        self.sock.sendall(UPGRADE)
        head = b""
        while b"\r\n\r\n" not in head:
            data = self.sock.recv(1)
            if not data:
                break
            head += data
        return head[9:12]

    def end(self, seconds=10):
        """Read up to a close frame or the end; return the close code, 1006 without one, or "open" when nothing comes."""
        data, until = b"", time.monotonic() + seconds
        with suppress(OSError):
            while time.monotonic() < until:
                self.sock.settimeout(max(0.01, until - time.monotonic()))
                more = self.sock.recv(65536)
                if not more:
                    return 1006
                data = (data + more)[-4096:]
                at = data.rfind(b"\x88")
                if 0 <= at < len(data) - 3 and len(data) == at + 2 + data[at + 1]:
                    return int.from_bytes(data[at + 2 : at + 4], "big")
        return "open" if time.monotonic() >= until else 1006


def junk(size):
    return random.randbytes(random.randint(1, size))


NONSENSE = {
    "random bytes": lambda: junk(2000),
    "truncated request": lambda: UPGRADE[: random.randint(1, len(UPGRADE) - 1)],
    "broken request": lambda: UPGRADE.replace(random.choice(UPGRADE.split(b"\r\n")[:-2]), junk(40)),
    "random frames": lambda: UPGRADE + junk(2000),
    "reserved bits": lambda: UPGRADE + frame(1, b"{}", reserved=random.choice((0x40, 0x20, 0x10, 0x70))),
    "reserved opcode": lambda: UPGRADE + frame(random.choice((3, 4, 5, 6, 7, 11, 12, 13, 14, 15)), b"{}"),
    "unmasked": lambda: UPGRADE + frame(1, b"{}", masked=False),
    "oversized": lambda: UPGRADE + frame(1, b"x", size=random.choice((20_000, 1 << 33, (1 << 63) - 1))),
    "half frame": lambda: UPGRADE + frame(1, b"x" * 100)[: random.randint(1, 60)],
    "bad text": lambda: UPGRADE + frame(1, b"\xff\xfe" + junk(50)),
    "bad close": lambda: UPGRADE + frame(8, random.choice((b"\x00", b"\x03\xec", b"\x03\xe8\xff"))),
    "big control": lambda: UPGRADE + frame(9, b"x" * 126),
    "bad json": lambda: UPGRADE + frame(1, random.choice((b"[" * 8000, b'{"status":' + b"9" * 4000 + b"}", b"{}", b"null", b'{"a":NaN}'))),
    "lone continuation": lambda: UPGRADE + frame(0, b"x"),
    "foreign frame": lambda: UPGRADE + frame(1, json.dumps({"email": "a@b.org", "assertion": "~", "status": "online"}).encode()),
}


def fuzz(port, count):
    """Connections that send malformed data of each kind."""
    ends = Counter()

    def one(number):
        name = random.choice(list(NONSENSE))
        try:
            with Peer(port, number) as peer:
                peer.sock.sendall(NONSENSE[name]())
                if random.random() < 0.5:
                    peer.sock.shutdown(socket.SHUT_WR)
                ends[str(peer.end(0.3))] += 1
        except OSError:
            ends["refused"] += 1

    pool = Pool(50)
    for number in range(count):
        pool.spawn(one, number)
    pool.join()
    return ends


def flood(port, clients, what):
    """Frames as fast as they go from so many clients, until each is closed."""
    unit = {"ping": frame(9), "pong": frame(10), "tiny": frame(1)}[what] * 5000
    found = []

    def one(number):
        with Peer(port, number) as peer:
            peer.upgrade()
            start = time.monotonic()
            writer = gevent.spawn(write, peer)
            code = peer.end(30)
            found.append((code, time.monotonic() - start))
            writer.kill()

    def write(peer):
        with suppress(OSError):
            while True:
                peer.sock.sendall(unit)

    gevent.joinall([gevent.spawn(one, number) for number in range(clients)])
    return {"codes": Counter(str(code) for code, _ in found), "seconds": max(seconds for _, seconds in found)}


def halves(port, people, count, seconds):
    """Half requests, and half frames of devices that have signed in, a byte a second; how long each lasted."""
    lasted = {"requests": [], "frames": []}

    def drip(peer, data, kind):
        start = time.monotonic()
        peer.sock.settimeout(1)
        with suppress(OSError):
            for byte in data:
                peer.sock.sendall(bytes((byte,)))
                with suppress(TimeoutError):
                    if not peer.sock.recv(4096):
                        break
        lasted[kind].append(round(time.monotonic() - start, 1))

    def request(number):
        with Peer(port, number) as peer:
            drip(peer, (UPGRADE[:-2] + b"X-Padding: " + b"x" * 1000)[: int(seconds)], "requests")

    def device(number, person):
        with Peer(port, number) as peer:
            peer.upgrade()
            first = {"email": person[0], "assertion": person[1], "status": "online"}
            peer.sock.sendall(frame(1, json.dumps(first).encode()))
            assert b"OK" in peer.sock.recv(4096)
            drip(peer, frame(1, b"x" * 1000)[: int(seconds)], "frames")

    tasks = [gevent.spawn(request, number) for number in range(count)]
    for number, person in enumerate(people):
        tasks.append(gevent.spawn(device, count + number, person))
        gevent.sleep(0.005)
    gevent.joinall(tasks)
    return {kind: {"count": len(times), "min": min(times), "max": max(times)} for kind, times in lasted.items()}


def huge(port):
    """Messages too large: announced, in fragments, and at once; the close code and what could be sent."""
    return {name: _send_huge(port, parts) for name, parts in _huge_messages().items()}


def _huge_messages():
    mib = b"x" * MIB
    return {
        "announced 8 GiB": [frame(2, b"", size=1 << 33)] + [mib] * 300,
        "100 MiB in fragments": [frame(1, mib, final=False)] + [frame(0, mib, final=False)] * 99,
        "100 MiB in small fragments": [frame(1, b"x" * 1000, final=False)] + [frame(0, b"x" * 1000, final=False) * 1000] * 100,
        "16 MiB text": [frame(1, mib * 16)],
    }


def _send_huge(port, parts):
    with Peer(port) as peer:
        peer.upgrade()
        sent = Counter()

        def write():
            with suppress(OSError):
                for part in parts:
                    peer.sock.sendall(part)
                    sent["bytes"] += len(part)

        writer = gevent.spawn(write)
        code = peer.end(20)
        writer.kill()
        return {"code": code, "sent": sent["bytes"]}


def main():
    signal.alarm(LIFE_SECONDS)
    name, arguments = sys.argv[1], json.loads(sys.stdin.readline())
    print(json.dumps({"fuzz": fuzz, "flood": flood, "halves": halves, "huge": huge}[name](**arguments)))


if __name__ == "__main__":
    main()
