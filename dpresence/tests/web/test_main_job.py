"""The main job from end to end: a developer registers, a user grants, their devices set a status, the application gets it and notifies."""

from __future__ import annotations

from dpresence.tests.web.support import World, updates

DEV, ANN = "dev@example.org", "ann@example.org"


def test_from_registration_to_a_notification_on_a_device(world: World) -> None:
    dev, ann = world.person(DEV), world.person(ANN)
    made = dev("POST", "/myapps", {"name": "Chess", "domain": world.proof.domain, "description": "Play"}).json
    world.proof.answer = (200, made["domain_key"])
    path = f"/myapps/{made['appid']}"
    assert dev("POST", f"{path}/validate").json["valid_domain"] is True
    key = dev("POST", f"{path}/activate").json["api_key"]

    service = world._connect(path, "127.0.0.1")
    assert service.receive({"action": "auth", "key": key})["snapshot"] == []
    service.take()

    answer = ann.form(f"/grant/{made['appid']}", {"allow": "yes", "redirect": f"http://{world.proof.domain}/welcome"})
    puid = answer.headers["Location"].rpartition("Presence-UID=")[2]
    world.settle()
    assert updates(service) == [(puid, "offline", "granted")]

    phone = world.device(ANN)
    phone.receive({"email": ANN, "status": "unavailable"})
    world.settle()
    assert updates(service) == [(puid, "online", "explicit"), (puid, "unavailable", "explicit")]

    item = {"puid": puid, "message": "Your move", "action": f"http://{world.proof.domain}/game/1", "source": "Bob"}
    sent = service.receive({"action": "notify", "notifications": [item], "id": 1})
    assert sent["notifications"][0]["delivered"] is True
    service.take()
    assert phone.take()[-1] == {"notifications": [{"source": "Bob", "message": "Your move", "action": item["action"]}]}

    phone.lose()
    world.advance(15)
    assert updates(service) == [(puid, "offline", "lost")]

    assert ann("DELETE", f"/grant/{made['appid']}").status_int == 204
    world.settle()
    assert updates(service) == [(puid, "offline", "revoked")]
    answer = service.receive({"action": "notify", "notifications": [item]})
    assert answer["notifications"][0]["errno"] == 110
