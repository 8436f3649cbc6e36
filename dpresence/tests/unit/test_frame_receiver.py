"""The frame rate, the ping timer and incomplete frames of a peer. The tests pass the time as a number."""

from __future__ import annotations

import dataclasses

import pytest

from dpresence.channels.frame_limits import FrameLimits
from dpresence.channels.frame_receiver import FrameReceiver
from dpresence.channels.frames import Part, Text, Violation
from dpresence.settings import Settings
from dpresence.tests.live.support import frame

SETTINGS = Settings()
LIMITS = FrameLimits(message_bytes=1000, rate=2, burst=5, fragments=10)


class Receiver(FrameReceiver):
    """The part of a connection without the rest of it."""

    def __init__(self, limits, ping_seconds, now):
        self.start_receiving(limits, ping_seconds, now)


@pytest.fixture
def receiver():
    return Receiver(LIMITS, SETTINGS.presence.ping_seconds, 100.0)


def test_frames_within_the_rate_are_read(receiver):
    for second in range(10):
        receiver.feed(frame(1, b"x") * 2, 100.0 + second)
        assert [receiver.next_event(100.0 + second), receiver.next_event(100.0 + second)] == [Text("x"), Text("x")]
        assert receiver.next_event(100.0 + second) is None


@pytest.mark.parametrize(
    "flood",
    [frame(1, b"x") * 6, frame(9) * 6, frame(1, b"", final=False) + frame(0, b"", final=False) * 5],
    ids=["text", "pings", "fragments"],
)
def test_every_kind_of_frame_counts(receiver, flood):
    receiver.feed(flood, 100.0)
    for _ in range(5):
        receiver.next_event(100.0)
    with pytest.raises(Violation) as caught:
        receiver.next_event(100.0)
    assert (caught.value.code, caught.value.reason) == (1008, "too many frames; retry_after=1")


def test_a_slow_rate_tells_how_long_to_wait():
    receiver = Receiver(dataclasses.replace(LIMITS, rate=0.1, burst=1), 25, 0.0)
    receiver.feed(frame(9) * 2, 0.0)
    receiver.next_event(0.0)
    with pytest.raises(Violation, match=r"retry_after=10$"):
        receiver.next_event(0.0)


def test_a_ping_is_due_after_silence_and_only_once(receiver):
    receiver.feed(frame(9), 100.0)
    receiver.next_event(100.0)
    assert not receiver.ping_due(124.9, SETTINGS)
    assert receiver.ping_due(125.0, SETTINGS)
    assert not receiver.ping_due(200.0, SETTINGS)


def test_the_first_pings_are_spread_over_a_fifth_of_the_time():
    times = []
    for _ in range(50):
        receiver = Receiver(LIMITS, 25, 0.0)
        times.append(next(step / 10 for step in range(300) if receiver.ping_due(step / 10, SETTINGS)))
    assert 20 <= min(times) <= max(times) <= 25
    assert len(set(times)) > 10


def test_a_peer_is_gone_when_a_ping_is_not_answered_in_time(receiver):
    receiver.restart_ping_timer(100.0)
    assert receiver.ping_due(125.0, SETTINGS)
    assert not receiver.pong_overdue(134.9, SETTINGS)
    assert receiver.pong_overdue(135.0, SETTINGS)


def test_half_a_frame_is_an_answer_too(receiver):
    receiver.restart_ping_timer(100.0)
    receiver.ping_due(125.0, SETTINGS)
    receiver.feed(frame(1, b"xyz")[:2], 130.0)
    assert not receiver.pong_overdue(1000.0, SETTINGS)


def test_a_frame_is_stuck_when_it_takes_too_long_however_busily(receiver):
    for second, byte in enumerate(frame(1, b"x" * 61)[:61]):
        receiver.feed(bytes((byte,)), 100.0 + second)
        assert receiver.next_event(100.0 + second) is None
        assert receiver.frame_overdue(100.0 + second, SETTINGS) == (second >= 60)


def test_a_frame_that_begins_after_a_silence_has_all_its_time(receiver):
    receiver.feed(frame(1, b"xyz")[:2], 1000.0)
    assert receiver.next_event(1000.0) is None
    assert not receiver.frame_overdue(1059.9, SETTINGS)
    assert receiver.frame_overdue(1060.0, SETTINGS)


def test_a_pause_ends_the_silence_but_is_no_new_time_for_a_frame_that_is_arriving(receiver):
    receiver.feed(frame(1, b"xyz")[:2], 100.0)
    assert receiver.next_event(100.0) is None
    assert receiver.ping_due(125.0, SETTINGS)
    receiver.restart_ping_timer(150.0)  # nobody listened meanwhile
    assert not receiver.pong_overdue(159.0, SETTINGS) and not receiver.ping_due(174.9, SETTINGS)
    assert not receiver.frame_overdue(159.9, SETTINGS)
    assert receiver.frame_overdue(160.0, SETTINGS)


def test_each_frame_of_a_message_has_its_own_time(receiver):
    receiver.feed(frame(1, b"a", final=False), 100.0)
    assert receiver.next_event(100.0) == Part(1)
    receiver.feed(frame(0, b"b", final=False), 155.0)
    assert receiver.next_event(155.0) == Part(1)
    assert not receiver.frame_overdue(200.0, SETTINGS)
    assert receiver.frame_overdue(215.0, SETTINGS)


def test_a_peer_that_has_sent_nothing_is_not_stuck(receiver):
    assert not receiver.frame_overdue(10000.0, SETTINGS)


def test_nothing_is_due_before_the_deadline(receiver):
    receiver.restart_ping_timer(100.0)
    assert receiver.receive_deadline(SETTINGS) == 125.0
    assert not receiver.ping_due(124.9, SETTINGS) and receiver.ping_due(125.0, SETTINGS)
    assert receiver.receive_deadline(SETTINGS) == 135.0
    assert not receiver.pong_overdue(134.9, SETTINGS) and receiver.pong_overdue(135.0, SETTINGS)
    receiver.restart_ping_timer(130.0)
    receiver.feed(frame(1, b"xyz")[:2], 130.0)
    assert receiver.next_event(130.0) is None
    for second in range(140, 181, 10):
        receiver.restart_ping_timer(float(second))
    assert receiver.receive_deadline(SETTINGS) == 190.0
    assert not receiver.frame_overdue(189.9, SETTINGS) and receiver.frame_overdue(190.0, SETTINGS)


@pytest.mark.parametrize("payload", [b"", b"x", b"x" * 125])
def test_a_pong_is_handled_without_the_parser_and_counts_as_any_frame(receiver, payload):
    receiver.restart_ping_timer(100.0)
    receiver.ping_due(125.0, SETTINGS)
    assert [receiver.take_pong(frame(10, payload), 125.0) for _ in range(6)] == [True] * 5 + [False]
    assert receiver._parser is None and receiver.receive_deadline(SETTINGS) == 150.0


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\x8a", frame(10)[:5], frame(10, b"x")[:-1], frame(10) + b"x", frame(10) * 2, frame(9), frame(8), frame(1)),
        *(b"\x8a\x00", b"\x0a\x80abcd", b"\xca\x80abcd", frame(10, b"x" * 126)),
    ],
    ids=lambda data: f"{len(data)} bytes",
)
def test_whatever_is_not_exactly_one_pong_is_left_to_the_parser(receiver, data):
    assert not receiver.take_pong(data, 100.0)
    receiver.feed(frame(1, b"xyz")[:2], 100.0)
    assert not receiver.take_pong(frame(10), 100.0), "these bytes belong to the frame that has begun"
