"""With OpenID Connect an account is its person's, whatever address the provider gives them (docs/identity.md)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dpresence.model import Identity
from dpresence.tests.oidc_support import TinyProvider
from dpresence.tests.waiting import eventually
from dpresence.tests.web.oidc_sign_in import clock, make, provider  # noqa: F401
from dpresence.tests.web.support import World, ko, refusal, updates

OLD, CASED, NEW = "Ada.Lovelace@example.org", "ada.lovelace@example.org", "ada.king@example.org"
MERGE = (409, ko(122, "email: you have another account; the operator can merge the two"))


@pytest.fixture
def world(make: Callable[..., World]) -> World:  # noqa: F811
    return make()


def login(world: World, provider: TinyProvider, email: str, **claims: object) -> object:  # noqa: F811
    return world.browser()("POST", "/login", {"assertion": provider.token(email=email, **claims)})


def test_one_subject_with_three_addresses_is_one_account_with_its_devices(world: World, provider: TinyProvider) -> None:  # noqa: F811
    channel = world.channel()
    assert channel.receive({"email": OLD, "assertion": provider.token(email=OLD), "status": "online", "device": "phone"})["result"] == "OK"
    for email in (CASED, NEW):
        assert login(world, provider, email).json["email"] == email  # type: ignore[attr-defined]
    signed = {"Authorization": f"Bearer {provider.token(email=NEW)}"}
    assert [device["device"] for device in world.browser()("GET", "/devices", **signed).json["devices"]] == ["phone"]
    assert world.browser()("GET", "/account", **signed).json["account"]["email"] == NEW


def test_a_channel_goes_on_under_its_address_and_renews_under_the_new_one(world: World, provider: TinyProvider) -> None:  # noqa: F811
    channel = world.channel()
    channel.receive({"email": OLD, "assertion": provider.token(email=OLD), "status": "online"})
    login(world, provider, NEW)
    assert channel.receive({"email": OLD, "status": "unavailable"}) == {"result": "OK"}
    renewal = {"email": NEW, "assertion": provider.token(email=NEW), "status": "online"}
    assert channel.receive({**renewal, "email": OLD})["errno"] == 133
    assert channel.receive(renewal) == {"result": "OK"}
    assert channel.receive({"email": NEW, "status": "unavailable"}) == {"result": "OK"}
    assert channel.receive({"email": NEW, "assertion": provider.token(email=NEW, sub="ada-2"), "status": "online"})["errno"] == 122


def test_an_address_that_has_another_account_is_in_conflict(world: World, provider: TinyProvider) -> None:  # noqa: F811
    assert login(world, provider, OLD).status_int == 200  # type: ignore[attr-defined]
    assert login(world, provider, NEW, sub="ada-2").status_int == 200  # type: ignore[attr-defined]
    assert refusal(login(world, provider, NEW)) == MERGE  # type: ignore[arg-type]
    assert world.registry.backends.directory.merge(NEW, OLD)
    assert login(world, provider, NEW).json["email"] == NEW  # type: ignore[attr-defined]


def test_applications_see_the_merged_person_under_the_names_they_know(one: World, two: World) -> None:
    app = one.application()
    puid = one.grant(NEW, app)
    device, service = two.device(NEW, device="phone"), one.followed(app)
    directory = one.registry.backends.directory
    directory.sign_in(Identity(OLD, "dev.invalid", OLD, 0), 0)
    kept = two.device(OLD, "unavailable", device="laptop")
    assert directory.merge(NEW, OLD)  # as by the command, which has no tracker
    for world in (one, two):
        world.advance(10)
        world.services.outbox.sweep()
        world.advance(10)
        world.services.outbox.sweep()
        world.settle()
    assert device.code == 4009
    eventually(lambda: updates(service)[-1:] == [(puid, "unavailable", "explicit")])
    kept.receive({"email": OLD, "status": "online"})
    eventually(lambda: updates(service) == [(puid, "online", "explicit")])
    assert one.notify(app, {"puid": puid})[0]["result"] == "OK"
    eventually(lambda: kept.sent and kept.sent[-1].get("notifications"))
