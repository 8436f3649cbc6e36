"""Acknowledged changes survive ``kill -9`` and a restart. Lost updates lead to a snapshot, never to a gap."""

from __future__ import annotations

import time

import pytest

from .clients import Person, activate
from .service import Site
from .warm import running

pytestmark = pytest.mark.slow

GRACE = 1


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("survival"), presence__grace_seconds=GRACE, presence__sweep_seconds=1) as service:
        yield service


@pytest.fixture(scope="module")
def application(service):
    with Site() as site:
        yield activate(service.origin, site)


def test_registrations_grants_keys_and_revocations_survive(service, application, person):
    puid = person.grant(application)
    other = Person(service.origin, "revoked@example.org")
    dead = other.grant(application)
    other.call("DELETE", f"/grant/{application.appid}", status=204)
    service.crash()
    assert person.grant(application) == puid
    assert other.call("GET", "/grants")["grants"] == []
    (shown,) = application.owner.call("GET", "/myapps")["applications"]
    assert (shown["appid"], shown["valid_domain"], shown["active"]) == (application.appid, True, True)
    with application.service() as app_service, person.device():
        assert dead not in app_service.statuses
        assert app_service.next_updates() == [(puid, "online", "explicit")]


def test_a_cursor_from_before_the_restart_gets_a_snapshot(service, application, person):
    puid = person.grant(application)
    with application.service() as app_service, person.device() as device:
        app_service.next_updates()
        cursor = app_service.cursor
        service.crash()
        assert device.wait_closed()[0] == 1006
    with person.device("unavailable"), application.service(cursor) as app_service:
        assert app_service.recovery == "snapshot"
        assert app_service.statuses[puid] == "unavailable"
        assert app_service.cursor.partition(":")[0] != cursor.partition(":")[0]


def test_a_snapshot_waits_until_devices_had_their_grace_to_come_back(service, application, person):
    puid = person.grant(application)
    with person.device():
        started_at = service.crash()
    with person.device(), application.service() as app_service:
        assert time.time() - started_at >= GRACE
        assert app_service.statuses[puid] == "online"


def test_notifications_answered_ok_come_in_order_after_the_crash(service, application):
    """T1 in small."""
    people = [Person(service.origin, f"t1-{number}@example.org") for number in range(4)]
    puids = [person.grant(application) for person in people]
    with application.service() as app_service:
        for turn in range(10):
            answers = app_service.notify(*({"puid": puid, "message": str(turn)} for puid in puids))
            assert [answer["result"] for answer in answers] == ["OK"] * len(people)
        service.crash()
    for number, person in enumerate(people):
        with person.device(ack=number % 2 == 0) as device:
            assert [item["message"] for item in device.notifications(10)] == [str(turn) for turn in range(10)]
            device.assert_silent(0.1)


def test_notifications_unacknowledged_at_the_crash_come_again(service, application, person):
    """T2 in small."""
    puid = person.grant(application)
    with application.service() as app_service, person.device(ack=True) as device:
        sent = app_service.notify(*({"puid": puid, "message": str(turn)} for turn in range(10)))
        got = device.notifications(10)
        assert device.ask(action="ack", notifications=[item["id"] for item in got[:4]]) == {"result": "OK"}
        service.crash()
    with person.device(ack=True) as device:
        assert device.notifications(6) == got[4:]
        assert [item["id"] for item in got] == [item["id"] for item in sent]
        device.assert_silent(0.1)


def test_a_ticket_survives_and_signs_the_device_in(service, person):
    with person.device(ticket=True, device="phone") as device:
        ticket = device.ticket
    service.crash()
    with person.device(assertion=ticket, device="phone") as device:
        device.say("unavailable")
