"""The clients behind a real nginx that passes no Upgrade on: an application by an event stream or long polls, a device by heartbeats."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dpresence.demo import free_port
from dpresence.tests.waiting import eventually

from .clients import Application, Person
from .proxies import installed, nginx
from .service import Process, Service
from .test_js_client import Script, node
from .warm import running

__all__ = ["node"]

SITE = """
server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{service}; proxy_set_header Host $http_host; {options} }}
}}
"""
HOLDS_BACK = "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"
PYTHON = Path(__file__).parents[3] / "clients" / "python"
DEVICE = """
import sys
from dpresence_client import Device
url, email, device, assertion = sys.argv[1:]
with Device(url, email, lambda: assertion, device=device) as me:
    for notification in me:
        print(notification.message, flush=True)
        me.status = "unavailable"
"""


class Proxied(NamedTuple):
    """Origins of a service behind nginx, and the service.

    :param holding: that of a proxy that also holds event streams back.
    """

    service: Service
    plain: str
    holding: str


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    installed("nginx")
    folder = tmp_path_factory.mktemp("nginx")
    plain, holding = free_port(), free_port()
    with running(tmp_path_factory.mktemp("service"), presence__grace_seconds=1) as service:
        sites = [SITE.format(port=port, service=service.port, options=options) for port, options in ((plain, ""), (holding, HOLDS_BACK))]
        proxy = Process(nginx(folder, "\n".join(sites)), folder / "proxy.log", plain)
        proxy.start()
        try:
            yield Proxied(service, f"http://127.0.0.1:{plain}", f"http://127.0.0.1:{holding}")
        finally:
            proxy.kill()


@pytest.fixture
def service(proxied: Proxied) -> Service:
    return proxied.service


@pytest.mark.slow
@pytest.mark.parametrize("way", ["plain", "holding"])
def test_an_app_service_in_javascript_follows_and_notifies(
    way: str, node: str, proxied: Proxied, application: Application, tmp_path: Path
) -> None:
    ann = Person(proxied.service.origin, f"ann-{way}@example.org")
    puid = ann.grant(application)
    arguments = ("app.mjs", getattr(proxied, way), application.appid, application.key, str(tmp_path / "table.json"))
    with Script(node, *arguments, websockets=False) as app:
        app.until(lambda line: line.get("current"))
        with ann.device(ack=True) as device:
            (*_, last) = app.until(lambda line: line.get("change", {}).get("status") == "online")
            assert (last["change"]["puid"], last["change"]["origin"]) == (puid, "update")
            app.say({"notify": {"puid": puid, "message": "Your move"}})
            (*_, answer) = app.until(lambda line: "answer" in line)
            assert answer["answer"]["delivered"]
            assert [one["message"] for one in device.notifications(1)] == ["Your move"]
            app.say({"notify": {"puid": puid, "message": "Your move", "outcome": True}})
            [followed] = device.notifications(1)
            assert device.ask(action="ack", notifications=[followed["id"]]) == {"result": "OK"}
            (*_, told) = app.until(lambda line: "outcome" in line)
            assert (told["outcome"]["id"], told["outcome"]["outcome"]) == (followed["id"], "delivered")
            app.say({"notify": {"puid": "nobody", "message": "Your move"}})
            (*_, failed) = app.until(lambda line: "failed" in line)
            assert failed["errno"] == 142 or failed["failed"] == "Refused"
        app.until(lambda line: line.get("change", {}).get("reason") == "lost")


@pytest.mark.slow
def test_a_device_in_javascript_is_connected_by_heartbeats(node: str, proxied: Proxied, application: Application) -> None:
    bea = Person(proxied.service.origin, "bea-beats@example.org")
    puid = bea.grant(application)
    url = proxied.plain.replace("http", "ws") + "/presence"
    with application.service() as app, Script(node, "device.mjs", url, bea.email, "desk", websockets=False) as device:
        device.say(bea.assertion())
        device.until(lambda line: line.get("state") == "connected")
        assert app.next_updates() == [(puid, "online", "explicit")]
        device.say("unavailable")
        assert app.next_updates() == [(puid, "unavailable", "explicit")]
        app.notify({"puid": puid, "message": "Your move"})
        device.say("online")
        (*_, last) = device.until(lambda line: "notification" in line)
        assert last["notification"]["message"] == "Your move"
        eventually(lambda: application_waits(app, puid) == 1)


def application_waits(app: object, puid: str) -> int:
    """Return how many notifications wait after one more was sent: acknowledged ones do not."""
    [answer] = app.notify({"puid": puid, "message": "", "ttl": 60})  # type: ignore[attr-defined]
    return int(answer["queue_size"])


def test_a_device_in_python_is_connected_by_heartbeats(proxied: Proxied, application: Application) -> None:
    cem = Person(proxied.service.origin, "cem-beats@example.org")
    puid = cem.grant(application)
    command = [sys.executable, "-c", DEVICE, proxied.plain, cem.email, "desk", cem.assertion()]
    environment = {**os.environ, "PYTHONPATH": str(PYTHON)}
    with application.service() as app:
        app.notify({"puid": puid, "message": "Your move"})
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as device:
            try:
                assert app.next_updates() == [(puid, "online", "explicit")]
                assert device.stdout and device.stdout.readline() == "Your move\n"
                assert app.next_updates() == [(puid, "unavailable", "explicit")]
            finally:
                device.kill()
