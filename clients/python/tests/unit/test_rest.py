"""The REST calls, against a server that answers as a service or something on the way may."""

from __future__ import annotations

import socket
import threading

import pytest

from dpresence_client import CredentialsError, DevelopmentIssuer, NotFound, ProtocolError, Refused, Rest

PORTAL = b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n<html>Sign in here"
CUT = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 100\r\n\r\n<html>"
NOT_FOUND = b'HTTP/1.1 404 Not Found\r\nContent-Length: 52\r\n\r\n{"result": "KO", "errno": 110, "error": "not found"}'


@pytest.fixture
def address():
    """Return a function that serves one answer, and returns the host and port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threads = []

        def serve(answer: bytes) -> str:
            def run() -> None:
                with server.accept()[0] as near:
                    near.recv(65536)
                    near.sendall(answer)

            threads.append(threading.Thread(target=run))
            threads[-1].start()
            return f"127.0.0.1:{server.getsockname()[1]}"

        yield serve
        for thread in threads:
            thread.join()


def test_an_answer_that_is_not_the_service_s_is_an_error_of_this_package(address) -> None:
    with pytest.raises(ProtocolError, match="not that of the service"):
        Rest(f"http://{address(PORTAL)}").call("GET", "/grants")
    with pytest.raises(CredentialsError):
        DevelopmentIssuer(f"http://{address(PORTAL)}", "ada@example.org", "token")()


def test_a_refusal_that_is_cut_off_is_one_of_something_else(address) -> None:
    with pytest.raises(Refused, match="HTTP 502, not from dpresence"):
        Rest(f"http://{address(CUT)}").call("GET", "/grants")


def test_the_address_of_a_websocket_is_one_of_the_service(address) -> None:
    assert (Rest("wss://example.org/below/").url, Rest("http://127.0.0.1:8282/").url) == (
        "https://example.org/below",
        "http://127.0.0.1:8282",
    )
    with pytest.raises(NotFound):
        Rest(f"ws://{address(NOT_FOUND)}").call("GET", "/grants")
