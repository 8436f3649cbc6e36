"""A real server against clients that are broken, slow or hostile: the limits of one connection, and everybody else's peace."""

from __future__ import annotations

import random
import re
import time

import pytest

from .support import EchoServer, frame

GAP = 0.5
"""CPU seconds for which nobody else may be kept waiting: five times the goal, for slow machines."""


# Echoes


def test_a_message_comes_back(server):
    with server.connect() as client:
        client.text("grüß")
        assert client.answer() == "grüß"


def test_binary_messages_reach_a_channel_that_wants_them(server):
    with server.connect() as client:
        client.send(frame(2, b"\x00\xff"))
        assert client.receive() == (2, b"\x00\xff")


def test_binary_messages_are_refused_by_a_channel_of_text(server):
    with server.connect("/text") as client:
        client.send(frame(2, b"\x00"))
        assert client.close_code()[0] == 1003


def test_frames_that_came_right_behind_the_request_are_not_lost(server):
    with server.connect(upgrade=False) as client:
        client.request("/echo", {}, behind=frame(1, b"early") + frame(1, b"too"))
        assert [client.answer(), client.answer()] == ["early", "too"]


def test_the_first_byte_is_that_of_the_101(server):
    with server.connect(upgrade=False) as client:
        client.request("/echo", {})
        assert (client.status, client.buffer) == (101, b"")


def test_the_applications_iterable_is_closed_before_the_channel_runs(server):
    before = server.stats()["bodies"]
    with server.connect("/text") as client:
        client.text("x")
        client.answer()
        assert server.stats()["bodies"] == before + 2  # with the one of the first look


def test_a_deferred_frame_holds_up_this_connection_and_no_other(server):
    with server.connect() as client, server.connect() as other:
        client.text("hold")
        client.text("after")
        other.text("meanwhile")
        assert other.answer() == "meanwhile"
        other.text("release")
        assert [client.answer(), client.answer()] == ["released", "after"]


def test_a_client_that_leaves_during_what_is_deferred_is_cleaned_up_after_it(server):
    with server.connect() as client:
        name = client.name()
        client.text("slowly 0.3")
    assert server.end_of(name) == [1006, False]


def test_a_channel_that_waits_by_mistake_harms_nobody_else(server):
    with server.connect() as client, server.connect() as other:
        client.text("wait 0.4")
        other.text("meanwhile")
        assert other.answer() == "meanwhile"
        assert client.answer() == "waited"


def test_many_senders_at_once_do_not_mix_their_frames(server):
    clients = [server.connect() for _ in range(8)]
    for client in clients:
        for _ in range(5):
            client.text("tell " + "x" * 2000)
    for client in clients:
        assert [client.answer() for _ in range(40)] == ["x" * 2000] * 40
    for client in clients:
        client.sock.close()


# Floods


def test_a_flood_of_pings_is_closed_and_keeps_nobody_waiting(server):
    server.stats()
    with server.connect() as flooder, server.connect() as other:
        flooder.send(frame(9) * 20000)
        other.text("still there")
        assert other.answer() == "still there"
        code, reason = flooder.close_code()
        assert code == 1008
        assert re.search(r"retry_after=\d+$", reason)
    assert server.stats()["gap"] < GAP


def test_a_flood_of_messages_is_closed(server):
    with server.connect() as flooder:
        flooder.send(frame(1, b"x") * 200)
        assert flooder.close_code()[0] == 1008


@pytest.mark.slow
def test_a_flood_that_goes_on_after_the_close_costs_next_to_nothing(server):
    with server.connect() as flooder:
        flooder.send(frame(9) * 100)
        before, started = server.stats()["cpu"], time.monotonic()
        try:
            while time.monotonic() - started < 1:
                flooder.send(b"x" * 65536)
        except OSError:
            pass
        assert server.stats()["cpu"] - before < 0.25
    assert server.stats()["gap"] < GAP


# Sizes


