"""An application's service behind a proxy that passes no websocket on: it follows the feed over HTTP."""

from __future__ import annotations

import socket

import pytest
from dpresence.tests.faults.proxy import Proxy

from dpresence_client import AppService, Deactivated, InvalidKey, NotFound, upgrades

from .support import Follower, device_of, service_of, wait_until


class WithoutUpgrade(Proxy):
    """Removes ``Upgrade`` from the requests, as some proxies do."""

    removes = True

    def _carry(self, near, far):
        proxy = self

        class Near:
            def __init__(self, sock):
                self._sock = sock

            def fileno(self):
                return self._sock.fileno()

            def recv(self, count):
                received = self._sock.recv(count)
                return received.replace(b"Upgrade: websocket\r\n", b"") if proxy.removes else received

            def __getattr__(self, name):
                return getattr(self._sock, name)

        super()._carry(Near(near), far)


@pytest.fixture
def origin(service):
    with WithoutUpgrade(lambda: socket.create_connection(("127.0.0.1", service.port))) as proxy:
        yield f"http://127.0.0.1:{proxy.port}"


def test_a_service_follows_and_notifies_without_a_websocket(application, person, origin):
    puid, outcomes = person.grant(application), []
    told = {"on_outcome": lambda outcome: outcomes.append((outcome.id, outcome.outcome))}
    with service_of(application, origin=origin, **told) as app, device_of(person, status="unavailable") as device:
        follower = Follower(app)
        wait_until(lambda: app.current)
        wait_until(lambda: app.table[puid].status == "unavailable")
        device.status = "online"
        wait_until(lambda: app.table[puid].status == "online")
        received = []
        device.on_notification(received.append)
        sent = app.notify(puid, "Your move", outcome=True)
        assert sent.delivered
        wait_until(lambda: [notification.message for notification in received] == ["Your move"])
        wait_until(lambda: outcomes == [(sent.id, "delivered")])
        with pytest.raises(NotFound):
            app.notify("nobody", "Your move")
    follower.join()


def test_a_wrong_key_is_refused_without_a_websocket_too(application, origin):
    with pytest.raises(InvalidKey), AppService(origin, application.appid, "dpk_wrong"):
        pass


def test_a_service_that_is_deactivated_ends_without_a_websocket_too(application, origin):
    with service_of(application, origin=origin) as app:
        follower = Follower(app)
        wait_until(lambda: app.current)
        application.owner.call("POST", f"/myapps/{application.appid}/deactivate")
        follower.join()
        assert isinstance(follower.error, Deactivated)


@pytest.mark.slow
def test_a_service_returns_to_a_websocket_when_one_opens_again(application, origin, monkeypatch):
    monkeypatch.setattr(upgrades, "FIRST_SECONDS", 1.0)
    with service_of(application, origin=origin) as app:
        follower = Follower(app)
        wait_until(lambda: app.current and app._client.driver.core.blocked)
        monkeypatch.setattr(WithoutUpgrade, "removes", False)
        wait_until(lambda: app.current and not app._client.driver.core.blocked)
    follower.join()
