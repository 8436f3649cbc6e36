"""The fetch of a domain proof, against real peers on loopback.

Deadlines are gevent's and need cooperative sockets, so what touches a socket is fetched by a child process patched as the
server is (``python -m gevent.monkey --module`` of this very file); the peers are threads here.
"""

from __future__ import annotations

import contextlib
import datetime
import gzip
import ipaddress
import json
import os
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import gevent.event
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dpresence.errors import ProofFailed, SlowDown
from dpresence.networks import is_public
from dpresence.proofs import DomainProofs
from dpresence.settings import OutboundSettings
from dpresence.slots import Slots
from dpresence.tests.support import body_of

DOMAIN = "app.example.org"
PATIENT, SECONDS = 5.0, 0.3  # for what answers, and for what never does
LOOPBACK = ("127.0.0.1", "::1")
Script = Callable[[socket.socket], None]


# --- the child: one fetch a line


def serve_fetches() -> None:
    """Fetch as the lines of stdin say; ``answers`` are those of one lookup after the other, ``public`` the addresses let through."""
    for line in sys.stdin:
        wanted = json.loads(line)
        lookups = []

        def resolve(domain, port, type, lookups=lookups, answers=wanted["answers"]):
            lookups.append(domain)
            return found(*answers[min(len(lookups), len(answers)) - 1])

        settings = OutboundSettings(**wanted["settings"])
        outbound = DomainProofs(settings, resolve=resolve, is_public=wanted["public"].__contains__, ports=wanted["ports"])
        started = time.monotonic()
        try:
            body, how = outbound.fetch(wanted["domain"])
            result = {"body": body, "how": how}
        except ProofFailed as failed:
            result = body_of(failed)
        print(json.dumps({"result": result, "seconds": time.monotonic() - started, "lookups": len(lookups)}), flush=True)


def found(*addresses: str) -> list[tuple]:
    """What ``socket.getaddrinfo`` answers."""
    return [(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in addresses]


class Fetcher:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def __call__(self, https: int, http: int, *, domain=DOMAIN, answers=(("127.0.0.1",),), **settings) -> dict:
        """Fetch with the ports given; 127.0.0.1 and ::1 count as public."""
        settings = {"timeout_seconds": PATIENT, **settings}
        wanted = {"domain": domain, "answers": answers, "public": LOOPBACK, "ports": (https, http), "settings": settings}
        print(json.dumps(wanted), file=self.process.stdin, flush=True)
        done = json.loads(self.process.stdout.readline())
        assert done["seconds"] < settings["timeout_seconds"] + 0.5
        return done

    def result(self, https: int, http: int, **options) -> dict:
        return self(https, http, **options)["result"]


@pytest.fixture(scope="module")
def fetch(certificates) -> Iterator[Fetcher]:
    command = [sys.executable, "-m", "gevent.monkey", "--module", __name__]
    proxy = "http://127.0.0.1:9/"  # nobody is there: a fetch that minds it fails
    environment = {
        **os.environ,
        "SSL_CERT_FILE": str(certificates / "ca.pem"),
        "https_proxy": proxy,
        "http_proxy": proxy,
        "all_proxy": proxy,
    }
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Fetcher(process)
        process.stdin.close()
        assert process.wait(10) == 0


# --- certificates


def certificate(folder: Path, name: str, issuer: str, *, names: tuple[str, ...] = (), common: str = "", days: int = 1) -> None:
    """Write ``<name>.pem`` with its key, signed by ``issuer`` (itself: an authority)."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = key if name == issuer else serialization.load_pem_private_key((folder / f"{issuer}.pem").read_bytes(), None)
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common or name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=3))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
    pem = builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.pem").write_bytes(pem + private)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    certificate(folder, "ca", "ca")
    certificate(folder, "unknown", "unknown")
    certificate(folder, "good", "ca", names=(DOMAIN,))
    certificate(folder, "foreign", "ca", names=("www.example.org",))
    certificate(folder, "common", "ca", common=DOMAIN)
    certificate(folder, "expired", "ca", names=(DOMAIN,), days=-1)
    certificate(folder, "stranger", "unknown", names=(DOMAIN,))
    return folder


# --- peers


@contextlib.contextmanager
def peer(script: Script, pem: Path | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """Listen on a port of 127.0.0.1, with TLS where a certificate is given; yields the port and the requests that came."""
    tls = None
    if pem:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pem)
    requests: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection, tls.wrap_socket(connection, server_side=True) if tls else connection as stream:
                requests.append(stream.recv(4096))
                script(stream)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], requests
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def refused() -> Iterator[int]:
    """A port where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def says(answer: bytes) -> Script:
    return lambda connection: connection.sendall(answer)


def says_again(start: bytes, again: bytes, pause: float = 0.0) -> Script:
    """Say something over and over; gives up after a while, so that a fetch without bounds fails the test instead of hanging it."""

    def script(connection: socket.socket) -> None:
        connection.sendall(start)
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            connection.sendall(again)
            time.sleep(pause)

    return script


def hangs(connection: socket.socket) -> None:
    connection.settimeout(10)
    connection.recv(1)  # returns when the other side goes


def hangs_after(start: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        connection.sendall(start)
        hangs(connection)

    return script


def ok(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *headers, b"", body])


def seconds_for(details: str) -> float:
    return SECONDS if details == "timeout" else PATIENT


def failure(details: str) -> dict:
    return {"result": "KO", "errno": 141, "error": f"the domain could not be validated: {details}", "details": details}


# --- what is fetched


def test_the_proof_is_fetched_over_https_with_a_certificate_for_the_domain(fetch, certificates):
    with peer(says(ok(b" the-key\r\n")), certificates / "good.pem") as (https, requests), peer(says(ok(b"no"))) as (http, plain):
        done = fetch(https, http)
    assert done["result"] == {"body": "the-key", "how": "https"}
    assert done["lookups"] == 1
    lines = requests[0].decode().split("\r\n")
    assert lines[0] == "GET /__presence HTTP/1.1"
    assert sorted(lines[1:-2]) == [
        "Accept-Encoding: identity",
        "Accept: text/plain, */*",
        "Connection: close",
        f"Host: {DOMAIN}",
        "User-Agent: dpresence",
    ]
    assert plain == []


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"the-key", b"Content-Length: 7"),
        ok(b"the-key and more", b"Content-Length: 7"),
        ok(b"3\r\nthe\r\n4;x=y\r\n-key\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
        b"HTTP/1.0 200 OK\r\n\r\nthe-key\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"the-key"),
    ],
)
def test_a_peer_that_keeps_the_connection_open_or_chunks_is_understood(fetch, refused, answer):
    script = says(answer) if b"Content-Length" not in answer and b"chunked" not in answer else hangs_after(answer)
    with peer(script) as (http, _):
        assert fetch.result(refused, http) == {"body": "the-key", "how": "http"}


