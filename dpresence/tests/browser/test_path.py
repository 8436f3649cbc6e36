"""The service below a path of a host: every page, call and channel works there, behind nginx that passes the path on or takes it away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from dpresence.demo import free_port
from dpresence.tests.live.clients import Person
from dpresence.tests.live.proxies import installed, nginx
from dpresence.tests.live.service import Process
from dpresence.tests.live.warm import WarmService

from .support import Browser

PATH = "/_presence"
NGINX = """
server {{
    listen 127.0.0.1:{port};
    location / {{ return 418; }}
    location {path}/ {{
        proxy_pass http://127.0.0.1:{service}{passed};
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        proxy_set_header Host $http_host;
    }}
}}
"""


@pytest.fixture(params=["/", pytest.param("", marks=pytest.mark.slow)], ids=["taken away", "passed on"])
def home(request, tmp_path: Path) -> Iterator[str]:
    """The address of the service behind nginx."""
    installed("nginx")
    port = free_port()
    service = WarmService(tmp_path, {"identity.audience": f"http://127.0.0.1:{port}", "identity.path": PATH})
    service.start()
    site = NGINX.format(port=port, service=service.port, path=PATH, passed=request.param)
    proxy = Process(nginx(tmp_path, site), tmp_path / "proxy.log", port)
    proxy.start()
    yield f"http://127.0.0.1:{port}{PATH}"
    proxy.kill()
    service.kill()


@pytest.mark.browser
def test_a_person_signs_in_is_online_and_signs_out_below_the_path(browser: Browser, home: str) -> None:
    host = home.removesuffix(PATH)
    browser.open(f"{home}/sidebar")
    assert browser.url.startswith(f"{home}/login?next=%2F_presence%2Fsidebar")
    browser.sign_in("ann@example.org")
    browser.wait(lambda it: it.url == f"{home}/sidebar" and "Connected" in it.text())
    links = browser.run("return [...document.querySelectorAll('[href], [src], form[action]')].map(it => it.href || it.src || it.action)")
    assert links and all(link.startswith(f"{home}/") for link in links), links
    ann = Person(home, "ann@example.org")
    assert requests.get(f"{host}/", timeout=10).status_code == 418, "nothing else of the host is asked"
    assert [one["status"] for one in ann.call("GET", "/devices")["devices"]] == ["online"]
    browser.open(f"{home}/myapps")
    browser.assert_quiet()
