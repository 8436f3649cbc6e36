"""The main job over real sockets: register, validate, activate, grant, be seen, be notified (docs/protocol.md)."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import requests
from websockets.exceptions import InvalidStatus

from dpresence.tests.waiting import PATIENCE_SECONDS

from .clients import AppService, Device, activate
from .service import Site
from .warm import running


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("main")) as service:
        yield service


def test_a_status_reaches_the_application_and_a_notification_comes_back(person, application):
    puid = person.grant(application)
    with application.service() as app_service, person.device() as device:
        assert app_service.recovery == "snapshot"
        assert app_service.next_updates() == [(puid, "online", "explicit")]
        device.say("unavailable")
        assert app_service.next_updates() == [(puid, "unavailable", "explicit")]
        (answer,) = app_service.notify({"puid": puid, "message": "Your move", "action": f"http://{application.domain}/7"})
        assert (answer["result"], answer["delivered"], answer["puid"]) == ("OK", True, puid)
        assert device.notifications(1) == [{"source": "Chess club", "message": "Your move", "action": f"http://{application.domain}/7"}]
        device.say("offline")
        assert app_service.next_updates() == [(puid, "offline", "explicit")]


def test_a_plain_client_gets_replies_and_nothing_else(person):
    with Device(person) as device:
        device.assert_silent()
        assert device.ask(email=person.email, assertion=person.assertion(), status="online") == {"result": "OK"}
        assert device.ask(email=person.email, status="unavailable") == {"result": "OK"}
        assert device.ask(email=person.email, status="offline", id=7) == {"result": "OK", "id": 7}
        device.assert_silent()


def test_an_invalid_assertion_is_answered_as_the_readme_says_and_may_be_followed_by_a_good_one(person):
    with Device(person) as device:
        refused = device.ask(email=person.email, assertion="a~b", status="online")
        assert refused == {"result": "KO", "errno": 34, "error": "Invalid assertion"}
        device.sign_in("online")


def test_frames_that_are_none_are_answered_and_change_nothing(person, application):
    puid = person.grant(application)
    with application.service() as app_service, person.device() as device:
        app_service.next_updates()
        device.socket.send("[]")
        assert device.receive()["errno"] == 106
        device.socket.send('{"status": NaN}')
        assert device.receive()["errno"] == 106
        assert device.ask(email=person.email, status="busy")["errno"] == 107
        assert device.ask(email=person.email)["errno"] == 108
        assert device.ask(email="else@example.org", status="offline")["errno"] == 133
        app_service.assert_no_updates()
        device.say("unavailable")
        assert app_service.next_updates() == [(puid, "unavailable", "explicit")]


def test_closing_one_of_two_devices_is_seen_by_nobody(person, application):
    person.grant(application)
    with application.service() as app_service, person.device(device="phone") as phone, person.device(device="laptop"):
        app_service.next_updates()
        phone.say("offline")
        phone.close()
        app_service.assert_no_updates()


def test_a_newer_connection_of_a_device_replaces_the_older_and_no_application_sees_it(person, application):
    person.grant(application)
    with application.service() as app_service, person.device(device="phone") as older:
        app_service.next_updates()
        with person.device(device="phone"):
            assert older.wait_closed()[0] == 4010
            app_service.assert_no_updates()


def test_an_update_reaches_every_application_that_was_granted_and_no_other(person, application, service):
    with Site() as second_site, Site() as third_site:
        second = activate(service.origin, second_site, name="Second")
        third = activate(service.origin, third_site, name="Third")
        puids = person.grant(application), person.grant(second)
        assert puids[0] != puids[1]
        with ExitStack() as stack:
            first_service, second_service, third_service = (stack.enter_context(each.service()) for each in (application, second, third))
            stack.enter_context(person.device())
            assert first_service.next_updates() == [(puids[0], "online", "explicit")]
            assert second_service.next_updates() == [(puids[1], "online", "explicit")]
            third_service.assert_no_updates()


def test_waiting_notifications_come_at_once_when_the_device_signs_in_and_only_once(person, application):
    puid = person.grant(application)
    with application.service() as app_service:
        answers = app_service.notify(*({"puid": puid, "message": str(number)} for number in range(3)))
        assert [(answer["queue_size"], answer["delivered"]) for answer in answers] == [(1, False), (2, False), (3, False)]
    with person.device() as device:
        assert [item["message"] for item in device.notifications(3)] == ["0", "1", "2"]
    with person.device() as device:
        device.assert_silent()


def test_unacknowledged_notifications_come_again_with_the_same_id(person, application):
    puid = person.grant(application)
    with application.service() as app_service:
        sent = app_service.notify({"puid": puid, "message": "once"}, {"puid": puid, "message": "twice"})
    with person.device(ack=True) as device:
        first, second = device.notifications(2)
        assert [first["id"], second["id"]] == [item["id"] for item in sent]
        assert device.ask(action="ack", notifications=[first["id"]]) == {"result": "OK"}
    with person.device(ack=True) as device:
        assert device.notifications(1) == [second]
        device.ask(action="ack", notifications=[second["id"]])
    with person.device(ack=True) as device:
        device.assert_silent()


def test_revoking_says_offline_for_the_last_time_and_kills_the_puid(person, application):
    puid = person.grant(application)
    with application.service() as app_service, person.device() as device:
        app_service.next_updates()
        person.call("DELETE", f"/grant/{application.appid}", status=204)
        assert app_service.next_updates() == [(puid, "offline", "revoked")]
        device.say("unavailable")
        app_service.assert_no_updates()
        assert app_service.notify({"puid": puid, "message": "still there?"})[0]["errno"] == 110
        assert person.grant(application) != puid


def test_an_application_that_was_away_receives_what_it_missed(person, application):
    puid = person.grant(application)
    with application.service() as app_service:
        cursor = app_service.cursor
    with person.device() as device:
        device.say("unavailable")
    with application.service(cursor) as app_service:
        assert app_service.recovery == "replayed"
        assert app_service.next_updates(2) == [(puid, "online", "explicit"), (puid, "unavailable", "explicit")]


def test_deactivating_closes_the_channel_and_refuses_the_next_one(service):
    with Site() as site:
        application = activate(service.origin, site)
        with application.service() as app_service:
            application.owner.call("POST", f"/myapps/{application.appid}/deactivate")
            assert app_service.wait_closed()[0] == 4003
    with pytest.raises(InvalidStatus) as refused:
        AppService(application)
    assert refused.value.response.status_code == 403


def test_an_unknown_application_is_refused_before_the_101(service, application):
    with pytest.raises(InvalidStatus) as refused:
        AppService(type(application)(service.origin, "unknown", "key", application.owner, ""))
    assert refused.value.response.status_code == 404


def test_a_wrong_key_three_times_ends_the_channel(application):
    with AppService(application) as app_service:
        assert app_service.ask(action="notify", notifications=[{"puid": "x"}])["errno"] == 104
        for _ in range(2):
            assert app_service.ask(action="auth", key="dpk_wrong")["errno"] == 105
        assert app_service.wait_closed()[0] == 4009


def test_the_service_answers_operators(service):
    assert requests.get(f"{service.origin}/__heartbeat__", timeout=PATIENCE_SECONDS).json() == {
        "directory": True,
        "mailbox": True,
        "tracker": True,
    }
    assert requests.get(f"{service.origin}/__version__", timeout=PATIENCE_SECONDS).json()["name"] == "dpresence"
