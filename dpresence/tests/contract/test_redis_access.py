"""A Redis behind a password and TLS, as a service sees it that gevent has patched."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import re
import ssl
import tempfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis import Redis
from redis.exceptions import NoPermissionError

from dpresence.backends.redis.connections import ConnectionFactory
from dpresence.errors import SettingError
from dpresence.settings import RedisSettings
from dpresence.tests.faults.proxy import Proxy, to_unix
from dpresence.tests.live.warm import run

from . import redis_user
from .redis import running
from .sentinels import SERVER_WITH_TLS
from .sentinels import guarded as guarded_by_sentinels

DAY = datetime.timedelta(days=1)


@pytest.fixture
def reach(tmp_path):
    """Return a function that uses a Redis in a process of its own and returns its output."""

    def use(url, **settings):
        with tempfile.NamedTemporaryFile("r", dir=tmp_path) as log:
            run(["redis_user", json.dumps({"url": url, **settings})], Path(log.name), 60, module=redis_user.__name__)
            return log.read()

    return use


def certify(folder, host):
    """Make a certificate of a host that vouches for itself; return its file and what a server needs of it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - DAY).not_valid_after(now + DAY)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem, private = folder / f"{host}.pem", folder / f"{host}.key"
    pem.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return pem, context


@pytest.fixture(scope="module")
def guarded():
    """A Redis with a password."""
    with running(password="secret", fsync="always") as redis:
        yield redis


def test_a_password_opens_it(reach, guarded):
    assert reach(guarded.url) == "OK\n"


def test_the_rights_that_the_documents_name_are_enough_and_no_more(reach, guarded):
    text = (Path(__file__).parents[3] / "docs" / "scaling.md").read_text(encoding="utf-8")
    guarded.client.execute_command(*re.search(r"^ +(ACL SETUSER dpresence .* ~dpresence:.*)$", text, re.MULTILINE)[1].split())
    assert reach(f"unix://dpresence:password@{guarded.socket}") == "OK\n"
    with Redis(unix_socket_path=str(guarded.socket), username="dpresence", password="password") as client:
        for command in ("FLUSHALL", "SHUTDOWN", "CONFIG GET requirepass", "GET other:key"):
            with pytest.raises(NoPermissionError):
                client.execute_command(*command.split())


@pytest.mark.parametrize("password", ["", ":wrong@"])
def test_without_the_right_password_it_is_unavailable_and_the_log_does_not_show_it(reach, guarded, password):
    said = reach(f"unix://{password}{guarded.socket}")
    assert said.endswith("unavailable\n") and "AuthenticationError" in said
    assert "wrong" not in said.replace("wrong number of arguments", "")


@pytest.mark.slow
def test_tls_carries_calls_and_signals(reach, guarded, tmp_path):
    pem, context = certify(tmp_path, "127.0.0.1")
    with Proxy(to_unix(guarded.socket), context) as proxy:
        url = f"rediss://:secret@127.0.0.1:{proxy.port}/0"
        assert reach(f"{url}?ssl_ca_certs={pem}") == "OK\n"
        assert reach(url, ca_file=str(pem)) == "OK\n"
        assert proxy.carried > 1000


@pytest.mark.parametrize(("host", "trusted"), [("127.0.0.1", False), ("127.0.0.9", True)])
def test_a_certificate_that_is_not_trusted_or_anothers_is_refused(reach, guarded, tmp_path, host, trusted):
    pem, context = certify(tmp_path, host)
    with Proxy(to_unix(guarded.socket), context) as proxy:
        said = reach(f"rediss://:secret@127.0.0.1:{proxy.port}/0" + (f"?ssl_ca_certs={pem}" if trusted else ""))
    assert said.endswith("unavailable\n") and "CERTIFICATE_VERIFY_FAILED" in said
    assert proxy.carried == 0


@pytest.mark.slow
@pytest.mark.skipif(not SERVER_WITH_TLS and os.environ.get("CI") != "true", reason="redis-server is not installed")
def test_servers_and_sentinels_that_ask_for_a_client_certificate_are_used_before_and_after_a_failover(reach, tmp_path):
    pem, _ = certify(tmp_path, "127.0.0.1")
    key = str(tmp_path / "127.0.0.1.key")
    tls = {"tls-cert-file": str(pem), "tls-key-file": key, "tls-ca-cert-file": str(pem)}
    files = {"ca_file": str(pem), "cert_file": str(pem), "key_file": key}
    with guarded_by_sentinels(password="of-redis", sentinel_password="of-sentinels", tls=tls, **files) as group:
        used = {"sentinels": group.settings.sentinels, "sentinel_password": "of-sentinels"}
        assert reach(group.url, **used, **files) == "OK\n"
        group.fail_over()
        assert reach(group.url, **used, **files) == "OK\n"
        said = reach(group.url, **used, ca_file=str(pem))
        assert said.endswith("unavailable\n") and "NoPrimary" in said


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [("ca_file", None, "No such file or directory"), ("ca_file", "no PEM", ""), ("cert_file", None, "No such file or directory")],
)
def test_a_file_that_cannot_be_used_stops_the_start_and_is_named(tmp_path, name, content, reason):
    file = tmp_path / "x.pem"
    if content:
        file.write_text(content)
    with pytest.raises(SettingError, match=rf"^redis\.{name}: must be a readable PEM file \(.*{reason}.*\)$"):
        ConnectionFactory(RedisSettings("rediss://127.0.0.1:1/0", **{name: str(file)}))


def test_a_key_that_does_not_fit_its_certificate_stops_the_start(tmp_path):
    pem, other = certify(tmp_path, "127.0.0.1")[0], certify(tmp_path, "127.0.0.2")[0]
    settings = RedisSettings("rediss://127.0.0.1:1/0", cert_file=str(pem), key_file=str(other.with_name("127.0.0.2.key")))
    with pytest.raises(SettingError, match=r"^redis\.cert_file: must be a readable PEM file \(.*KEY_VALUES_MISMATCH.*\)$"):
        ConnectionFactory(settings)
