"""Seven faults of the prototype this service replaces; none may come back."""

from __future__ import annotations

from dpresence.tests.web.support import App, World, ko, refusal, updates

ANN = "ann@example.org"


def test_unavailable_is_a_status_like_the_others(world: World) -> None:
    channel = world.channel()
    first = {"email": ANN, "assertion": world.assertion(ANN), "status": "unavailable"}
    assert channel.receive(first) == {"result": "OK"}


def test_closing_one_of_two_devices_announces_nothing(world: World, app: App) -> None:
    world.grant(ANN, app)
    phone, _ = world.device(ANN, device="phone"), world.device(ANN, device="laptop")
    service = world.followed(app)
    phone.leave()
    world.advance(60)
    assert updates(service) == []


def test_updates_of_one_application_do_not_depend_on_the_others(world: World, app: App) -> None:
    other = world.application(app.owner, name="Go")
    puids = [world.grant(ANN, app), world.grant(ANN, other)]
    services = [world.followed(app), world.followed(other)]
    world.device(ANN)
    world.settle()
    assert [updates(service) for service in services] == [[(puid, "online", "explicit")] for puid in puids]


def test_a_grant_to_one_application_opens_the_user_to_no_other(world: World, app: App) -> None:
    other = world.application(app.owner, name="Go")
    puid, service = world.grant(ANN, app), world.service(other)
    world.device(ANN)
    world.settle()
    assert [frame.get("snapshot", frame.get("updates")) for frame in service.sent[1:]] == [[]]
    assert world.notify(other, {"puid": puid})[0] == {"puid": puid, **ko(110, "not found")}


def test_notify_does_nothing_before_auth(world: World, app: App) -> None:
    puid, device = world.grant(ANN, app), world.device(ANN)
    channel = world.service_channel(app)
    assert channel.receive({"action": "notify", "notifications": [{"puid": puid}]}) == ko(104, "action: auth comes first")
    world.settle()
    assert device.sent == []


def test_a_redirect_leads_to_the_application_and_nowhere_else(world: World, app: App) -> None:
    answer = world.person(ANN).form(f"/grant/{app.id}", {"allow": "1", "redirect": "https://evil.example.org/"})
    assert refusal(answer)[1]["errno"] == 107
    assert "Location" not in answer.headers


def test_looking_never_revokes_a_grant(world: World, app: App) -> None:
    ann = world.person(ANN)
    puid = ann("POST", f"/grant/{app.id}").json["puid"]
    suffixes = ("", "?revoke=1", "?_method=DELETE", "/revoke")
    for method in ("GET", "HEAD"):
        for path in ("/grants", *(f"/grant/{app.id}{suffix}" for suffix in suffixes)):
            ann(method, path)
            ann(method, path, X_HTTP_Method_Override="DELETE")
    assert [grant["puid"] for grant in ann("GET", "/grants").json["grants"]] == [puid]
