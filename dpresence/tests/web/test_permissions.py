"""Grants: given, listed, paused and revoked by the user alone; where the browser goes after it (sections 1, 5 and 6)."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from dpresence.tests.web.support import NOT_FOUND, App, Browser, World, ko, refusal, snapshot, updates

ANN, BOB = "ann@example.org", "bob@example.org"


# -- granting


def test_a_grant_gives_a_puid_and_again_the_same(world: World, app: App) -> None:
    ann = world.person(ANN)
    first = ann("POST", f"/grant/{app.id}")
    assert first.status_int == 200
    assert first.json == {"appid": app.id, "puid": first.json["puid"]}
    assert ann("POST", f"/grant/{app.id}", {}).json == first.json
    assert len(first.json["puid"]) >= 20 and "ann" not in first.json["puid"]


def test_puids_differ_between_applications_and_between_people(world: World, app: App) -> None:
    other = world.application(app.owner, name="Go")
    assert len({world.grant(ANN, app), world.grant(ANN, other), world.grant(BOB, app)}) == 3


def test_an_application_receives_granted_once_with_the_present_status(world: World, app: App) -> None:
    service = world.followed(app)
    world.device(ANN, "unavailable")
    puid = world.grant(ANN, app)
    assert world.grant(ANN, app) == puid
    world.settle()
    assert updates(service) == [(puid, "unavailable", "granted")]


@pytest.mark.parametrize("headers", [{}, {"Content_Type": "text/plain"}, {"Content_Type": "application/json"}])
def test_any_body_that_is_no_form_is_a_programs(world: World, app: App, headers: dict[str, str]) -> None:
    assert world.person(ANN)("POST", f"/grant/{app.id}", b"", **headers).status_int == 200
    assert refusal(world.person(ANN)("POST", f"/grant/{app.id}", b"x", **headers))[1]["errno"] == 106


def test_only_an_active_application_with_a_validated_domain_can_be_granted(world: World) -> None:
    dev, ann = world.person("dev@example.org"), world.person(ANN)
    made = world.registered(dev)
    assert refusal(ann("POST", "/grant/nothing")) == NOT_FOUND
    assert refusal(ann("POST", f"/grant/{made['appid']}")) == (403, ko(140, "the application's domain is not validated"))
    world.proof.answer = (200, made["domain_key"])
    dev("POST", f"/myapps/{made['appid']}/validate")
    assert refusal(ann("POST", f"/grant/{made['appid']}")) == (403, ko(142, "the application is not active"))
    assert ann("GET", "/grants").json == {"grants": []}


# -- the form


def test_allowing_goes_back_to_the_application_with_the_puid(world: World, app: App) -> None:
    answer = world.person(ANN).form(f"/grant/{app.id}", {"allow": "1", "redirect": f"http://{world.proof.domain}/back?a=1&a=%20"})
    assert answer.status_int == 303
    there = urlsplit(answer.headers["Location"])
    assert (there.scheme, there.netloc, there.path) == ("http", world.proof.domain, "/back")
    assert there.query.startswith("a=1&a=%20&")
    assert parse_qs(there.query)["Presence-UID"] == [snapshot(world, app)[0]["puid"]]


def test_denying_goes_back_with_denied_and_grants_nothing(world: World, app: App) -> None:
    answer = world.person(ANN).form(f"/grant/{app.id}", {"deny": "", "redirect": f"http://{world.proof.domain}/"})
    assert (answer.status_int, answer.headers["Location"]) == (303, f"http://{world.proof.domain}/?Presence-Error=denied")
    assert snapshot(world, app) == []


@pytest.mark.parametrize(
    "redirect",
    [
        "",
        "/back",
        "//DOMAIN/",
        "https://DOMAIN/",
        "http://DOMAIN.example.org/",
        "http://x@DOMAIN/",
        "http://DOMAIN:1/",
        "http://DOMAIN@example.org/",
        "http://DOMAIN\\@example.org/",
        "http://example.org/?DOMAIN",
        "http://DOMAIN/#there",
        "javascript:alert(1)",
        "http://DOMAIN/\r\nSet-Cookie: a=b",
        "http://localhost/",
    ],
)
@pytest.mark.parametrize("choice", ["allow", "deny"])
def test_a_redirect_that_leads_elsewhere_is_refused_and_grants_nothing(
    shared: World, shared_app: App, shared_ann: Browser, redirect: str, choice: str
) -> None:
    address = redirect.replace("DOMAIN", shared.proof.domain)
    answer = shared_ann.form(f"/grant/{shared_app.id}", {choice: "1", "redirect": address})
    status, body = refusal(answer)
    assert (status, body["errno"]) == (400, 107)
    assert body["error"].startswith("redirect: ") and "Location" not in answer.headers
    status, asked = refusal(shared_ann("GET", f"/grant/{shared_app.id}?{urlencode({'redirect': address})}"))
    assert (status, asked["error"]) == (400, body["error"]), "a program that tries the address gets the error that a person would see"
    assert shared_ann("GET", "/grants").json == {"grants": []}


def test_a_form_must_say_allow_or_deny(world: World, app: App) -> None:
    ann, back = world.person(ANN), {"redirect": f"http://{world.proof.domain}/"}
    refused = (400, ko(108, "allow: is missing; either allow or deny"))
    assert refusal(ann.form(f"/grant/{app.id}", back)) == refused
    assert refusal(ann.form(f"/grant/{app.id}", {**back, "allow": "1", "deny": "1"})) == refused
    assert snapshot(world, app) == []


def test_a_form_without_the_csrf_token_grants_nothing(world: World, app: App) -> None:
    ann = world.person(ANN)
    ann.csrf = None
    answer = ann.form(f"/grant/{app.id}", {"allow": "1", "redirect": f"http://{world.proof.domain}/"})
    assert refusal(answer) == (403, ko(121, "X-CSRF-Token: is missing or not that of this session"))
    assert snapshot(world, app) == []


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("application/x-www-form-urlencoded", b"allow=1&redirect=\xff"),
        ("application/x-www-form-urlencoded", b"allow=1&redirect=%ff"),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % number for number in range(101))),
        ("application/x-www-form-urlencoded; charset=nonsense", b"allow=\xff"),
    ],
)
def test_a_form_that_is_none_is_refused_in_words(shared_app: App, shared_ann: Browser, content_type: str, data: bytes) -> None:
    answer = shared_ann("POST", f"/grant/{shared_app.id}", data, Content_Type=content_type)
    assert refusal(answer) == (400, ko(107, "the body: a form of up to 100 fields, in UTF-8"))


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_a_form_in_parts_is_not_one_of_ours(shared_app: App, shared_ann: Browser, content_type: str) -> None:
    answer = shared_ann("POST", f"/grant/{shared_app.id}", b"--x\r\n\r\n", Content_Type=content_type)
    assert refusal(answer) == (400, ko(106, "not JSON: expected one JSON object"))


# -- listing


def test_the_list_shows_each_grant_with_its_application(world: World, app: App) -> None:
    puid, granted_at = world.grant(ANN, app), world.clock.now()
    world.grant(BOB, app)
    state = {
        "paused": False,
        "quiet": False,
        "shows": "status",
        "until": None,
        "hours": None,
        "push": False,
        "last_looked": None,
        "looks": [],
    }
    state |= {"sees": "offline", "why": [{"link": "devices", "status": "offline"}]}
    shown = {"appid": app.id, "puid": puid, "granted_at": granted_at, "name": "Chess", "domain": world.proof.domain, **state}
    assert world.person(ANN)("GET", "/grants").json == {"grants": [shown]}


def test_the_list_says_on_which_day_an_application_last_looked(world: World, app: App) -> None:
    world.grant(ANN, app)
    ann, day = world.person(ANN), lambda: world.person(ANN)("GET", "/grants").json["grants"][0]["last_looked"]
    service = world.followed(app)
    first = day()
    assert ann("GET", "/account").json["grants"][0]["last_looked"] == first == _day(world)
    world.advance(86_400)
    assert day() == _day(world) > first, "it is still connected"
    service.close(1000), world.advance(86_400)
    assert day() < _day(world)


def _day(world: World) -> str:
    return datetime.fromtimestamp(world.clock.now() / 1000, UTC).date().isoformat()


def test_the_list_comes_in_pages(world: World, app: App) -> None:
    appids = {app.id, *(world.application(app.owner, name=f"A{number}").id for number in range(4))}
    for appid in appids:
        world.grant(ANN, App(appid, "", app.owner))
    ann, found, path = world.person(ANN), [], "/grants?limit=2"
    for size in (2, 2, 1):
        page = ann("GET", path).json
        assert len(page["grants"]) == size
        found += [item["appid"] for item in page["grants"]]
        path = f"/grants?limit=2&after={page.get('next')}"
    assert "next" not in page and set(found) == appids and len(found) == 5


# -- revoking


def test_revoking_says_offline_once_more_and_the_puid_is_dead(world: World, app: App) -> None:
    ann, service = world.person(ANN), world.followed(app)
    puid = world.grant(ANN, app)
    world.settle(), service.take()
    answer = ann("DELETE", f"/grant/{app.id}")
    assert (answer.status_int, answer.body) == (204, b"")
    world.device(ANN)
    world.settle()
    assert updates(service) == [(puid, "offline", "revoked")]
    assert world.grant(ANN, app) != puid


@pytest.mark.parametrize(("method", "body"), [("DELETE", None), ("PATCH", {"paused": True})])
def test_a_grant_that_never_existed_or_is_revoked_cannot_be_changed(world: World, app: App, method: str, body: object) -> None:
    ann, bob = world.person(ANN), world.person(BOB)
    ann("POST", f"/grant/{app.id}")
    ann("DELETE", f"/grant/{app.id}")
    bob("POST", f"/grant/{app.id}")
    revoked, unknown = ann(method, f"/grant/{app.id}", body), ann(method, "/grant/nothing", body)
    assert refusal(revoked) == NOT_FOUND
    assert (revoked.body, revoked.headers) == (unknown.body, unknown.headers)
    assert len(bob("GET", "/grants").json["grants"]) == 1


@pytest.mark.parametrize("method", ["DELETE", "PATCH"])
def test_whether_a_grant_exists_is_looked_at_before_the_body(world: World, app: App, method: str) -> None:
    ann = world.person(ANN)
    assert refusal(ann(method, f"/grant/{app.id}", b"rubbish")) == NOT_FOUND
    ann("POST", f"/grant/{app.id}")
    assert refusal(ann(method, f"/grant/{app.id}", b"rubbish")) == (400, ko(106, "not JSON: expected one JSON object"))


def test_no_time_lies_before_the_grant_and_all_are_whole_seconds(world: World, app: App) -> None:
    world.device(ANN)
    world.clock.advance(100.9)
    granted = world.clock.now() // 1000 * 1000
    world.grant(ANN, app)
    world.grant(BOB, app)
    assert [entry["at"] for entry in snapshot(world, app)] == [granted, granted]


def test_no_time_shows_what_happened_during_a_pause(world: World, app: App) -> None:
    ann = world.person(ANN)
    world.grant(ANN, app)
    ann("PATCH", f"/grant/{app.id}", {"paused": True})
    world.clock.advance(50)
    world.device(ANN)
    world.clock.advance(50)
    ann("PATCH", f"/grant/{app.id}", {"paused": False})
    assert snapshot(world, app)[0]["at"] == world.clock.now() // 1000 * 1000