def test_a_body_of_just_the_cap_is_read_and_one_byte_more_is_size(fetch, refused):
    with peer(says(ok(b"k" * 1024))) as (http, _):
        assert fetch.result(refused, http) == {"body": "k" * 1024, "how": "http"}
    with peer(says(ok(b"k" * 1025))) as (http, _):
        assert fetch.result(refused, http) == failure("size")


@pytest.mark.parametrize("body", [gzip.compress(b"the-key", mtime=0), gzip.compress(b"0" * 900_000, mtime=0)])
def test_a_body_that_claims_gzip_is_never_unpacked(fetch, refused, body):
    with peer(says(ok(body, b"Content-Encoding: gzip"))) as (http, _):
        assert fetch.result(refused, http)["body"] == body.decode("utf-8", "replace").strip()


@pytest.mark.parametrize("answer", [LOOPBACK, LOOPBACK[::-1]])
def test_ipv4_is_preferred(fetch, refused, answer):
    with peer(says(ok(b"the-key"))) as (http, _):
        assert fetch.result(refused, http, answers=[answer]) == {"body": "the-key", "how": "http"}


# --- https or http


def test_plain_http_is_tried_at_the_same_address_where_the_https_port_refuses(fetch, refused):
    with peer(says(ok(b"the-key"))) as (http, requests):
        done = fetch(refused, http, answers=[["127.0.0.1"], ["127.0.0.2"]])
    assert done["result"] == {"body": "the-key", "how": "http"}
    assert done["lookups"] == 1
    assert f"Host: {DOMAIN}\r\n".encode() in requests[0]


def test_plain_http_is_not_tried_when_the_setting_forbids_it(fetch, refused):
    with peer(says(ok(b"the-key"))) as (http, requests):
        assert fetch.result(refused, http, http_proof=False) == failure("refused")
    assert requests == []


def test_refusal_on_both_ports_says_that_nothing_listens(fetch, refused):
    assert fetch.result(refused, refused) == failure("refused")


@pytest.mark.parametrize(("script", "details"), [(says(b"HTTP/1.1 404 No\r\n\r\n"), "status"), (hangs, "timeout"), (says(b""), "status")])
def test_plain_http_is_never_tried_after_anything_else(fetch, certificates, script, details):
    with peer(script, certificates / "good.pem") as (https, _), peer(says(ok(b"the-key"))) as (http, requests):
        assert fetch.result(https, http, timeout_seconds=seconds_for(details)) == failure(details)
    assert requests == []


