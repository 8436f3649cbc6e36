"""The server as ``pserve`` runs it: start, TLS, and a stop that lets everybody know."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import re
import signal
import socket
import struct
import sys
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.sync.client import connect

from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .clients import trusting
from .support import EchoServer, frame
from .warm import Fork, run

INI = """
[app:main]
use = call:dpresence.tests.live.echo_server:app_factory
overrides = {overrides}
sleep = {sleep}
[server:main]
use = egg:dpresence
port = 0
{server}
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(levelname)s %(name)s %(message)s
"""


def write_ini(path, overrides=None, sleep=0, server=""):
    ini = path / "echo.ini"
    ini.write_text(INI.format(overrides=json.dumps(overrides or {}), sleep=sleep, server=server))
    return [sys.executable, "-m", "pyramid.scripts.pserve", str(ini)]


def pserve_of(path):
    """Return the arguments of a fork that serves the ini in a folder."""
    return ["pserve", str(path / "echo.ini")]


@pytest.fixture
def pserve(tmp_path):
    with EchoServer(command=write_ini(tmp_path)) as server:
        yield server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*plain))
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def secure(certificate):
    certfile, keyfile = certificate
    overrides = {"server": {"certfile": str(certfile), "keyfile": str(keyfile)}, "channels": {"handshake_seconds": 0.3}}
    with EchoServer(overrides, scheme="https") as server:
        server.context = trusting(certfile)
        yield server
    assert "Traceback" not in server.log, server.log


def secure_connect(server):
    return connect(f"wss://127.0.0.1:{server.port}/echo", ssl=server.context, compression=None, max_size=None)


def test_pserve_serves_and_a_real_client_is_understood(pserve):
    with connect(f"ws://127.0.0.1:{pserve.port}/echo", compression=None) as client:
        client.send("hello")
        assert client.recv() == "hello"
        client.send(["in ", "pieces"])
        assert client.recv() == "in pieces"
        assert client.ping(b"p").wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_tells_every_channel_when_to_come_back(pserve, number):
    clients = [pserve.connect() for _ in range(5)]
    clients[0].text("pour 20 1000")
    pserve.process.send_signal(number)
    for client in clients:
        code, reason = client.close_code()
        assert code == 4200
        assert re.search(r"retry_after=1$", reason)
        client.send(frame(8, b"\x10\x68"))
    assert pserve.stop() == 0
    assert pserve.output.startswith("building\nbackground stopped\nclosed ")
    found = json.loads(pserve.output.split("closed ")[1])
    assert list(found["closed"].values()) == [[4200, True]] * 5
    assert found["left"] == 5
    assert "Traceback" not in pserve.log


@pytest.mark.slow
def test_a_stop_does_not_wait_for_those_who_do_not_answer(pserve):
    clients = [pserve.connect(receive_buffer=4096) for _ in range(3)]
    clients[0].text("pour 900 16000")
    names = [client.name() for client in clients[1:]]
    clients[1].text("slowly 30")
    half = pserve.connect(upgrade=False)
    half.send(b"GET /page HTTP/1.1\r\n")
    pserve.stats()
    assert pserve.stop() == 0
    assert names[1] in json.loads(pserve.output.split("background stopped\nclosed ")[1])["closed"]
    pserve.wait_for_log("1 channels did not end in time")
    assert "Traceback" not in pserve.log


def test_a_stop_while_the_application_is_being_built_is_a_clean_end(tmp_path):
    write_ini(tmp_path, sleep=30)
    process = Fork(pserve_of(tmp_path), tmp_path / "log", tmp_path / "output")
    eventually(lambda: (tmp_path / "output").read_text() == "building\n")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(("overrides", "server", "key"), [
    ({"identity": {"development": True}}, "host = 0.0.0.0", "host = 0.0.0.0"),
    ({"identity": {"development": True}}, "host = localhost", "host = localhost"),
    ({"identity": {"development": True}}, "certfile = a.pem\nkeyfile = b.pem", "certfile"),
    ({}, "certfile = a.pem", "certfile"),
    ({}, "certfile = /nowhere/a.pem\nkeyfile = /nowhere/b.pem", "certfile"),
    ({}, "threads = 8", "threads"),
])  # fmt: skip
def test_a_server_that_must_not_run_does_not_start(tmp_path, overrides, server, key):
    write_ini(tmp_path, overrides, server=server)
    assert run(pserve_of(tmp_path), tmp_path / "log", PATIENCE_SECONDS) != 0
    said = (tmp_path / "log").read_text()
    assert f"{key}: must be" in said or f"{key}: no such setting" in said


def test_tls_carries_large_messages_and_many_small_ones(secure):
    with secure_connect(secure) as client:
        for size in (1, 16000, 16384):
            client.send("x" * size)
            assert client.recv() == "x" * size
        for number in range(20):
            client.send(str(number))
        assert [client.recv() for _ in range(20)] == [str(number) for number in range(20)]


def test_tls_carries_a_backlog_to_a_slow_reader(secure):
    with secure_connect(secure) as client:
        client.send("drain 300 16000")
        time.sleep(0.2)
        assert sum(len(client.recv()) for _ in range(300)) == 300 * 16000


def test_tls_closes_with_a_code(secure):
    with secure_connect(secure) as client:
        client.send("close 4001 bye")
        with pytest.raises(Exception, match="4001"):
            client.recv()
        assert (client.close_code, client.close_reason) == (4001, "bye")


def test_plain_bytes_to_a_tls_port_are_no_news(secure):
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b""):
        with socket.create_connection(("127.0.0.1", secure.port), timeout=PATIENCE_SECONDS) as sock:
            sock.sendall(data)
            with contextlib.suppress(ConnectionResetError):
                while sock.recv(1000):
                    pass
    with secure_connect(secure) as client:
        client.send("still there")
        assert client.recv() == "still there"


@pytest.mark.parametrize("data", [b"", b"\x16\x03\x01"])
def test_a_connection_that_was_reset_before_its_tls_handshake_is_one_line_of_the_log(secure, data):
    before = len(secure.log)
    secure.process.send_signal(signal.SIGSTOP)
    try:
        with socket.create_connection(("127.0.0.1", secure.port), timeout=PATIENCE_SECONDS) as sock:
            sock.sendall(data)
            time.sleep(0.05)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    finally:
        secure.process.send_signal(signal.SIGCONT)
    with secure_connect(secure) as client:
        client.send("hello")
        assert client.recv() == "hello"
    eventually(lambda: "TLS handshake with 127.0.0.1 failed" in secure.log[before:])
    assert "Traceback" not in secure.log[before:]
