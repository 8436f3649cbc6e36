"""A real server against clients that are broken, slow or hostile: the limits of one connection, and everybody else's peace."""

from __future__ import annotations

import random
import re
import time

from .support import EchoServer, frame

GAP = 0.5
"""Seconds for which nobody else may be kept waiting: five times the goal, for slow machines."""


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
    with server.connect() as client:
        client.text("x")
        client.answer()
        assert server.stats()["bodies"] == before + 2  # with the one of the first look


def test_what_is_deferred_holds_up_this_connection_and_no_other(server):
    with server.connect() as client, server.connect() as other:
        client.text("slowly 0.5")
        client.text("after")
        other.text("meanwhile")
        started = time.monotonic()
        assert other.answer() == "meanwhile"
        assert time.monotonic() - started < 0.4
        assert [client.answer(), client.answer()] == ["slowly done", "after"]


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
            assert client.hung_up(1)  # on its side only, so that the close frame is not lost to a reset


def test_the_payload_of_a_ping_comes_back_as_it_was(server):
    with server.connect() as client:
        client.send(frame(9, b"a\x00\xff'"))
        assert client.receive() == (10, b"a\x00\xff'")


# Closing


def test_the_code_and_reason_of_a_close_are_really_sent(server):
    with server.connect() as client:
        client.text("close 4001 bye")
        assert client.receive() == (8, b"\x0f\xa1bye")


def test_a_close_reason_is_cut_to_what_a_frame_holds(server):
    with server.connect() as client:
        client.text("close 4001 " + "ü" * 100)
        opcode, payload = client.receive()
        assert (opcode, len(payload)) == (8, 124)
        assert payload[2:].decode() == "ü" * 61


def test_a_close_is_answered_with_its_code_and_the_server_hangs_up(server):
    for code, reason in ((1000, b""), (1001, b"going"), (4711, b"x" * 123)):
        with server.connect() as client:
            name = client.name()
            client.send(frame(8, code.to_bytes(2, "big") + reason))
            assert client.receive() == (8, code.to_bytes(2, "big"))
            assert client.hung_up()
        assert server.end_of(name) == [code, True]


def test_a_close_without_a_code_is_answered_without_one(server):
    with server.connect() as client:
        client.send(frame(8))
        assert client.receive() == (8, b"")


def test_a_close_that_is_answered_was_clean(server):
    with server.connect() as client:
        name = client.name()
        client.text("close 4001 bye")
        client.close_code()
        client.send(frame(8, b"\x0f\xa1"))
        assert client.hung_up()
    assert server.end_of(name) == [4001, True]


def test_frames_behind_a_close_are_ignored(server):
    with server.connect() as client:
        client.text("close 4001 bye")
        client.close_code()
        client.send(frame(1, b"", final=False) + frame(0, b"x") + frame(1, b"raise") + frame(9, b"p"))
        client.send(frame(8, b"\x0f\xa1"))
        assert client.hung_up()
        assert client.buffer == b""


def test_a_lost_client_is_told_from_one_that_closed(server):
    with server.connect() as client:
        name = client.name()
    assert server.end_of(name) == [1006, False]


def test_every_open_has_its_close(server):
    clients = [server.connect() for _ in range(30)]
    names = [client.name() for client in clients]
    for number, client in enumerate(clients):
        client.text(("abort", "close 4001", "x", "slowly 0.1")[number % 4])
    for client in clients:
        client.sock.close()
    server.wait_for(lambda stats: set(names) <= set(stats["closed"]))
    server.wait_for(lambda stats: stats["connections"] == 0 and stats["opened"] == stats["left"])


def test_an_aborted_client_is_gone_at_once(server):
    with server.connect() as client:
        client.text("abort")
        assert client.hung_up(1)


