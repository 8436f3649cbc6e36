"""The load that ``make bench PEERS=1`` plays to an MQTT broker, as bytes."""

from __future__ import annotations

import pytest

from bench.loop import Loop
from bench.mqtt import MqttWatcher, connect_packet, packet, string


@pytest.mark.parametrize(
    ("size", "length"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (16383, b"\xff\x7f"), (16384, b"\x80\x80\x01")]
)
def test_a_packet_has_its_length_in_groups_of_seven_bits(size: int, length: bytes) -> None:
    assert packet(0x30, b"x" * size) == b"\x30" + length + b"x" * size


def test_a_connection_names_its_user_and_its_will() -> None:
    body = b"\0\4MQTT\4\xe6\0\0" + b"\0\3ann" + b"\0\1t" + b'\0\x15{"status": "offline"}' + b"\0\3ann" + b"\0\6secret"
    assert connect_packet("ann", "secret", "t") == b"\x10" + bytes([len(body)]) + body


def test_packets_are_read_from_bytes_that_arrive_one_by_one() -> None:
    watcher = MqttWatcher(Loop(), 1, "secret")
    came = packet(0x90, b"\0\1\0") + b"".join(
        packet(0x30, string("presence/ann") + b'{"status": "%s"}' % status) for status in (b"x" * 200, b"online")
    )
    rest = b""
    for byte in came:
        rest = watcher.received(rest + bytes([byte]))
    assert rest == b"" and watcher.delivered == 2
    assert watcher.counts["snapshots"] == 1 and watcher.seen == {"presence/ann": "online"}
