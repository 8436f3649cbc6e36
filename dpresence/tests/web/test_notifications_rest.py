"""REST calls of an app service without a channel: presence and notifications (section 6)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dpresence.tests.web.support import App, World, ko, refusal

ANN, BOB = "ann@example.org", "bob@example.org"
OTHERWISE = "and only {domain} is allowed; if it is none, write a space after the dot"
BAD_ACTION = "notifications[0].action: a word, or an http(s) URL on the application's validated domain"


def look(world: World, app: App, query: str = "", key: str | None = None) -> object:
    return world.browser()("GET", f"/myapps/{app.id}/presence{query}", Authorization=f"Bearer {key or app.key}")


# -- the key


@pytest.mark.parametrize("path", ["presence", "notifications"])
def test_a_call_of_a_service_needs_its_key(world: World, app: App, path: str) -> None:
    method = "GET" if path == "presence" else "POST"
    missing = (401, ko(104, "Authorization: Bearer and an API key"))
    assert refusal(world.browser()(method, f"/myapps/{app.id}/{path}")) == missing
    assert refusal(app.owner(method, f"/myapps/{app.id}/{path}")) == missing
    assert refusal(world.browser()(method, f"/myapps/{app.id}/{path}", **world.authorization("dev@example.org"))) == missing


def test_a_wrong_key_is_invalid_whatever_is_wrong_with_it(world: World, app: App) -> None:
    other = world.application(app.owner, name="Go")
    invalid = (401, ko(105, "the API key is not valid"))
    swapped = app.key[:-1] + ("A" if app.key[-1] != "A" else "B")
    for key in (other.key, swapped, "nonsense", "dpk_", app.key + "x", "\u00e9"):
        world.clock.advance(60)
        assert refusal(look(world, app, key=key)) == invalid  # type: ignore[arg-type]
    world.clock.advance(60)
    assert refusal(look(world, App("unknown", app.key, app.owner))) == invalid  # type: ignore[arg-type]


# -- the present


def test_the_present_of_everybody_comes_in_pages(world: World, app: App) -> None:
    puids = sorted(world.grant(f"user{number}@example.org", app) for number in range(5))
    found, query = [], "?limit=2"
    for _ in range(3):
        page = look(world, app, query).json  # type: ignore[attr-defined]
        found += [entry["puid"] for entry in page["presence"]]
        query = f"?limit=2&after={page.get('next')}"
    assert found == puids and "next" not in page
    at = world.clock.now() // 1000 * 1000
    assert look(world, app).json["presence"][0] == {"puid": puids[0], "status": "offline", "at": at}  # type: ignore[attr-defined]


def test_the_present_of_some_comes_in_the_order_asked_for(world: World, app: App) -> None:
    ann, bob = world.grant(ANN, app), world.grant(BOB, app)
    world.device(ANN, "unavailable")
    shown = look(world, app, f"?puid={bob}&puid={ann}&puid={bob}").json["presence"]  # type: ignore[attr-defined]
    assert [(entry["puid"], entry["status"]) for entry in shown] == [(bob, "offline"), (ann, "unavailable")]


def test_a_puid_that_is_unknown_anothers_or_revoked_is_simply_not_there(world: World, app: App) -> None:
    other = world.application(app.owner, name="Go")
    revoked, anothers = world.grant(ANN, app), world.grant(ANN, other)
    world.person(ANN)("DELETE", f"/grant/{app.id}")
    for puid in (revoked, anothers, "unknown", "%00"):
        asked = "\0" if puid == "%00" else puid
        refused = (404, ko(110, "not found", details={"puid": [asked]}))
        assert refusal(look(world, app, f"?puid={puid}")) == refused  # type: ignore[arg-type]


def test_one_asks_for_500_at_most(world: World, app: App) -> None:
    query = "?" + "&".join(f"puid={number}" for number in range(501))
    assert refusal(look(world, app, query)) == (400, ko(107, "puid: up to 500 of them"))  # type: ignore[arg-type]


# -- notifying


def test_a_notification_waits_for_who_is_away(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    answers = world.notify(app, {"puid": puid, "message": "Your move"}, {"puid": puid})
    assert answers == [
        {"puid": puid, "id": answers[0]["id"], "result": "OK", "queue_size": 1, "delivered": False},
        {"puid": puid, "id": answers[1]["id"], "result": "OK", "queue_size": 2, "delivered": False},
    ]
    assert answers[0]["id"] != answers[1]["id"]


def test_the_answer_names_the_verb_as_on_the_channel(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    answer = world.browser()("POST", f"/myapps/{app.id}/notifications", [{"puid": puid}], Authorization=f"Bearer {app.key}").json
    assert (answer["result"], answer["action"], len(answer["notifications"])) == ("OK", "notify", 1)


def test_one_unknown_puid_does_not_stop_the_others(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    answers = world.notify(app, {"puid": "unknown"}, {"puid": puid})
    assert answers[0] == {"puid": "unknown", **ko(110, "not found")}
    assert answers[1]["result"] == "OK"


@pytest.mark.parametrize(
    ("item", "errno", "error"),
    [
        ({"message": "x" * 513}, 151, "notifications[0].message: text of up to 512 characters"),
        ({"action": "x" * 513}, 151, "notifications[0].action: text of up to 512 characters"),
        ({"source": "x" * 255}, 151, "notifications[0].source: text of up to 254 characters"),
        ({"ttl": -1}, 153, "notifications[0].ttl: whole seconds from 0 to 2592000"),
        ({"ttl": 2592001}, 153, "notifications[0].ttl: whole seconds from 0 to 2592000"),
        ({"ttl": 1.5}, 153, "notifications[0].ttl: whole seconds from 0 to 2592000"),
        ({"ttl": None}, 153, "notifications[0].ttl: whole seconds from 0 to 2592000"),
        ({"message": 5}, 107, "notifications[0].message: text of up to 512 characters"),
        (
            {"message": "a\0b"},
            107,
            "notifications[0].message: text of up to 512 characters, without U+0000, which cannot be seen or is not text",
        ),
        (
            {"source": "\u3164"},
            107,
            "notifications[0].source: text of up to 254 characters, without U+3164, which cannot be seen or is not text",
        ),
        (
            {"source": "b\u0430nk"},
            107,
            "notifications[0].source: text of up to 254 characters, with each word in one script, unlike 'b\u0430nk'",
        ),
        (
            {"source": "Your bank.example"},
            107,
            f"notifications[0].source: 'bank.example' reads as the web address bank.example, {OTHERWISE}",
        ),
        ({"source": "bank\u3002com"}, 107, f"notifications[0].source: 'bank\u3002com' reads as the web address bank.com, {OTHERWISE}"),
        ({"colour": "red"}, 108, "notifications[0].colour: is not known here"),
        ({"action": "two words"}, 156, BAD_ACTION),
        ({"action": "https://evil.example.org/"}, 156, BAD_ACTION),
        ({"action": "https://xn--a.localhost/"}, 156, BAD_ACTION),
    ],
)
def test_one_bad_item_refuses_the_whole_and_keeps_nothing(
    shared: World, shared_app: App, item: dict[str, object], errno: int, error: str
) -> None:
    puid = shared.grant(BOB, shared_app)
    before = shared.notify(shared_app, {"puid": puid})[0]["queue_size"]
    body = [{"puid": puid, **item}, {"puid": puid, "message": "good"}]
    refused = shared.browser()("POST", f"/myapps/{shared_app.id}/notifications", body, Authorization=f"Bearer {shared_app.key}")
    assert refusal(refused) == (400, ko(errno, error.format(domain=shared.proof.domain)))
    assert shared.notify(shared_app, {"puid": puid})[0]["queue_size"] == before + 1


@pytest.mark.parametrize(
    ("body", "errno", "error"),
    [
        (b"[]", 107, "expected a list of 1 to 100 notifications"),
        (b'[{"puid":"x"}' + b',{"puid":"x"}' * 100 + b"]", 107, "expected a list of 1 to 100 notifications"),
        (b"{}", 106, "expected one JSON list"),
        (b"", 106, "not JSON: expected one JSON list"),
        (b"[5]", 107, "notifications[0]: an object"),
        (b"[{}]", 108, "notifications[0].puid: is missing"),
    ],
)
def test_the_body_is_a_list_of_1_to_100(shared: World, shared_app: App, body: bytes, errno: int, error: str) -> None:
    world, app = shared, shared_app
    answer = world.browser()("POST", f"/myapps/{app.id}/notifications", body, Authorization=f"Bearer {app.key}")
    assert refusal(answer) == (400, ko(errno, error))


def test_the_longest_that_is_allowed_arrives_uncut(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    message, source = "\u00e4" * 512, "\U0001f600" * 254
    world.notify(app, {"puid": puid, "message": message, "source": source, "action": "x" * 512})
    device = world.channel()
    device.receive({"email": ANN, "assertion": world.assertion(ANN), "status": "online"})
    assert device.sent[1] == {"notifications": [{"source": source, "message": message, "action": "x" * 512}]}


def test_the_source_is_the_applications_name_unless_it_says_another(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    world.notify(app, {"puid": puid}, {"puid": puid, "source": ""}, {"puid": puid, "source": "Bob"})
    device = world.channel()
    device.receive({"email": ANN, "assertion": world.assertion(ANN), "status": "online"})
    assert [item["source"] for item in device.sent[1]["notifications"]] == ["Chess", "Chess", "Bob"]


def test_an_action_may_be_an_url_on_the_domain(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    assert world.notify(app, {"puid": puid, "action": f"http://{world.proof.domain}/game?id=1"})[0]["result"] == "OK"


def test_beyond_a_hundred_the_oldest_is_dropped(world: World, app: App) -> None:
    other = world.application(app.owner, name="Go")
    puid, seen = world.grant(ANN, app), world.grant(ANN, other)
    assert world.notify(other, {"puid": seen, "message": "kept"})[0]["queue_size"] == 1
    sizes = [item["queue_size"] for item in world.notify(app, *({"puid": puid, "message": str(number)} for number in range(100)))]
    assert sizes == list(range(1, 101))
    assert world.notify(app, {"puid": puid, "message": "100"}, {"puid": puid, "message": "101"})[1]["queue_size"] == 100
    device = world.channel()
    device.receive({"email": ANN, "assertion": world.assertion(ANN), "status": "online"})
    frames = device.sent[1:]
    messages = [item["message"] for frame in frames for item in frame["notifications"]]
    assert [len(frame["notifications"]) for frame in frames] == [100, 1]
    assert messages == ["kept", *(str(number) for number in range(2, 102))]


def test_a_notification_is_gone_when_its_time_is_over(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    world.notify(app, {"puid": puid, "message": "short", "ttl": 10}, {"puid": puid, "message": "day"})
    world.clock.advance(10)
    assert world.notify(app, {"puid": puid, "message": "third"})[0]["queue_size"] == 2
    device = world.channel()
    device.receive({"email": ANN, "assertion": world.assertion(ANN), "status": "online"})
    assert [item["message"] for item in device.sent[1]["notifications"]] == ["day", "third"]


def test_without_a_time_and_a_device_it_is_ok_and_not_kept(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    answer = world.notify(app, {"puid": puid, "ttl": 0})[0]
    assert answer == {"puid": puid, "id": answer["id"], "result": "OK", "queue_size": 0, "delivered": False}
    device = world.device(ANN)
    assert device.sent == []
    assert world.notify(app, {"puid": puid, "ttl": 0, "message": "now"})[0]["delivered"] is True
    assert device.take() == [{"notifications": [{"source": "Chess", "message": "now", "action": ""}]}]


def test_a_device_in_grace_is_not_connected(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    world.device(ANN).lose()
    assert world.notify(app, {"puid": puid, "ttl": 0})[0]["delivered"] is False
    assert world.notify(app, {"puid": puid})[0]["queue_size"] == 1


def test_too_many_refuse_the_whole_call_and_nothing_is_kept(make_world: Callable[..., World]) -> None:
    world = make_world(presence__notification_rate="10", presence__notification_burst="100")
    app = world.application()
    puid = world.grant(ANN, app)
    world.notify(app, *({"puid": puid} for _ in range(60)))
    body = [{"puid": puid} for _ in range(60)]
    answer = world.browser()("POST", f"/myapps/{app.id}/notifications", body, Authorization=f"Bearer {app.key}")
    assert refusal(answer) == (429, ko(117, "notifications: too many of this application", retry_after=2))
    assert answer.headers["Retry-After"] == "2"
    unchecked = [{**item, "message": "\u202e", "source": "bank.example"} for item in body]
    answer = world.browser()("POST", f"/myapps/{app.id}/notifications", unchecked, Authorization=f"Bearer {app.key}")
    assert answer.status_code == 429, "no text is checked for what may not be sent"
    assert world.notify(app, {"puid": puid})[0]["queue_size"] == 61
    world.clock.advance(2.1)
    assert len(world.notify(app, *body)) == 60


def test_a_refused_call_costs_as_much_as_any(make_world: Callable[..., World]) -> None:
    """Its sources have been checked, which is the most expensive part of a call."""
    world = make_world(presence__notification_rate="10", presence__notification_burst="100")
    app = world.application()
    puid = world.grant(ANN, app)
    body = [{"puid": puid, "source": "bank.com"} for _ in range(100)]
    answers = [world.browser()("POST", f"/myapps/{app.id}/notifications", body, Authorization=f"Bearer {app.key}") for _ in range(2)]
    assert [answer.status_int for answer in answers] == [400, 429]


def test_a_revoked_grant_takes_what_waits_with_it(world: World, app: App) -> None:
    other = world.application(app.owner, name="Go")
    puid, seen = world.grant(ANN, app), world.grant(ANN, other)
    world.notify(app, {"puid": puid, "message": "gone"})
    world.notify(other, {"puid": seen, "message": "kept"})
    world.person(ANN)("DELETE", f"/grant/{app.id}")
    world.grant(ANN, app)
    device = world.channel()
    device.receive({"email": ANN, "assertion": world.assertion(ANN), "status": "online"})
    assert [item["message"] for item in device.sent[1]["notifications"]] == ["kept"]
    assert world.notify(app, {"puid": puid})[0]["errno"] == 110


def test_a_notification_answered_ok_survives_a_restart(make_world: Callable[..., World], tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/restarted.db"
    world = make_world(directory__url=url)
    app = world.application()
    puid = world.grant(ANN, app)
    world.notify(app, {"puid": puid, "message": "kept"})
    world.close()
    again = make_world(directory__url=url)
    device = again.channel()
    device.receive({"email": ANN, "assertion": again.assertion(ANN), "status": "online"})
    assert device.sent[1]["notifications"][0]["message"] == "kept"


def test_what_is_not_stored_is_answered_with_the_number_that_waits_with_that_of_its_frame(world: World, app: App, puid: str) -> None:
    answers = world.notify(app, {"puid": puid, "ttl": 0}, {"puid": puid, "message": "stored"})
    assert [answer["queue_size"] for answer in answers] == [1, 1]
