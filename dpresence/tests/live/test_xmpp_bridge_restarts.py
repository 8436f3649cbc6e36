"""The XMPP bridge of ``examples/`` while it, the XMPP server and the service are killed: nobody looks online who is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dpresence.tests.live.test_examples import need

from .clients import Person, activate
from .prosody import Bridge, Prosody, contact_of
from .service import Service, Site
from .warm import running

pytestmark = pytest.mark.slow
UNKNOWN, STOPPED = ("unavailable", "It is not known at the moment."), ("unavailable", "The bridge has stopped.")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with running(tmp_path, presence__grace_seconds=1, presence__sweep_seconds=1) as service:
        yield service


@pytest.fixture
def prosody(tmp_path: Path) -> Iterator[Prosody]:
    need("prosody")
    with Prosody(tmp_path / "prosody") as prosody:
        yield prosody


def test_each_of_the_three_may_be_killed(service: Service, prosody: Prosody, tmp_path: Path) -> None:
    person = Person(service.origin, "ann@example.org")
    with Site() as site:
        application = activate(service.origin, site)
        contact = contact_of(person.grant(application))
        with prosody.user("ada") as ada:
            with Bridge(tmp_path, application, prosody) as bridge, person.device("online") as device:
                bridge.ready()
                ada.do("subscribe", contact)
                ada.until(contact, "available")
                bridge.kill()
                ada.do("send", contact, body="Are you there?", id="1")
                assert ada.next(contact, "message")["condition"] == "remote-server-timeout"
                device.say("offline")
            with Bridge(tmp_path, application, prosody):
                assert ada.presence(contact) in (UNKNOWN, ("unavailable", ""))
                with person.device("online") as device:
                    assert "available" not in ada.until(contact, "available")
                    service.kill()
                    assert ada.presence(contact) == UNKNOWN
                service.start()
                assert ada.presence(contact) == ("unavailable", "")
                prosody.stop()
                with person.device("online"):
                    prosody.start()
                    with prosody.user("ada") as again:
                        again.until(contact, "available")
                prosody.stop()
            prosody.start()
            with Bridge(tmp_path, application, prosody) as bridge, prosody.user("ada") as again, person.device("online"):
                again.until(contact, "available")
                bridge.process.terminate()
                assert again.presence(contact) == STOPPED
                assert bridge.process.wait(60) == 0


def test_a_watcher_whom_the_operator_takes_out_sees_nobody_any_more(service: Service, prosody: Prosody, tmp_path: Path) -> None:
    person = Person(service.origin, "ann@example.org")
    with Site() as site, prosody.user("ada") as ada:
        application = activate(service.origin, site)
        contact = contact_of(person.grant(application))
        with person.device("online"):
            with Bridge(tmp_path, application, prosody) as bridge:
                bridge.ready()
                ada.do("subscribe", contact)
                ada.until(contact, "available")
            with Bridge(tmp_path, application, prosody, watchers="bob@localhost"):
                assert "available" not in ada.until(contact, "unsubscribed")
