"""Requests to a provider: the cause of each failure in the log, and the addresses and certificates that are accepted."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import subprocess
import sys
import textwrap
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dpresence.errors import BackendUnavailable
from dpresence.identity import jwks
from dpresence.identity.provider_client import BODY_BYTES, IN_FLIGHT, ProviderClient
from dpresence.outbound import FetchFailed
from dpresence.settings import LOOPBACK_HOSTS
from dpresence.tests.waiting import PATIENCE_SECONDS


def unavailable(verifier, provider, caplog):
    """Return the cause in the log that a provider cannot be used, with ``ISSUER`` for its URL."""
    with pytest.raises(BackendUnavailable):
        verifier.verify(provider.token())
    (message,) = caplog.messages
    assert "\n" not in message and caplog.records[0].exc_info is None
    return message.removeprefix("oidc.corp: its keys could not be fetched: ").replace(provider.issuer, "ISSUER")


NO_URL = "an endpoint is not an https URL in ASCII without a user name"
DISCOVERY = "ISSUER/.well-known/openid-configuration"
NOT_JSON = "the response is not the JSON that it should be"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"issuer": "http://127.0.0.1:1/"}, f"{DISCOVERY}: its discovery document names another issuer, 'http://127.0.0.1:1/'"),
        ({"jwks_uri": "http://id.example.org/jwks"}, "http://id.example.org/jwks: an endpoint is not https"),
        ({"jwks_uri": "file:///etc/passwd"}, NO_URL),
        ({"jwks_uri": "https://user@id.example.org/jwks"}, NO_URL),
        ({"jwks_uri": "https://[::1/jwks"}, NO_URL),
        ({"jwks_uri": "https://id.example.org:port/jwks"}, NO_URL),
        ({"jwks_uri": "https://id.example.org/jwks\r\nX: y"}, NO_URL),
        ({"jwks_uri": "http://127.0.0.1:1/jwks"}, "http://127.0.0.1:1/jwks at 127.0.0.1: connection refused"),
        ({"jwks_uri": "http://127.0.0.1:1/jwks?secret=x"}, "http://127.0.0.1:1/jwks at 127.0.0.1: connection refused"),
        ({"jwks_uri": "https://id.invalid/jwks"}, "https://id.invalid/jwks: the name cannot be resolved (name or service not known)"),
        ({"authorization_endpoint": "javascript:alert(1)"}, NO_URL),
        ({"token_endpoint": None}, f"{DISCOVERY} at 127.0.0.1: {NOT_JSON}"),
        ({"jwks_uri": 5}, f"{DISCOVERY} at 127.0.0.1: {NOT_JSON}"),
    ],
    ids=str,
)
def test_a_wrong_discovery_document_makes_the_provider_unavailable(verifier, provider, caplog, changed, why):
    provider.discovery = changed
    assert unavailable(verifier, provider, caplog) == why


def redirect(handler):
    handler.reply(302, b"", Location="/elsewhere")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (redirect, "status 302 'Found'"),
        (lambda handler: handler.reply(404, b""), "status 404 'Not Found'"),
        (lambda handler: handler.reply(200, b"<html>"), NOT_JSON),
        (lambda handler: handler.reply(200, b"[" * 200_000), NOT_JSON),
        (lambda handler: handler.reply(200, b"\xff{}"), NOT_JSON),
        (lambda handler: handler.reply(200, b" " * (BODY_BYTES + 1)), "status 200 with more than 262144 bytes"),
        (lambda handler: handler.reply(200, b"{", **{"Content-Length": "50"}), NOT_JSON),
        (lambda handler: handler.wfile.write(b"220 smtp\r\n"), "not an HTTP response: BadStatusLine('220 smtp\\r\\n')"),
        (lambda handler: handler.connection.shutdown(socket.SHUT_RDWR), "the connection was closed without a response"),
    ],
)
def test_a_wrong_answer_makes_the_provider_unavailable(verifier, provider, caplog, script, why):
    provider.script["/jwks"] = script
    assert unavailable(verifier, provider, caplog) == f"ISSUER/jwks at 127.0.0.1: {why}"
    assert "/elsewhere" not in provider.asked


def test_keys_of_other_algorithms_make_the_provider_unavailable(verifier, provider, caplog):
    provider.keys = []
    assert unavailable(verifier, provider, caplog) == "ISSUER/jwks: it has no key for RS256 ES256 EdDSA Ed25519"


def test_cookies_and_proxies_are_left_alone(verifier, provider, clock, monkeypatch):
    seen = []

    def look(handler):
        seen.append(handler.headers.get("Cookie"))
        handler.reply(200, b"{}", **{"Set-Cookie": "a=b; Path=/"})

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    provider.script["/jwks"] = look
    cached = verifier._providers[provider.issuer].keys
    cached.renew()
    clock.advance(jwks.RETRY_SECONDS)
    cached.renew()
    assert seen == [None, None]


def get(allow_private, url):
    """Request a JSON object of a provider."""
    client = ProviderClient(allow_private)
    with client.deadline():
        return client.get(url, dict)


def failure(allow_private, url):
    """Return the log's text for a request that fails."""
    with pytest.raises(FetchFailed) as failed:
        get(allow_private, url)
    return str(failed.value)


