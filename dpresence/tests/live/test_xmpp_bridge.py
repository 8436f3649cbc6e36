"""The XMPP bridge of ``examples/``, between the service and a real XMPP server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .clients import Application, Person, activate
from .prosody import Bridge, Prosody, User, contact_of, local_part, puid_of
from .service import Service, Site
from .test_examples import need
from .warm import running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service"), presence__grace_seconds=1, presence__sweep_seconds=1) as service:
        yield service


@pytest.fixture(scope="module")
def application(service: Service) -> Iterator[Application]:
    with Site() as site:
        yield activate(service.origin, site)


@pytest.fixture(scope="module")
def prosody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prosody]:
    need("prosody")
    with Prosody(tmp_path_factory.mktemp("prosody")) as prosody:
        yield prosody


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bridge")


@pytest.fixture(scope="module")
def bridge(folder: Path, application: Application, prosody: Prosody) -> Iterator[Bridge]:
    with Bridge(folder, application, prosody) as bridge:
        yield bridge.ready()


@pytest.fixture(scope="module")
def ada(prosody: Prosody, bridge: Bridge) -> Iterator[User]:
    with prosody.user("ada") as ada:
        yield ada


@pytest.mark.parametrize("puid", ["1ik2ExyySaaQ6Dpi501BWQ", "1IK2ExyySaaQ6Dpi501BWQ", "-_", "a"])
def test_an_address_leads_back_to_its_puid_in_any_case(puid: str) -> None:
    local = local_part(puid)
    assert local == local.lower() and puid_of(local) == puid_of(local.upper()) == puid


@pytest.mark.parametrize("local", ["", "a", "ab1", "mf", "ada"])
def test_other_addresses_have_no_puid(local: str) -> None:
    assert puid_of(local) is None


def test_a_watcher_sees_each_change_until_the_access_is_revoked(application: Application, person: Person, ada: User) -> None:
    puid = person.grant(application)
    contact = contact_of(puid)
    ada.do("subscribe", contact)
    assert [ada.presence(contact) for _ in range(2)] == [("subscribed", ""), ("unavailable", "")]
    with person.device("online") as device:
        assert ada.presence(contact) == ("available", "")
        device.say("unavailable")
        assert ada.presence(contact) == ("away", "")
        device.say("offline")
        assert ada.presence(contact) == ("unavailable", "")
        device.say("online")
        assert ada.presence(contact) == ("available", "")
        person.call("DELETE", f"/grant/{application.appid}")
        assert [ada.presence(contact) for _ in range(2)] == [("unavailable", ""), ("unsubscribed", "")]


def test_a_server_that_probes_for_a_user_who_signs_in_is_answered(
    application: Application, person: Person, prosody: Prosody, ada: User
) -> None:
    contact = contact_of(person.grant(application))
    with person.device("online"):
        ada.do("subscribe", contact)
        ada.until(contact, "available")
        with prosody.user("ada") as phone:
            assert phone.presence(contact) == ("available", "")
        ada.do("unsubscribe", contact)
        ada.until(contact, "unavailable")


def test_strangers_and_unknown_contacts_are_refused(application: Application, person: Person, prosody: Prosody, ada: User) -> None:
    contact, unknown = contact_of(person.grant(application)), contact_of("1ik2ExyySaaQ6Dpi501BWQ")
    ada.do("subscribe", unknown)
    assert ada.presence(unknown) == ("unsubscribed", "")
    with prosody.user("bob") as bob:
        bob.do("subscribe", contact)
        assert bob.presence(contact) == ("unsubscribed", "")
        bob.do("send", contact, body="hello", id="1")
        answer = bob.next(contact, "message")
        assert (answer["condition"], answer["id"], answer["text"]) == ("subscription-required", "1", "Add this contact first.")
        described = []
        for address in (contact, unknown):
            bob.do("features", address)
            described.append(bob.next(address, "features")["features"])
        assert described[0] == described[1] and "urn:xmpp:receipts" in described[0]


def test_a_message_becomes_a_notification_and_is_answered_with_its_outcome(application: Application, person: Person, ada: User) -> None:
    contact = contact_of(person.grant(application))
    with person.device("online", ack=True) as device:
        ada.do("subscribe", contact)
        ada.until(contact, "available")
        ada.do("send", contact, body="Your move", id="m1")
        [received] = device.notifications(1)
        assert (received["message"], received["source"]) == ("Your move", "ada")
        device.ask(action="opened", notifications=[received["id"]])
        answers = [ada.next(contact, "message") for _ in range(3)]
        assert [(answer.get("receipt"), answer.get("marker")) for answer in answers] == [("m1", None), ("m1", None), (None, "m1")]
        ada.do("send", contact, body="x" * 513, id="m2")
        refused = ada.next(contact, "message")
        assert (refused["id"], refused["condition"], refused["message"]) == ("m2", "not-acceptable", "error")
    ada.do("send", contact, body="Still there?", id="m3")
    person.call("DELETE", f"/grant/{application.appid}")
    error = ada.next(contact, "message")
    assert (error["id"], error["condition"]) in {("m3", "recipient-unavailable"), ("m3", "item-not-found")}


@pytest.mark.slow
def test_a_bridge_that_the_server_refuses_or_that_is_not_configured_ends(
    tmp_path: Path, application: Application, prosody: Prosody
) -> None:
    with Bridge(tmp_path, application, prosody, "another secret") as bridge:
        assert bridge.process.wait(60) == 2
    with Bridge(tmp_path, application, prosody, port="none") as bridge:
        assert bridge.line() == "the configuration cannot be used: invalid literal for int() with base 10: 'none'"