@pytest.mark.parametrize("name", ["foreign", "common", "expired", "stranger", "unknown"])
def test_a_certificate_that_does_not_speak_for_the_domain_is_tls_and_no_request_is_sent(fetch, certificates, name):
    with (
        peer(says(ok(b"the-key")), certificates / f"{name}.pem") as (https, requests),
        peer(says(ok(b"the-key"))) as (http, plain),
    ):
        assert fetch.result(https, http) == failure("tls")
    assert requests in ([], [b""])
    assert plain == []


def test_a_peer_that_does_not_speak_tls_is_tls(fetch):
    with peer(says(ok(b"the-key"))) as (https, _), peer(says(ok(b"the-key"))) as (http, plain):
        assert fetch.result(https, http) == failure("tls")
    assert plain == []


def test_a_handshake_that_hangs_is_timeout(fetch, refused):
    with peer(hangs) as (https, _):
        assert fetch.result(https, refused, timeout_seconds=SECONDS) == failure("timeout")


# --- hostile answers

REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/latest/meta-data\r\nContent-Length: 0\r\n\r\n"


def test_a_redirect_is_not_followed(fetch, refused):
    with peer(says(ok(b"secret"))) as (inside, requests), peer(says(REDIRECT % inside)) as (http, _):
        assert fetch.result(refused, http) == failure("status")
    assert requests == []


HOSTILE = {
    "no content": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), "status"),
    "server error": (says(b"HTTP/1.1 500 Oops\r\n\r\nthe-key"), "status"),
    "not http": (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "status"),
    "nothing": (says(b""), "status"),
    "half a status line": (says(b"HTTP/1.1 2"), "status"),
    "bad chunk": (says(ok(b"zz\r\nthe-key\r\n", b"Transfer-Encoding: chunked")), "status"),
    "negative chunk": (says(ok(b"-5\r\nthe-key\r\n", b"Transfer-Encoding: chunked")), "status"),
    "101 headers": (says(ok(b"the-key", *[b"X: y"] * 101)), "status"),
    "endless body": (says_again(ok(b""), b"0" * 65536), "size"),
    "endless chunks": (says_again(ok(b"", b"Transfer-Encoding: chunked"), b"1\r\n0\r\n"), "size"),
    "endless chunk extension": (says_again(ok(b"1;", b"Transfer-Encoding: chunked"), b"x" * 65536), "size"),
    "huge content-length": (hangs_after(ok(b"the-key", b"Content-Length: 1000000000000")), "size"),
    "huge chunk": (hangs_after(ok(b"FFFFFFFFFF\r\n" + b"0" * 1025, b"Transfer-Encoding: chunked")), "size"),
    "endless header": (says_again(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65536), "size"),
    "long headers": (says_again(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 60000 + b"\r\n"), "size"),
    "endless 100 continue": (says_again(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 500), "size"),
    "drip of a body": (says_again(ok(b"", b"Content-Length: 100"), b"0", 0.05), "timeout"),
    "drip of a header": (says_again(b"HTTP/1.1 200 OK\r\nX: ", b"y", 0.05), "timeout"),
    "hang": (hangs, "timeout"),
    "hang in the body": (hangs_after(ok(b"the", b"Content-Length: 7")), "timeout"),
}