def test_a_kicked_client_that_does_not_answer_is_really_gone(hasty):
    files = hasty.stats()["files"]
    with hasty.connect() as client:
        name = client.name()
        client.text("close 4010 replaced")
        assert client.close_code() == (4010, "replaced")
        assert client.hung_up(3)
        assert hasty.end_of(name) == [4010, False]
        hasty.wait_for(lambda stats: stats["files"] <= files)


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


# Slow readers


def test_a_slow_reader_is_closed_while_others_are_served(server):
    with server.connect(receive_buffer=4096) as slow, server.connect() as other:
        slow.text("pour 100 16000")  # 1.6 MB: the outbox and what the kernel takes
        for _ in range(20):
            other.text("still there")
            assert other.answer() == "still there"
        stats = server.stats()
        assert stats["gap"] < GAP
        assert slow.close_code()[0] == 4102


def test_a_reader_that_stops_for_good_is_dropped(hasty):
    with hasty.connect(receive_buffer=4096) as stuck:
        name = stuck.name()
        stuck.text("pour 60 16000")
        assert hasty.end_of(name) == [4102, False]


def test_a_backlog_within_bounds_arrives_whole_and_in_order(server):
    with server.connect(receive_buffer=4096) as client:
        client.text("pour 60 16000")
        time.sleep(0.1)
        assert [len(client.answer()) for _ in range(60)] == [16000] * 60
        client.text("and then")
        assert client.answer() == "and then"


def test_draining_waits_for_a_slow_reader_and_loses_nothing(server):
    with server.connect(receive_buffer=4096) as client:
        client.text("drain 2000 16000")
        assert sum(len(client.answer()) for _ in range(2000)) == 2000 * 16000
        assert server.wait_for(lambda stats: stats["drained"])


def test_draining_gives_up_a_reader_that_stops(hasty):
    with hasty.connect(receive_buffer=4096) as client:
        name = client.name()
        client.text("drain 1000 65536")
        assert hasty.end_of(name) == [4102, False]
        assert hasty.stats()["drained"]


# Silence


def test_half_a_frame_that_goes_on_for_ever_is_dropped(hasty):
    with hasty.connect() as client:
        name, started = client.name(), time.monotonic()
        data = frame(1, b"x" * 1000)
        for index in range(100):
            client.send(data[index : index + 1])
            if client.hung_up(0.05):
                break
        assert 0.8 < time.monotonic() - started < 3
    assert hasty.end_of(name) == [1006, False]


def test_half_a_message_is_dropped_too(hasty):
    with hasty.connect() as client:
        client.send(frame(1, b"x", final=False))
        assert client.hung_up(3)


def test_a_silent_client_is_pinged_and_a_pong_keeps_it(pinging):
    with pinging.connect() as client:
        started = time.monotonic()
        for _ in range(4):
            assert client.receive()[0] == 9
            client.send(frame(10))
        assert time.monotonic() - started > 1.2
        client.text("alive")
        assert client.answer() == "alive"


def test_any_bytes_at_all_are_an_answer_to_a_ping(pinging):
    with pinging.connect() as client:
        for _ in range(3):
            assert client.receive()[0] == 9
            client.text("hello")
            assert client.answer() == "hello"


def test_a_client_that_does_not_answer_a_ping_is_given_up(pinging):
    with pinging.connect() as client:
        name = client.name()
        assert client.receive()[0] == 9
        assert client.close_code() == (4201, "no pong")
        assert client.hung_up(3)
    assert pinging.end_of(name) == [4201, False]


def test_pings_of_clients_that_came_together_do_not_leave_together(pinging):
    clients = [pinging.connect() for _ in range(10)]
    started, first = time.monotonic(), []
    for client in clients:
        client.receive()
        first.append(time.monotonic() - started)
    for client in clients:
        client.sock.close()
    assert first[0] < 0.65
    assert max(first) - min(first) > 0


def test_a_channel_ticks_while_it_is_idle(pinging):
    before = pinging.stats()["ticks"]
    with pinging.connect():
        pinging.wait_for(lambda stats: stats["ticks"] >= before + 5)


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
