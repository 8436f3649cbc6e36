"""The proxies of docs/scaling.md in front of two services: its two blocks are run as they are there, but for ports and files."""

from __future__ import annotations

import http.client
import re
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from dpresence.demo import free_port
from dpresence.settings import PresenceSettings
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .clients import AppService, Device, trusting
from .cluster import ROOT, Citizen, Cluster, activate, answers, issuer, stores
from .events import Events, poll
from .proxies import installed, nginx
from .service import Process

pytestmark = pytest.mark.slow

ELSEWHERE = "127.0.0.2"
"""A client with another address than the proxy."""


def block(language: str) -> str:
    """Return the block of docs/scaling.md in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "docs/scaling.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return found


def filled(text: str, changes: dict[str, object]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, str(new))
    return text


def nginx_before(folder: Path, certificate: Path, port: int, services: list[int]) -> list[str]:
    changes = {"listen 443 ssl": f"listen 127.0.0.1:{port} ssl"} | addresses(services)
    changes |= {"/etc/ssl/presence.example.org.pem": certificate, "/etc/ssl/private/presence.example.org.key": certificate}
    return nginx(folder, filled(block("nginx"), changes))


def haproxy(folder: Path, certificate: Path, port: int, services: list[int]) -> list[str]:
    changes = {"bind :443": f"bind 127.0.0.1:{port}", "/etc/haproxy/presence.example.org.pem": certificate} | addresses(services)
    (folder / "haproxy.cfg").write_text(filled(block("haproxy"), changes), encoding="utf-8")
    return ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]


def addresses(services: list[int]) -> dict[str, object]:
    return {f"10.0.0.{number}:8282": f"127.0.0.1:{port}" for number, port in zip((11, 12), services, strict=True)}


PROXIES = {"nginx": nginx_before, "haproxy": haproxy}


def make_certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1 and its key, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    now, names = datetime.now(UTC), x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1)).add_extension(names, critical=False)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "presence.pem"
    file.write_bytes(made.sign(key, SHA256()).public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form))
    return file


@pytest.fixture(scope="module")
def urls():
    with stores() as urls:
        yield urls


class Front:
    """A proxy and the services behind it."""

    def __init__(self, name: str, origin: str, trust: ssl.SSLContext, services: list[Cluster]) -> None:
        self.name = name
        self.origin = origin
        self.trust = trust
        self.services = services

    def log(self) -> str:
        """Return what both services have logged."""
        return "".join(service.log() for service in self.services)

    def reaches(self, service: Cluster) -> bool:
        """Call once; return whether a service has taken such a call since it began to listen."""
        assert requests.get(f"{self.origin}/__version__", timeout=PATIENCE_SECONDS).ok
        return "GET /__version__" in service.log().rpartition("Listening on")[2]

    def device(self, person: Citizen, **options) -> Device:
        device = Device(person, ssl=self.trust, **options)
        device.sign_in("online", device="phone")
        return device


@pytest.fixture(scope="module", params=PROXIES)
def front(request, urls, tmp_path_factory):
    installed(request.param)
    folder, port = tmp_path_factory.mktemp(request.param), free_port()
    certificate, origin = make_certificate(folder), f"https://127.0.0.1:{port}"
    shared = {
        **(urls | issuer(folder)),
        "identity.audience = http://127.0.0.1:8282": f"identity.audience = {origin}",
        "channels.trusted_proxies =": "channels.trusted_proxies = 127.0.0.1",
        "workers = 2": "workers = 1",
        "level = WARNING": "level = INFO",
    }
    services = [Cluster(tmp_path_factory.mktemp(name), shared) for name in ("one", "two")]
    proxy = Process(PROXIES[request.param](folder, certificate, port, [service.port for service in services]), folder / "proxy", port)
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        for process in (*services, proxy):
            stack.callback(process.kill)
            process.start()
        eventually(lambda: answers(origin))
        yield Front(request.param, origin, trusting(certificate), services)
    for service in services:
        service.assert_clean()


TIMEOUTS = {"nginx": r"proxy_(?:read|send)_timeout (\d+)s", "haproxy": r"timeout (?:client|server|tunnel) (\d+)s"}


@pytest.mark.parametrize("language", TIMEOUTS)
def test_the_timeouts_are_longer_than_a_ping_and_its_answer(language):
    found = [int(seconds) for seconds in re.findall(TIMEOUTS[language], block(language))]
    assert found and min(found) > PresenceSettings().ping_seconds + PresenceSettings().pong_seconds


def test_two_services_behind_a_proxy_are_one(front):
    people = [Citizen(front.origin, f"{front.name}-{number}@example.org") for number in range(4)]
    application = activate(Citizen(front.origin, "dev@example.org"), front.services[0].database)
    puids = [person.grant(application) for person in people]
    with ExitStack() as stack:
        app_service = stack.enter_context(AppService(application, ssl=front.trust))
        app_service.authenticate()
        devices = [stack.enter_context(front.device(person)) for person in people]
        assert sorted(app_service.next_updates(4)) == sorted((puid, "online", "explicit") for puid in puids)
        (answer,) = app_service.notify({"puid": puids[0], "message": "Your move"})
        assert answer["result"] == "OK"
        assert devices[0].notifications(1)[0]["message"] == "Your move"
        one, two = front.services
        cursor = app_service.cursor
        # a rolling restart: one goes, everybody is at two, one comes back, two goes
        assert one.stop() == 0
        back = [stack.enter_context(front.device(person)) for person in people]
        one.start()
        eventually(lambda: front.reaches(one), 60)
        assert two.stop() == 0
        back = [stack.enter_context(front.device(person)) for person in people]
        again = stack.enter_context(AppService(application, ssl=front.trust))
        assert again.authenticate(cursor) == "replayed"
        again.assert_no_updates(0.5)
        back[1].say("unavailable")
        assert again.next_updates() == [(puids[1], "unavailable", "explicit")]
        two.start()
    assert all("device session ended" in service.log() for service in front.services)


def test_events_and_long_polls_come_at_once(front):
    person = Citizen(front.origin, f"{front.name}-events@example.org")
    application = activate(Citizen(front.origin, "dev@example.org"), front.services[0].database)
    puid = person.grant(application)
    with Events(application) as events, ThreadPoolExecutor() as pool, front.device(person):
        events.follow({puid: "online"})
        polled = pool.submit(poll, application, f"since={events.cursor}&wait=50")
        with pytest.raises(TimeoutError):
            polled.result(0.3)
        with front.device(person) as device:
            device.say("unavailable")
        events.follow({puid: "unavailable"})
        assert polled.result(PATIENCE_SECONDS)[1]["cursor"] == events.cursor


def test_the_client_is_who_the_proxy_says_and_not_who_the_client_says(front):
    port = int(front.origin.rpartition(":")[2])
    for _ in range(4):
        call = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS, context=front.trust, source_address=(ELSEWHERE, 0))
        call.request("GET", "/__version__", headers={"X-Forwarded-For": "203.0.113.9"})
        assert call.getresponse().status == 200
        call.close()
    eventually(lambda: len(re.findall(rf"dpresence\.access {re.escape(ELSEWHERE)} GET /__version__", front.log())) == 4)
    assert "203.0.113.9" not in front.log()


def test_a_browser_signs_in_over_https(front):
    answer = requests.post(
        f"{front.origin}/login", json={"assertion": Citizen(front.origin, "ann@example.org").assertion()}, timeout=PATIENCE_SECONDS
    )
    assert answer.status_code == 200
    assert re.match(r"__Host-dpresence=.*; secure;", answer.headers["Set-Cookie"])