def test_an_announcement_of_8_gib_is_refused_unread(server):
    before = server.stats()["pss"]
    with server.connect() as client:
        client.send(frame(1, b"x" * 100, announce=8 << 30))
        assert client.close_code()[0] == 1009
        assert server.stats()["pss"] - before < 2048


def test_a_message_over_the_limit_is_refused(server):
    with server.connect() as client:
        client.send(frame(1, b"x" * 16385))
        assert client.close_code()[0] == 1009


def test_a_message_at_the_limit_is_taken(server):
    with server.connect() as client:
        client.send(frame(1, b"x" * 16384))
        assert client.answer() == "x" * 16384


def test_fragments_without_an_end_are_refused(server):
    with server.connect() as client:
        client.send(frame(1, b"", final=False) + frame(0, b"", final=False) * 70)
        assert client.close_code()[0] == 1008


def test_fragments_too_large_together_are_refused(server):
    with server.connect() as client:
        client.send(frame(1, b"x" * 9000, final=False) + frame(0, b"x" * 9000, final=False))
        assert client.close_code()[0] == 1009


def test_large_messages_cost_little(server):
    with server.connect() as client:
        before = server.stats()["cpu"]
        for _ in range(50):
            client.send(frame(1, b"x" * 16000))
            client.answer()
        assert server.stats()["cpu"] - before < 0.2  # byte by byte it would be 0.4


# Rules


def test_an_unmasked_frame_is_refused(server):
    with server.connect() as client:
        client.send(frame(1, b"x", mask=b""))
        assert client.close_code()[0] == 1002


def test_text_that_is_not_utf8_is_refused_in_its_first_fragment(server):
    with server.connect() as client:
        client.send(frame(1, b"\xc0", final=False))
        assert client.close_code()[0] == 1007


def test_rubbish_is_refused(server):
    for rubbish in (b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", bytes(64), frame(3, b""), frame(1, b"", reserved=0x40)):
        with server.connect() as client:
            client.send(rubbish)
            assert client.close_code()[0] == 1002
            assert client.hung_up()  # on its side only, so that the close frame is not lost to a reset


def test_the_payload_of_a_ping_comes_back_as_it_was(server):
    with server.connect() as client:
        client.send(frame(9, b"a\x00\xff'"))
        assert client.receive() == (10, b"a\x00\xff'")


# Mistakes of ours


def test_a_bug_in_a_channel_closes_its_connection_and_no_other():
    with EchoServer() as server, server.connect() as other:
        with server.connect() as client:
            name = client.name()
            client.text("raise")
            assert client.close_code()[0] == 1011
        other.text("still there")
        assert other.answer() == "still there"
        assert server.end_of(name) == [1011, False]
    assert server.log.count("Traceback") == 1


# Anything else


def test_random_frames_leave_no_trace(server):
    chance = random.Random(6455)
    before = server.stats()
    for _ in range(300):
        with server.connect() as client:
            data = b"".join(random_frame(chance) for _ in range(chance.randint(1, 6)))
            client.send(data[: chance.randint(0, len(data))])
    after = server.wait_for(lambda stats: stats["connections"] == 0 and stats["plain"] == 1)
    assert after["files"] <= before["files"]
    assert after["pss"] - before["pss"] < 5 * 1024
    assert after["gap"] < GAP


def random_frame(chance):
    kind = chance.random()
    if kind < 0.2:
        return chance.randbytes(chance.randint(0, 300))
    payload = chance.randbytes(chance.choice((0, 1, 2, 10, 125, 126, 5000)))
    options = {
        "final": chance.random() < 0.7,
        "reserved": chance.choice((0, 0, 0, 0x10, 0x40)),
        "mask": chance.choice((None, None, None, b"")),
    }
    announce = chance.choice((None, None, None, len(payload) + 1, 1 << 40))
    return frame(chance.choice((0, 1, 1, 2, 8, 9, 10, 3)), payload, announce=announce, **options)
