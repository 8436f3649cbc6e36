"""The end of a websocket: close frames, lost peers and aborted connections (RFC 6455, 7)."""

from __future__ import annotations

import pytest

from .support import frame


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


def test_a_lost_client_is_distinguished_from_one_that_closed(server):
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
        assert client.hung_up()


@pytest.mark.slow
def test_a_kicked_client_that_does_not_answer_is_really_gone(hasty):
    files = hasty.stats()["files"]
    with hasty.connect() as client:
        name = client.name()
        client.text("close 4010 replaced")
        assert client.close_code() == (4010, "replaced")
        assert client.hung_up()
        assert hasty.end_of(name) == [4010, False]
        hasty.wait_for(lambda stats: stats["files"] <= files)