@pytest.mark.parametrize(("script", "details"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_answer_is_refused_in_time_by_its_class(fetch, refused, script, details):
    with peer(script) as (http, _):
        assert fetch.result(refused, http, timeout_seconds=seconds_for(details)) == failure(details)


def test_each_wait_has_a_deadline_even_where_sockets_are_not_cooperative(refused):
    settings = OutboundSettings(timeout_seconds=0.1)
    with peer(hangs) as (http, _):
        outbound = DomainProofs(
            settings, resolve=lambda *_, **__: found("127.0.0.1"), is_public=LOOPBACK.__contains__, ports=(refused, http)
        )
        assert details(outbound) == "timeout"


def test_a_reset_is_no_status(fetch, refused):
    def resets(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with peer(resets) as (http, _):
        assert fetch.result(refused, http) == failure("status")


# --- addresses


def details(outbound: DomainProofs, domain: str = DOMAIN, owner: str = "") -> str:
    with pytest.raises(ProofFailed) as failed:
        outbound.fetch(domain, owner)
    assert body_of(failed.value) == failure(failed.value.details)
    return failed.value.details


NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255",
    "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::808:808",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::",
    "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_never_connected_to(address):
    assert not is_public(address)
    assert details(DomainProofs(OutboundSettings(), resolve=lambda *_, **__: found(address))) == "dns"


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.215.14", "172.15.0.1", "172.32.0.1", "::ffff:8.8.8.8", "2606:4700::1111", "2a00::1"]
)
def test_addresses_of_the_open_internet_are_public(address):
    assert is_public(address)


def test_nothing_is_public_that_the_standard_library_calls_private():
    draw = random.Random(7)
    addresses = [ipaddress.IPv4Address(draw.getrandbits(32)) for _ in range(5000)]
    addresses += [ipaddress.IPv6Address(draw.getrandbits(128) >> draw.choice([0, 3, 96])) for _ in range(5000)]
    assert [ip for ip in addresses if is_public(str(ip)) and (not ip.is_global or ip.is_multicast)] == []


@pytest.mark.parametrize(
    "answer",
    [("8.8.8.8", "127.0.0.1"), ("127.0.0.1", "8.8.8.8"), ("8.8.8.8", "2606:4700::1111", "::ffff:10.0.0.1"), ("8.8.8.8", "fe80::1")],
)
def test_one_private_address_among_public_ones_refuses_the_name(answer):
    assert details(DomainProofs(OutboundSettings(), resolve=lambda *_, **__: found(*answer))) == "dns"


def test_a_listener_inside_sees_no_connection():
    with peer(says(ok(b"secret"))) as (inside, requests):
        outbound = DomainProofs(OutboundSettings(), resolve=lambda *_, **__: found("127.0.0.1"), ports=(inside, inside))
        assert details(outbound) == "dns"
    assert requests == []


def test_a_name_that_changes_after_the_lookup_is_fetched_where_it_was(fetch, certificates):
    with peer(says(ok(b"the-key")), certificates / "good.pem") as (https, _):
        done = fetch(https, https, answers=[["127.0.0.1"], ["127.0.0.2"]])
        assert fetch.result(https, https, answers=[["127.0.0.2"], ["127.0.0.1"]]) == failure("dns")
    assert done == {"result": {"body": "the-key", "how": "https"}, "seconds": done["seconds"], "lookups": 1}


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "Name or service not known"), OSError("no resolver"), UnicodeError("label too long")]
)
def test_a_name_without_an_address_is_dns(error):
    def resolve(*_, **__):
        raise error

    assert details(DomainProofs(OutboundSettings(), resolve=resolve)) == "dns"
    assert details(DomainProofs(OutboundSettings(), resolve=lambda *_, **__: [])) == "dns"


def test_a_lookup_that_hangs_is_timeout():
    outbound = DomainProofs(OutboundSettings(timeout_seconds=0.05), resolve=lambda *_, **__: gevent.sleep(10))
    assert details(outbound) == "timeout"


def test_the_deadline_of_the_caller_is_not_taken_for_the_fetch_s_own():
    outbound = DomainProofs(OutboundSettings(), resolve=lambda *_, **__: gevent.sleep(10))
    with pytest.raises(gevent.Timeout) as expired, gevent.Timeout(0.05) as deadline:
        outbound.fetch(DOMAIN)
    assert expired.value is deadline


@pytest.mark.parametrize("domain", ["localhost:8000", "127.0.0.1", "example.org:22", "example.org\r\nX: y", "[::1]"])
def test_a_name_that_is_no_domain_is_not_even_looked_up(domain):
    assert details(DomainProofs(OutboundSettings(), resolve=lambda *_, **__: pytest.fail("looked up")), domain) == "dns"


# --- loopback, for development


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_loopback_domain_is_fetched_by_http_where_that_is_allowed(fetch, refused, host):
    with peer(says(ok(b"the-key"))) as (port, requests):
        done = fetch(refused, refused, domain=f"{host}:{port}", allow_loopback=True)
        assert fetch.result(refused, refused, domain=f"{host}:{port}") == failure("dns")
    assert done["result"] == {"body": "the-key", "how": "http"}
    assert done["lookups"] == 0
    assert len(requests) == 1
    assert f"Host: {host}:{port}\r\n".encode() in requests[0]


def test_a_loopback_domain_that_refuses_says_that_nothing_listens(fetch, refused):
    assert fetch.result(refused, refused, domain=f"localhost:{refused}", allow_loopback=True) == failure("refused")


# --- how many at once


def test_a_fetch_for_which_no_slot_becomes_free_is_slowed_down(monkeypatch):
    outbound = DomainProofs(OutboundSettings(timeout_seconds=1))
    monkeypatch.setattr(outbound, "_slots", Slots(0, 1))
    with pytest.raises(SlowDown) as refused:
        outbound.fetch(DOMAIN, "dev")
    assert body_of(refused.value) == {"result": "KO", "errno": 117, "error": "too many domains are being validated", "retry_after": 1}


if __name__ == "__main__":
    serve_fetches()
