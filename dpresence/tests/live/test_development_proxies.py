"""A development service behind a proxy that says nothing of whom it speaks for: nobody there becomes anybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from dpresence.demo import free_port
from dpresence.tests.support import WITH_TOKEN
from dpresence.tests.waiting import PATIENCE_SECONDS

from .proxies import installed, nginx
from .service import Process, Service
from .support import KEY
from .warm import running

pytestmark = pytest.mark.slow

NGINX = """
server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{service}; }}
}}
"""
HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend all
    bind 127.0.0.1:{port}
    default_backend presence
backend presence
    server one 127.0.0.1:{service}
"""


def haproxy(folder: Path, text: str) -> list[str]:
    (folder / "conf").write_text(text)
    return ["haproxy", "-db", "-f", str(folder / "conf")]


@pytest.fixture(scope="module", params=[(nginx, NGINX), (haproxy, HAPROXY)], ids=["nginx", "haproxy"])
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """A service and the address of the proxy before it."""
    command, text = request.param
    installed(command.__name__)
    folder, port = tmp_path_factory.mktemp("proxy"), free_port()
    with running(tmp_path_factory.mktemp("service")) as service:
        proxy = Process(command(folder, text.format(port=port, service=service.port)), folder / "log", port)
        proxy.start()
        yield service, f"http://127.0.0.1:{port}"
        proxy.kill()


def mint(front: tuple[Service, str], **headers: str) -> requests.Response:
    service, proxy = front
    given = {"Host": f"127.0.0.1:{service.port}", **headers}  # as a client writes it where the proxy passes it on
    return requests.post(f"{proxy}/__dev__/assertion", json={"email": "admin@example.org"}, headers=given, timeout=PATIENCE_SECONDS)


def test_a_proxy_without_forwarding_headers_mints_for_nobody_who_lacks_the_token(front: tuple[Service, str]) -> None:
    answer = mint(front)
    assert (answer.status_code, answer.json()["errno"]) == (403, 121)
    assert "live.token" in answer.json()["error"]


def test_it_is_the_token_that_stopped_it(front: tuple[Service, str]) -> None:
    assert mint(front, **WITH_TOKEN).status_code == 200


def test_the_link_with_a_wrong_token_opens_nothing_through_the_proxy(front: tuple[Service, str]) -> None:
    service, proxy = front
    answer = requests.get(f"{proxy}/?token=guess", headers={"Host": f"127.0.0.1:{service.port}"}, timeout=PATIENCE_SECONDS)
    assert answer.status_code == 403 and not answer.cookies


@pytest.mark.parametrize("front", [(nginx, NGINX)], indirect=True, ids=["nginx"])
def test_a_proxy_without_upgrade_is_reported_to_the_client_and_once_in_the_log(front: tuple[Service, str]) -> None:
    service, proxy = front
    for _ in range(3):
        handshake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": KEY}
        answer = requests.get(f"{proxy}/presence", headers=handshake, timeout=PATIENCE_SECONDS)
        assert (answer.status_code, answer.json()["errno"]) == (400, 108)
        assert "a proxy in front has to pass Upgrade and Connection on" in answer.json()["error"]
    assert service.log().count("a websocket handshake came without Upgrade") == 1
