"""The websocket of a client, against a server of the ``websockets`` library."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response

from dpresence_client import AppService, Closed, NotFound, Refused, aio, retry, websocket
from dpresence_client.inbox import MAX_ITEMS
from dpresence_client.websocket import channel_url

KEY = "dpk_1_secret"
OK = {"result": "OK", "action": "auth", "recovery": "snapshot", "id": "auth"}


async def with_server(handler, work, **options):
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        return await work(aio.AppService(f"http://127.0.0.1:{port}/below", "app", KEY, open_seconds=30), port)


async def sign_in(connection) -> None:
    assert json.loads(await connection.recv())["key"] == KEY
    await connection.send(json.dumps(OK))


def test_the_url_of_a_channel() -> None:
    assert channel_url("https://presence.example.org", "/presence") == "wss://presence.example.org/presence"
    assert channel_url("http://127.0.0.1:8282/", "/myapps/a/b") == "ws://127.0.0.1:8282/myapps/a/b"
    assert channel_url("wss://example.org/_presence/", "/myapps/ä?x") == "wss://example.org/_presence/myapps/%C3%A4%3Fx"
    for wrong in (
        "presence.example.org",
        "ftp://x",
        "https://",
        "https://user:secret@x",
        "https://x/?q",
        "https://x/#f",
        "https://x:y",
        "https://x:99999",
    ):
        with pytest.raises(ValueError, match="url: ") as error:
            channel_url(wrong, "/presence")
        assert "secret" not in str(error.value)


def test_a_connection_that_is_not_encrypted_is_logged(caplog) -> None:
    channel_url("http://presence.example.org", "/presence")
    assert "not encrypted" in caplog.text


def test_no_proxy_is_asked_for_this_machine(monkeypatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    async def handler(connection):
        await sign_in(connection)
        await connection.wait_closed()

    async def work(app, port):
        async with app:
            assert app.connected, app.core.reason

    asyncio.run(with_server(handler, work))


@pytest.mark.parametrize("body", ['{"result": "KO", "errno": 110, "error": "not found"}', "<html>"])
def test_a_refused_handshake_is_a_typed_error(body) -> None:
    def refuse(connection, request):
        return Response(404, "Not Found", Headers({"Content-Length": str(len(body))}), body.encode())

    async def work(app, port):
        with pytest.raises(NotFound if "errno" in body else Refused, match=r"not found|HTTP 404"):
            await app.start()

    asyncio.run(with_server(sign_in, work, process_request=refuse))


def test_a_redirect_is_not_followed() -> None:
    paths = []

    def redirect(connection, request):
        paths.append(request.path)
        return Response(302, "Found", Headers({"Location": "/elsewhere", "Content-Length": "0"}), b"")

    async def work(app, port):
        with pytest.raises(Refused, match="HTTP 302"):
            await app.start()

    asyncio.run(with_server(sign_in, work, process_request=redirect))
    assert paths == ["/below/myapps/app"]


def test_the_log_has_no_secret_at_any_level_and_one_name(caplog) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "dpresence_client")

    async def handler(connection):
        await sign_in(connection)
        await connection.close(4013, "too many bad frames")

    async def work(app, port):
        await app.start()
        with pytest.raises(Closed, match="4013"):
            async for _ in app:
                pass
        await app.close()

    asyncio.run(with_server(handler, work, logger=logging.getLogger("server")))
    own = [record for record in caplog.records if record.name not in ("server", "asyncio")]
    assert {record.name for record in own} == {"dpresence_client"} and len(own) >= 2
    assert not any(KEY in record.getMessage() for record in own)


def test_a_message_that_is_too_large_is_no_reason_to_stop(monkeypatch) -> None:
    monkeypatch.setattr(websocket, "MAX_BYTES", 1000)
    monkeypatch.setattr(retry, "MAX_SECONDS", 0.01)
    connections = []

    async def handler(connection):
        connections.append(1)
        await sign_in(connection)
        snapshot = {"snapshot": [], "last": True, "cursor": "e:1", "new": "x" * (2000 if len(connections) == 1 else 1)}
        await connection.send(json.dumps(snapshot))
        await connection.send(json.dumps({"updates": [{"puid": "p", "status": "online", "at": 1, "reason": "granted"}], "cursor": "e:2"}))
        await connection.wait_closed()

    async def work(app, port):
        async with app:
            async for change in app:
                assert change.puid == "p"
                return

    asyncio.run(with_server(handler, work))
    assert len(connections) == 2


def test_a_client_that_is_closed_waits_a_moment_for_the_answer_to_a_notification() -> None:
    async def handler(connection):
        await sign_in(connection)
        request = json.loads(await connection.recv())
        await asyncio.sleep(0.2)
        entry = {"puid": "p", "id": "n_1", "result": "OK", "queue_size": 1, "delivered": True}
        await connection.send(json.dumps({"result": "OK", "action": "notify", "notifications": [entry], "id": request["id"]}))
        await connection.wait_closed()

    async def work(app, port):
        await app.start()
        sent = asyncio.ensure_future(app.notify("p", "Your move"))
        await asyncio.sleep(0)
        await app.close()
        assert (await sent).delivered

    asyncio.run(with_server(handler, work))


def test_a_program_that_does_not_take_the_changes_stops_the_reading_but_not_its_own_requests() -> None:
    async def handler(connection):
        await sign_in(connection)
        for number in range(1000):
            update = {"puid": "p", "status": ("online", "offline")[number % 2], "at": number, "reason": "explicit"}
            await connection.send(json.dumps({"updates": [update], "cursor": f"e:{number}"}))
        request = json.loads(await connection.recv())
        result = {"puid": "p", "id": "n1", "result": "OK", "queue_size": 1, "delivered": False}
        await connection.send(json.dumps({"result": "OK", "action": "notify", "notifications": [result], "id": request["id"]}))
        await connection.wait_closed()

    async def work(app, port):
        async with app:
            while app.inbox._items.qsize() < MAX_ITEMS:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
            assert app.inbox._items.qsize() == MAX_ITEMS
            assert (await app.notify("p")).id == "n1"
            seen = 0
            async for _ in app:
                seen += 1
                if seen == 1000:
                    return

    asyncio.run(with_server(handler, work))


@pytest.mark.parametrize("unread", [0, 100])
def test_a_connection_that_ends_while_the_program_does_not_take_the_changes_is_replaced(unread, monkeypatch) -> None:
    """:param unread: messages behind which the library does not see the close frame."""
    monkeypatch.setattr(retry, "MAX_SECONDS", 0.01)
    monkeypatch.setattr(websocket, "PING_SECONDS", 0.1)
    monkeypatch.setattr(websocket, "PONG_SECONDS", 0.5)
    connections = []

    async def handler(connection):
        connections.append(connection)
        await sign_in(connection)
        for number in range(MAX_ITEMS + unread if len(connections) == 1 else 0):
            update = {"puid": "p", "status": ("online", "offline")[number % 2], "at": number, "reason": "explicit"}
            await connection.send(json.dumps({"updates": [update], "cursor": f"e:{number}"}))
        if len(connections) == 1:
            await connection.close(4102, "slow reader")
        await connection.wait_closed()

    async def work(app, port):
        async with app:
            while not (len(connections) >= 2 and app.connected):
                await asyncio.sleep(0.001)
            assert app.inbox._items.qsize() >= MAX_ITEMS

    asyncio.run(asyncio.wait_for(with_server(handler, work), 10))


def test_a_loop_that_was_left_goes_on_where_it_was() -> None:
    async def handler(connection):
        await sign_in(connection)
        entries = [{"puid": f"p{number}", "status": "online", "at": 1} for number in range(5)]
        await connection.send(json.dumps({"snapshot": entries, "last": True, "cursor": "e:1"}))
        await connection.wait_closed()

    async def work(app, port):
        seen = []
        async with app:
            while len(seen) < 5:
                async for change in app:
                    seen.append(change.puid)
                    break
        return seen

    assert asyncio.run(with_server(handler, work)) == ["p0", "p1", "p2", "p3", "p4"]


@pytest.mark.parametrize("refused", [True, False])
def test_a_program_is_told_at_the_final_stop_too_that_the_table_is_not_current_any_more(refused) -> None:
    current: list[bool] = []

    async def handler(connection):
        await sign_in(connection)
        await connection.send(json.dumps({"snapshot": [], "last": True, "cursor": "e:1"}))
        while not current:
            await asyncio.sleep(0.001)
        if refused:
            await connection.close(4013, "too many bad frames")
        await connection.wait_closed()

    async def follow(app):
        async for _ in app:
            pass

    def follow_in_a_thread(app):
        for _ in app:
            pass

    async def work(_, port):
        url = f"http://127.0.0.1:{port}/below"
        async with aio.AppService(url, "app", KEY, open_seconds=30, on_current=current.append) as app:
            await ended(asyncio.ensure_future(follow(app)), app.close)
        assert current == [True, False]
        current.clear()
        app = AppService(url, "app", KEY, open_seconds=30, on_current=current.append)
        await asyncio.to_thread(app.start)
        await ended(asyncio.ensure_future(asyncio.to_thread(follow_in_a_thread, app)), lambda: asyncio.to_thread(app.close))
        await asyncio.to_thread(app.close)
        assert current == [True, False]

    async def ended(following, close):
        while not current:
            await asyncio.sleep(0.001)
        if refused:
            with pytest.raises(Closed, match="4013"):
                await following
        else:
            await close()
            await following

    asyncio.run(asyncio.wait_for(with_server(handler, work), 30))


def test_an_error_in_the_client_ends_the_connection_and_not_the_client(monkeypatch, caplog) -> None:
    monkeypatch.setattr(retry, "MAX_SECONDS", 0.01)
    connections = []

    async def handler(connection):
        connections.append(1)
        await sign_in(connection)
        await connection.send(json.dumps({"snapshot": [], "last": True, "cursor": "e:1"}))
        await connection.wait_closed()

    async def work(app, port):
        app._deliver = lambda _: 1 / 0
        async with app:
            while len(connections) < 2:
                await asyncio.sleep(0.001)

    asyncio.run(with_server(handler, work))
    assert "an error in the client ended the connection" in caplog.text
