"""Servers on loopback that answer as a script says, and their certificates."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dpresence.errors import ProofFailed
from dpresence.proofs import DomainProofs
from dpresence.tests.support import body_of
from dpresence.tests.waiting import PATIENCE_SECONDS

from .child import DOMAIN, PATIENT, SECONDS

Script = Callable[[socket.socket], None]


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
    if name == issuer:  # Python 3.13 checks it
        usage = dict.fromkeys(("data_encipherment", "key_agreement", "encipher_only", "decipher_only", "content_commitment"), False)
        usage |= {"digital_signature": True, "key_encipherment": False, "key_cert_sign": True, "crl_sign": True}
        builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
    pem = builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.pem").write_bytes(pem + private)


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
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()


def says(answer: bytes) -> Script:
    return lambda connection: connection.sendall(answer)


def says_again(start: bytes, again: bytes, pause: float = 0.0) -> Script:
    """Say something over and over; gives up after a while, so that a fetch without bounds fails the test instead of hanging it."""

    def script(connection: socket.socket) -> None:
        connection.sendall(start)
        end = time.monotonic() + 20.0
        while time.monotonic() < end:
            connection.sendall(again)
            time.sleep(pause)

    return script


def hangs(connection: socket.socket) -> None:
    connection.settimeout(PATIENCE_SECONDS)
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


def details(outbound: DomainProofs, domain: str = DOMAIN, owner: str = "") -> str:
    with pytest.raises(ProofFailed) as failed:
        outbound.fetch(domain, owner)
    assert body_of(failed.value) == failure(failed.value.details)
    return failed.value.details