def test_a_private_address_is_not_connected_to():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        for host in LOOPBACK_HOSTS[:2]:
            url = f"https://{host}:{listener.getsockname()[1]}/jwks"
            refusal = "the address 127.0.0.1 is not public; allow_private of this provider allows it"
            assert failure(False, url) == f"{url}: {refusal}"
        with pytest.raises(TimeoutError):
            listener.accept()


def test_the_connection_goes_to_the_address_that_was_checked(provider, monkeypatch):
    asked = []

    def resolve(domain, port, type):
        asked.append(domain)
        return [(2, 1, 6, "", ("127.0.0.1" if len(asked) == 1 else "127.0.0.2", port))]

    client = ProviderClient(True)
    monkeypatch.setattr(client._fetcher, "_resolve", resolve)
    port = provider.issuer.rpartition(":")[2]
    with client.deadline():
        assert client.get(f"http://localhost:{port}/jwks", dict)["keys"]
    assert asked == ["localhost"]


def test_http_is_for_loopback_and_for_who_allows_it(provider):
    assert failure(False, f"{provider.issuer}/jwks") == f"{provider.issuer}/jwks: an endpoint is not https"
    assert failure(True, "http://10.0.0.1/jwks") == "http://10.0.0.1/jwks: an endpoint is not https"


def test_only_so_many_requests_are_in_flight(provider):
    client = ProviderClient(True)
    client._in_flight = IN_FLIGHT
    with pytest.raises(FetchFailed, match="/jwks: 20 requests to this provider are in flight already"):
        client.get(f"{provider.issuer}/jwks", dict)


@pytest.mark.parametrize("token", ["a\r\nX: secret", "secret\u20ac"])
def test_an_access_token_that_is_no_header_is_not_sent_and_not_logged(provider, token):
    with pytest.raises(FetchFailed) as failed:
        ProviderClient(True).get(f"{provider.issuer}/me", dict, token)
    assert str(failed.value) == f"{provider.issuer}/me at 127.0.0.1: the header Authorization to send is not printable ASCII"
    assert not provider.asked


@pytest.mark.slow
def test_a_fetch_ends_in_time_whatever_the_provider_does():
    child = """
        from gevent import monkey; monkey.patch_all()
        import gevent, time
        from gevent.server import StreamServer
        from dpresence.identity import provider_client
        from dpresence.outbound import FetchFailed
        def drip(sock, _):
            sock.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 100000\\r\\n\\r\\n")
            while True:
                sock.sendall(b" "); gevent.sleep(0.05)
        server = StreamServer(("127.0.0.1", 0), drip); server.start()
        provider_client.DEADLINE_SECONDS = 0.3
        client = provider_client.ProviderClient(True)
        started = time.monotonic()
        try:
            with client.deadline():
                client.get(f"http://127.0.0.1:{server.server_port}/", dict)
        except FetchFailed as failed:
            print(str(failed).replace(str(server.server_port), "PORT"), 0.25 < time.monotonic() - started < 10, client._in_flight)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(child)], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.stdout == "http://127.0.0.1:PORT/ at 127.0.0.1: no answer within 0.3 s True 0\n", done.stderr


# --- TLS


def certificate(folder, host, name="cert"):
    """Write a self-signed certificate and its key; return their files."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    alternative = x509.IPAddress(ipaddress.ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    files[1].write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return files


@pytest.mark.parametrize(
    ("host", "trusted", "outcome"),
    [
        ("127.0.0.1", True, {}),
        ("127.0.0.1", False, "certificate verify failed: self-signed certificate"),
        ("id.example.org", True, "certificate verify failed: IP address mismatch, certificate is not valid for '127.0.0.1'."),
    ],
)
def test_a_certificate_must_be_trusted_and_of_that_host(tmp_path, monkeypatch, host, trusted, outcome):
    cert, private = certificate(tmp_path, host)
    other, _ = certificate(tmp_path, "127.0.0.1", "other")
    monkeypatch.setenv("SSL_CERT_FILE", str(cert if trusted else other))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, private)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            try:
                with context.wrap_socket(listener.accept()[0], server_side=True) as peer:
                    peer.recv(4096)
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            except OSError:
                pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            got = get(True, url := f"https://127.0.0.1:{listener.getsockname()[1]}/jwks")
        except FetchFailed as failed:
            got = failed.cause
            assert failed.where == f"{url} at 127.0.0.1"
        thread.join(PATIENCE_SECONDS)
    assert got == outcome
