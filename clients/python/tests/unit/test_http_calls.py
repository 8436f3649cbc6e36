"""A connection without a websocket, and its calls, whose service or proxy accepts connections and never answers."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import pytest

from dpresence_client import feed, http_calls
from dpresence_client.feed import Feed
from dpresence_client.heartbeats import Heartbeats
from dpresence_client.http_calls import HttpCalls

STATUS = json.dumps({"status": "online", "id": 1})


@pytest.fixture
def silent():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def url(scheme: str, server: socket.socket) -> str:
    return f"{scheme}://127.0.0.1:{server.getsockname()[1]}"


async def always() -> None:
    return


def test_a_connection_that_ends_while_it_opens_does_not_stop_the_event_loop(silent) -> None:
    async def run() -> float:
        connection = Heartbeats("desk", url("wss", silent), None, lambda *_: None, always)
        connection.send(STATUS)
        with await asyncio.to_thread(lambda: silent.accept()[0]) as near:  # it is waiting for TLS
            await asyncio.sleep(0.05)
            connection.disconnect(1000)
            start = time.monotonic()
            await asyncio.sleep(0.05)
            took = time.monotonic() - start
            assert not connection.task.done(), "there is still a thread"
            near.shutdown(socket.SHUT_RDWR)
            await asyncio.wait_for(connection.task, 30)
        return took

    assert asyncio.run(run()) < 5


def test_a_connection_that_ends_while_it_connects_ends_at_once() -> None:
    async def run(server: socket.socket) -> None:
        connection = Heartbeats("desk", url("ws", server), None, lambda *_: None, always)
        connection.send(STATUS)
        await asyncio.sleep(0.2)
        assert not connection.task.done()
        connection.disconnect(1000)
        await asyncio.wait_for(connection.task, 5)

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        with socket.create_connection(server.getsockname()):  # nobody accepts it: the next one waits for room
            asyncio.run(run(server))


def test_a_connection_that_ends_while_an_answer_is_awaited_ends_at_once(silent) -> None:
    async def run() -> None:
        connection = Heartbeats("desk", url("ws", silent), None, lambda *_: None, always)
        connection.send(STATUS)
        with await asyncio.to_thread(lambda: silent.accept()[0]) as near:
            assert await asyncio.to_thread(near.recv, 1)
            connection.disconnect(1000)
            await asyncio.wait_for(connection.task, 5)

    asyncio.run(run())


def test_a_call_after_the_end_does_not_connect(silent) -> None:
    async def run() -> None:
        calls = HttpCalls(url("ws", silent), None)
        calls.interrupt()
        with pytest.raises(ConnectionAbortedError):
            await asyncio.wait_for(calls.run(calls.post, "", b"{}"), 5)
        await calls.close()

    asyncio.run(run())
    silent.setblocking(False)
    with pytest.raises(BlockingIOError):
        silent.accept()


def test_opening_a_stream_has_the_limit_of_an_answer_and_not_that_of_a_stream(silent, monkeypatch) -> None:
    monkeypatch.setattr(http_calls, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(http_calls, "READ_SECONDS", 5.0)

    async def run() -> None:
        calls = HttpCalls(url("wss", silent), None)
        with pytest.raises(OSError):
            await calls.run(calls.get, "/feed")
        await calls.close()

    start = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - start < 4


def test_a_stream_that_the_program_does_not_read_ends_after_a_while(silent, monkeypatch) -> None:
    monkeypatch.setattr(feed, "READ_SECONDS", 0.2)
    reported: list[str] = []

    async def run() -> None:
        full = asyncio.Event()

        async def may_read() -> None:
            if "received" in reported:
                await full.wait()

        connection = Feed(url("ws", silent), None, lambda event, *_: reported.append(event), may_read)
        connection.send(json.dumps({"action": "auth", "key": "k", "id": "auth"}))
        with await asyncio.to_thread(lambda: silent.accept()[0]) as near:
            near.sendall(b'HTTP/1.1 200 OK\r\n\r\nevent: auth\ndata: {"result": "OK"}\n\n')
            await asyncio.wait_for(connection.task, 5)

    asyncio.run(run())
    assert reported == ["opened", "received", "closed"]


@pytest.mark.parametrize("foreign", [b"", b"null", b"[]", b"{}", b'{"status": "ok"}', b'{"result": "success", "errno": "0"}'])
@pytest.mark.parametrize("kind", ["heartbeat", "notifications"])
def test_an_answer_of_something_else_than_the_service_ends_the_connection(silent, kind: str, foreign: bytes) -> None:
    reported: list[str] = []

    async def run() -> None:
        def report(event: str, *_: object) -> None:
            reported.append(event)

        connection: Feed | Heartbeats
        if kind == "heartbeat":
            connection = Heartbeats("desk", url("ws", silent), None, report, always)
            connection.send(STATUS)
        else:
            connection = Feed(url("ws", silent), None, report, always)
            connection.send(json.dumps({"action": "notify", "id": 1, "notifications": []}))
        with await asyncio.to_thread(lambda: silent.accept()[0]) as near:
            await asyncio.to_thread(near.recv, 65536)
            near.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(foreign), foreign))
            await asyncio.sleep(0.2)
        connection.disconnect(1000)
        await asyncio.wait_for(connection.task, 5)

    asyncio.run(run())
    assert reported == ["opened", "closed"]


def test_a_proxy_is_told_its_user_and_password(silent, monkeypatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://ada:p%40ss@127.0.0.1:{silent.getsockname()[1]}")
    monkeypatch.delenv("no_proxy", raising=False)

    def refuse() -> bytes:
        with silent.accept()[0] as near:
            request = near.recv(65536)
            near.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return request

    async def run() -> bytes:
        calls = HttpCalls("wss://presence.example.org/presence", None)
        proxy = asyncio.ensure_future(asyncio.to_thread(refuse))
        with pytest.raises(OSError, match="407"):
            await calls.run(calls.post, "", b"{}")
        await calls.close()
        return await proxy

    request = asyncio.run(run())
    assert request.startswith(b"CONNECT presence.example.org:443 ") and b"\r\nProxy-Authorization: Basic YWRhOnBAc3M=\r\n" in request


def test_a_heartbeat_that_is_refused_ends_the_connection_at_once(silent) -> None:
    reported: list[str] = []

    def answer() -> None:
        with silent.accept()[0] as near:
            near.recv(4096)
            near.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

    async def run() -> None:
        connection = Heartbeats("desk", url("ws", silent), None, lambda event, *_: reported.append(event), always)
        connection.send(STATUS)
        await asyncio.to_thread(answer)
        await asyncio.wait_for(connection.task, 5)

    asyncio.run(run())
    assert reported == ["opened", "closed"]


def answer_calls(server: socket.socket, *bodies: bytes) -> None:
    """Answer calls with 200 and these bodies, one each; fail if a call does not come."""
    server.settimeout(5)
    for body in bodies:
        with server.accept()[0] as near:
            near.recv(65536)
            near.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


AUTH = json.dumps({"action": "auth", "key": "k", "id": "auth"})
NOTIFY = json.dumps({"action": "notify", "notifications": [], "id": 1})


@pytest.mark.parametrize("page", [b"<html>Sign in first.", b"<html>Connectez-vous \xe0 l'h\xf4tel.", b'{"status": "login"}', b"{}"])
def test_a_network_that_wants_a_sign_in_first_is_a_lost_connection_and_no_error_of_the_client(silent, caplog, page) -> None:
    reported: list[str] = []

    async def run() -> None:
        portal = asyncio.ensure_future(asyncio.to_thread(answer_calls, silent, page, page, page))
        device = Heartbeats("desk", url("ws", silent), None, lambda event, *_: reported.append(event), always)
        device.send(STATUS)
        await asyncio.wait_for(device.task, 5)
        for frame in (AUTH, NOTIFY):
            app = Feed(url("ws", silent), None, lambda event, *_: reported.append(event), always)
            app.send(frame)
            await asyncio.wait_for(app.task, 5)
        await portal

    asyncio.run(run())
    assert reported == ["opened", "closed"] * 3 and caplog.records == []


@pytest.mark.parametrize(
    "event", ['auth\ndata: {"status": "login"}', "auth\ndata: <html>", "current\ndata: []", 'close\ndata: {"code": "1"}']
)
def test_an_event_that_is_not_the_services_is_a_lost_connection_and_no_error_of_the_client(silent, caplog, event) -> None:
    reported: list[tuple] = []

    async def run() -> None:
        answered = asyncio.ensure_future(asyncio.to_thread(answer_calls, silent, f"event: {event}\n\n".encode()))
        app = Feed(url("ws", silent), None, lambda *values: reported.append(values), always)
        app.send(AUTH)
        await asyncio.wait_for(app.task, 5)
        await answered

    asyncio.run(run())
    assert reported == [("opened",), ("closed", 1006, "an answer that is not from dpresence")] and caplog.records == []
