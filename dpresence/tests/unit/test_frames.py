"""RFC 6455 over bytes: what is read, what is refused and when, and what is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpresence.channels.frames import (
    NO_CODE,
    Binary,
    Close,
    FrameLimits,
    Parser,
    Part,
    Ping,
    Pong,
    Text,
    Violation,
    binary_frame,
    close_frame,
    ping_frame,
    pong_frame,
    text_frame,
)
from dpresence.tests.hypothesis_settings import UNTIMED
from dpresence.tests.live.support import frame

LIMITS = FrameLimits(message_bytes=1000, rate=20, burst=60, fragments=4)
MASK = b"\x01\x02\x03\x04"


def events(data, limits=LIMITS, step=None):
    """Return the events of ``data``, fed in pieces of ``step`` bytes."""
    parser, found = Parser(limits), []
    for start in range(0, len(data), step or max(1, len(data))):
        parser.feed(data[start : start + (step or len(data))])
        while (event := parser.next()) is not None:
            found.append(event)
    return found


def violation(data, limits=LIMITS):
    with pytest.raises(Violation) as caught:
        events(data, limits)
    return caught.value.code


# What is read


def test_a_text_message_is_read():
    assert events(frame(1, "grüß".encode())) == [Text("grüß")]


def test_a_binary_message_is_read():
    assert events(frame(2, b"\x00\xff")) == [Binary(b"\x00\xff")]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_a_length_in_each_of_its_forms_is_read(size):
    limits = FrameLimits(70000, 20, 60, 4)
    assert events(frame(1, b"x" * size), limits) == [Text("x" * size)]


def test_fragments_become_one_message_and_control_frames_pass_between_them():
    data = frame(1, b"on", final=False) + frame(9, b"p") + frame(0, b"", final=False) + frame(10, b"q") + frame(0, b"e")
    assert events(data) == [Part(2), Ping(b"p"), Part(0), Pong(b"q"), Text("one")]


def test_a_character_may_be_cut_by_a_fragment():
    data = "ß".encode()
    assert events(frame(1, data[:1], final=False) + frame(0, data[1:])) == [Part(1), Text("ß")]


def test_binary_fragments_are_joined_as_they_are():
    assert events(frame(2, b"\xff", final=False) + frame(0, b"\xfe")) == [Part(1), Binary(b"\xff\xfe")]


def test_after_a_fragmented_message_the_count_starts_again():
    message = frame(1, b"a" * 600, final=False) + frame(0, b"b" * 400)
    assert len([event for event in events(message * 3) if isinstance(event, Text)]) == 3


def test_a_close_frame_has_a_code_and_a_reason_or_neither():
    assert events(frame(8, b"")) == [Close(NO_CODE, "")]
    assert events(frame(8, b"\x03\xe8")) == [Close(1000, "")]
    assert events(frame(8, b"\x0f\xa1bye")) == [Close(4001, "bye")]


def test_a_message_at_the_limit_is_read():
    assert events(frame(1, b"x" * 1000)) == [Text("x" * 1000)]
    assert len(events(b"".join(frame(1 if not i else 0, b"x" * 250, final=i == 3) for i in range(4)))) == 4


@pytest.mark.slow
@UNTIMED
@given(st.lists(st.one_of(
    st.text(max_size=300).map(lambda text: (frame(1, text.encode()), Text(text))),
    st.binary(max_size=300).map(lambda data: (frame(2, data), Binary(data))),
    st.binary(max_size=125).map(lambda data: (frame(9, data), Ping(data))),
    st.binary(max_size=125).map(lambda data: (frame(10, data), Pong(data))),
), max_size=6), st.integers(1, 40))  # fmt: skip
def test_frames_are_read_however_they_are_cut(pairs, step):
    limits = FrameLimits(2000, 20, 60, 4)
    assert events(b"".join(data for data, _ in pairs), limits, step) == [event for _, event in pairs]


@UNTIMED
@given(st.text(min_size=1, max_size=60), st.data())
def test_text_is_the_same_however_it_is_fragmented(text, data):
    limits = FrameLimits(2000, 20, 60, 1000)
    payload = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(payload)), max_size=5)))
    parts = [payload[start:end] for start, end in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    frames = b"".join(frame(1 if not i else 0, part, final=i == len(parts) - 1) for i, part in enumerate(parts))
    assert events(frames, limits, 1)[-1] == Text(text)


def test_a_frame_cut_at_every_byte_is_read():
    data = frame(1, b"x" * 130, mask=MASK) + frame(8, b"\x03\xe8bye", mask=MASK)
    whole = events(data)
    for cut in range(1, len(data)):
        parser = Parser(LIMITS)
        found = []
        for piece in (data[:cut], data[cut:]):
            parser.feed(piece)
            while (event := parser.next()) is not None:
                found.append(event)
        assert found == whole


@UNTIMED
@given(st.binary(max_size=400))
def test_any_bytes_at_all_are_read_or_refused(data):
    try:
        events(data, step=7)
    except Violation as refused:
        assert refused.code in (1002, 1007, 1008, 1009)


def test_a_parser_knows_whether_something_has_begun():
    parser = Parser(LIMITS)
    assert not parser.partial
    parser.feed(frame(1, b"abc")[:3])
    assert parser.next() is None
    assert parser.partial
    parser = Parser(LIMITS)
    parser.feed(frame(1, b"abc", final=False))
    assert parser.next() == Part(3)
    assert parser.next() is None
    assert parser.partial
    parser.feed(frame(0, b""))
    assert parser.next() == Text("abc")
    assert not parser.partial


# What is refused


@pytest.mark.parametrize("reserved", [0x10, 0x20, 0x40])
def test_reserved_bits_are_refused(reserved):
    assert violation(frame(1, b"x", reserved=reserved)) == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_reserved_opcodes_are_refused(opcode):
    assert violation(frame(opcode, b"")) == 1002


def test_an_unmasked_frame_is_refused():
    assert violation(frame(1, b"x", mask=b"")) == 1002


def test_a_fragmented_control_frame_is_refused():
    assert violation(frame(9, b"", final=False)) == 1002


def test_a_control_frame_of_more_than_125_bytes_is_refused():
    assert violation(frame(9, b"x" * 126)) == 1002


def test_a_continuation_of_nothing_is_refused():
    assert violation(frame(0, b"x")) == 1002


@pytest.mark.parametrize("opcode", [1, 2])
def test_a_message_inside_another_is_refused(opcode):
    assert violation(frame(1, b"x", final=False) + frame(opcode, b"y")) == 1002


def test_a_message_too_large_is_refused_by_its_header():
    assert violation(frame(1, b"", announce=1001)[:4]) == 1009
    assert violation(frame(2, b"", announce=8 << 30)[:10]) == 1009


def test_fragments_too_large_together_are_refused_by_the_header_of_the_last():
    assert violation(frame(1, b"x" * 600, final=False) + frame(0, b"", announce=401)[:4]) == 1009


def test_too_many_fragments_are_refused():
    assert violation(frame(1, b"", final=False) + frame(0, b"", final=False) * 4) == 1008


@pytest.mark.parametrize("head", [b"\x81\xfe\x00\x7d", b"\x81\xff" + (126).to_bytes(8, "big"), b"\x81\xff" + (1 << 63).to_bytes(8, "big")])
def test_a_length_in_a_form_it_does_not_need_is_refused(head):
    assert violation(head + MASK) == 1002


@pytest.mark.parametrize("text", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ab\xe2\x82"])
def test_text_that_is_not_utf8_is_refused(text):
    assert violation(frame(1, text)) == 1007


def test_a_bad_fragment_is_refused_before_the_rest_comes():
    assert violation(frame(1, b"\xc0", final=False)) == 1007


def test_a_message_ending_inside_a_character_is_refused():
    assert violation(frame(1, b"\xc3", final=False) + frame(0, b"")) == 1007


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_a_close_code_nobody_may_send_is_refused(code):
    assert violation(frame(8, code.to_bytes(2, "big"))) == 1002


def test_half_a_close_code_is_refused():
    assert violation(frame(8, b"\x03")) == 1002


def test_a_close_reason_that_is_not_utf8_is_refused():
    assert violation(frame(8, b"\x03\xe8\xff")) == 1007


# What is written


@pytest.mark.parametrize(("size", "head"), [
    (0, b"\x81\x00"), (125, b"\x81\x7d"), (126, b"\x81\x7e\x00\x7e"), (65535, b"\x81\x7e\xff\xff"),
    (65536, b"\x81\x7f" + (65536).to_bytes(8, "big")),
])  # fmt: skip
def test_a_text_frame_has_the_shortest_header(size, head):
    assert text_frame(b"x" * size) == head + b"x" * size


def test_a_close_frame_carries_its_code():
    assert close_frame(4001, "bye") == b"\x88\x05\x0f\xa1bye"
    assert close_frame(NO_CODE) == b"\x88\x00"


def test_a_long_close_reason_is_cut_between_characters():
    data = close_frame(4001, "ü" * 100)
    assert len(data) == 2 + 2 + 122
    assert data[4:].decode() == "ü" * 61


def test_the_payload_of_pings_and_pongs_stays_bytes():
    assert ping_frame(b"abc") == b"\x89\x03abc"
    assert pong_frame(b"\x00\xff") == b"\x8a\x02\x00\xff"
    assert binary_frame(b"\x00") == b"\x82\x01\x00"


@UNTIMED
@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_every_mask_is_taken_off(data, mask):
    masked = frame(2, data, mask=mask)
    assert masked.endswith(bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))
    assert events(masked) == [Binary(data)]
