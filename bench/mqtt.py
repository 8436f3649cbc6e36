"""The same load for an MQTT broker (MQTT 3.1.1): devices that publish their status with QoS 1, and one watching subscriber.

A device has a will, as a presence service tells the application of a lost device, and its status is retained, as a snapshot has it.
"""

from __future__ import annotations

import json
import time
from collections import Counter

from .crowd import Fleet
from .loop import Loop
from .sockets import Tcp

TOPIC = "presence/"
WATCHER = "watcher"
_STATUSES = ("online", "unavailable")
_CONNACK, _PUBLISH, _PUBACK, _SUBACK = 2, 3, 4, 9


def packet(head: int, body: bytes) -> bytes:
    """Return a control packet (section 2.2)."""
    size, length = len(body), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes((head, *length, size)) + body


def string(value: str) -> bytes:
    """Return a string with its length (section 1.5.3)."""
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


def connect_packet(user: str, password: str, will: str | None = None) -> bytes:
    """Return a CONNECT with a clean session and no keep-alive; ``will`` is a topic for "offline" (section 3.1)."""
    flags = 0xC2 | (0x24 if will else 0)
    ends = string(will) + string('{"status": "offline"}') if will else b""
    return packet(0x10, string("MQTT") + bytes((4, flags, 0, 0)) + string(user) + ends + string(user) + string(password))


class Mqtt(Tcp):
    """One MQTT connection. Subclasses implement ``came`` and ``packet``."""

    __slots__ = ("_password", "_will", "user")

    def __init__(self, loop: Loop, user: str, password: str, will: str | None) -> None:
        super().__init__(loop)
        self.user, self._password, self._will = user, password, will

    def came(self) -> None:
        """The server has accepted the connection."""

    def packet(self, kind: int, body: bytes) -> None:
        """Another packet has arrived."""

    def leave(self) -> None:
        """End the connection."""
        self.drop()

    def connected(self) -> None:
        self.send(connect_packet(self.user, self._password, self._will))

    def received(self, data: bytes) -> bytes:
        at = 0
        while len(data) - at >= 2:
            size, start, shift = data[at + 1] & 127, at + 2, 7
            while data[start - 1] & 128 and start < len(data):
                size |= (data[start] & 127) << shift
                start, shift = start + 1, shift + 7
            if data[start - 1] & 128 or len(data) < start + size:
                break
            kind, body = data[at] >> 4, data[start : start + size]
            at = start + size
            if kind == _CONNACK:
                assert body[1] == 0, f"{self.user} is refused with {body[1]}"
                self.came()
            else:
                self.packet(kind, body)
        return data[at:]


class MqttDevice(Mqtt):
    """A device that publishes its status; ``sent_at`` is set while an update waits for its PUBACK."""

    __slots__ = ("_fleet", "_turn", "_updates", "sent_at", "signed_in", "source")

    def __init__(self, fleet: Fleet, number: int, user: str, password: str) -> None:
        topic = TOPIC + user
        super().__init__(fleet.loop, user, password, topic)
        self._fleet = fleet
        self._turn = 0
        bodies = (string(topic) + b"\0\1" + json.dumps({"email": user, "status": status}).encode() for status in _STATUSES)
        self._updates = [packet(0x33, body) for body in bodies]  # QoS 1, retained
        self.signed_in = False
        self.sent_at = 0.0
        self.source = f"127.1.{number // 250}.{number % 250 + 1}"

    @property
    def status(self) -> str:
        """The status that it published last."""
        return _STATUSES[self._turn]

    def come(self) -> None:
        """Connect and publish "online"."""
        self.sent_at = time.perf_counter()
        self.dial(self._fleet.port, self.source)

    def came(self) -> None:
        self.send(self._updates[0])

    def update(self) -> None:
        """Publish the other of two statuses."""
        self._turn ^= 1
        self.sent_at = time.perf_counter()
        self.send(self._updates[self._turn])

    def packet(self, kind: int, body: bytes) -> None:
        if kind != _PUBACK:
            return
        seconds, self.sent_at = time.perf_counter() - self.sent_at, 0.0
        if self.signed_in:
            self._fleet.answered(seconds)
            return
        self.signed_in = True
        self._fleet.came(seconds)

    def ended(self, code: int, reason: str) -> None:
        self._fleet.went(self, code)
        self.signed_in, self.sent_at = False, 0.0


class MqttWatcher(Mqtt):
    """A subscriber to all statuses; a SUBACK counts as the snapshot, as the retained messages follow it."""

    __slots__ = ("_port", "at_snapshot", "closing", "counts", "delivered", "seen")

    def __init__(self, loop: Loop, port: int, password: str) -> None:
        super().__init__(loop, WATCHER, password, None)
        self._port, self.closing = port, False
        self.seen: dict[str, str] = {}
        self.at_snapshot: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.delivered = 0

    def come(self) -> None:
        """Connect and subscribe."""
        self.dial(self._port)

    def came(self) -> None:
        self.send(packet(0x82, b"\0\1" + string(TOPIC + "#") + b"\0"))  # QoS 0

    def packet(self, kind: int, body: bytes) -> None:
        if kind == _SUBACK:
            self.counts["snapshots"] += 1
        elif kind == _PUBLISH:
            size = int.from_bytes(body[:2], "big")
            entry = json.loads(body[2 + size :])
            self.seen[body[2 : 2 + size].decode()] = entry["status"]
            self.delivered += 1

    def ended(self, code: int, reason: str) -> None:
        self.counts[f"ended {code}"] += 1
