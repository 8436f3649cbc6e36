"""A developer's applications: registered, proven, activated, changed and deleted (section 6)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dpresence.tests.web.support import NOT_FOUND, App, Browser, World, ko, refusal, updates

DEV, ANN = "dev@example.org", "ann@example.org"
APPLICATION = {"name": "Chess", "domain": "chess.example.org", "description": "Play <b>chess</b>"}


def test_a_new_application_is_neither_validated_nor_active(world: World) -> None:
    answer = world.person(DEV)("POST", "/myapps", APPLICATION)
    made = answer.json
    assert answer.status_int == 201
    assert made == {
        **APPLICATION,
        "appid": made["appid"],
        "domain_key": made["domain_key"],
        "valid_domain": False,
        "proof": None,
        "active": False,
        "created_at": world.clock.now(),
    }
    assert len(made["domain_key"]) >= 32


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("name", "", "name: 1 to 64 printable characters"),
        ("name", "x" * 65, "name: 1 to 64 printable characters"),
        ("name", "  ", "name: 1 to 64 printable characters, one of them visible"),
        ("name", "a\u202eb", "name: 1 to 64 printable characters, without U+202E, which cannot be seen or is not text"),
        ("name", "a\nb", "name: 1 to 64 printable characters, without U+000A, which cannot be seen or is not text"),
        ("name", 5, "name: 1 to 64 printable characters"),
        ("description", "x" * 501, "description: up to 500 printable characters"),
        ("description", "a\u2066b", "description: up to 500 printable characters, with each change of direction ended in the same line"),
        ("description", "a\x00", "description: up to 500 printable characters, without U+0000, which cannot be seen or is not text"),
        ("domain", "xn--a.example.org", "domain: each label that begins with xn-- must be valid by IDNA 2008"),
        ("domain", "x" * 254, "domain: a host name of up to 253 characters"),
        ("domain", "https://chess.example.org/game", "domain: a host name such as app.example.org, without scheme, port or path"),
        ("domain", "", "domain: a host name such as app.example.org, without scheme, port or path"),
        ("domain", "sch\u00f6n.example.org", "domain: give an internationalised name in its ASCII form (xn--..)"),
    ],
)
def test_a_wrong_field_is_named_at_registration_and_at_a_change(shared_app: App, field: str, value: object, error: str) -> None:
    app = shared_app
    refused = (400, ko(107, error))
    assert refusal(app.owner("POST", "/myapps", {**APPLICATION, field: value})) == refused
    assert refusal(app.owner("PATCH", f"/myapps/{app.id}", {field: value})) == refused


def test_letters_of_any_script_and_markup_are_text(world: World) -> None:
    name = "<i>Sch\u00f6n \u5c07\u68cb \u0634\u0637\u0631\u0646\u062c</i>"
    assert world.person(DEV)("POST", "/myapps", {**APPLICATION, "name": name}).json["name"] == name


def test_the_list_shows_only_ones_own_and_comes_in_pages(world: World) -> None:
    dev, other = world.person(DEV), world.person("other@example.org")
    mine = sorted(world.registered(dev, f"a{number}.example.org")["appid"] for number in range(5))
    world.registered(other)
    first = dev("GET", "/myapps?limit=2").json
    second = dev("GET", f"/myapps?limit=2&after={first['next']}").json
    third = dev("GET", f"/myapps?limit=2&after={second['next']}").json
    assert [item["appid"] for page in (first, second, third) for item in page["applications"]] == mine
    assert "next" not in third
    assert [item["appid"] for item in dev("GET", "/myapps").json["applications"]] == mine


@pytest.mark.parametrize("limit", ["0", "501", "x", "-1", "1.5", "%D9%A1", ""])
def test_a_limit_is_a_number_from_1_to_500(shared_ann: Browser, limit: str) -> None:
    assert refusal(shared_ann("GET", f"/myapps?limit={limit}")) == (400, ko(107, "limit: a number from 1 to 500"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/now"),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/validate"),
        ("POST", "/activate"),
        ("POST", "/deactivate"),
        ("POST", "/key"),
    ],
)
def test_an_application_of_another_looks_exactly_like_one_that_is_not_there(
    shared_app: App, shared_ann: Browser, method: str, path: str
) -> None:
    app, other = shared_app, shared_ann
    theirs, nobodys = other(method, f"/myapps/{app.id}{path}"), other(method, f"/myapps/AAAAAAAAAAAAAAAA{path}")
    assert refusal(theirs) == NOT_FOUND
    assert (theirs.body, theirs.headers) == (nobodys.body, nobodys.headers)
    assert refusal(other(method, f"/myapps/{app.id}{path}", b"rubbish")) == NOT_FOUND


# -- the proof


@pytest.mark.parametrize("given", ["https://chess.example.org", "http://Chess.example.org/", "HTTPS://chess.example.org"])
def test_a_domain_may_be_given_with_its_scheme(world: World, given: str) -> None:
    dev = world.person(DEV)
    made = dev("POST", "/myapps", {"name": "Chess", "domain": given})
    assert made.json["domain"] == "chess.example.org"
    assert dev("PATCH", f"/myapps/{made.json['appid']}", {"domain": given.replace("hess", "at")}).json["domain"] == "cat.example.org"


def test_the_proof_is_fetched_from_the_domain(world: World) -> None:
    dev = world.person(DEV)
    made = world.registered(dev)
    world.proof.answer = (200, f"{made['domain_key']}\n")
    world.proof.paths.clear()
    answer = dev("POST", f"/myapps/{made['appid']}/validate").json
    assert answer == {**made, "valid_domain": True, "proof": "http"}
    assert world.proof.paths == ["/__presence"]
    assert dev("GET", f"/myapps/{made['appid']}").json == {**answer, "keys": []}


@pytest.mark.parametrize(
    ("answer", "error", "details"),
    [
        ((200, "another key"), "domain: the response is not the domain key", "mismatch"),
        ((200, ""), "domain: the response is not the domain key", "mismatch"),
        ((200, "\u00e9"), "domain: the response is not the domain key", "mismatch"),
        ((200, "x" * 2000), "the domain could not be validated: size", "size"),
        ((404, "nothing"), "the domain could not be validated: status", "status"),
        ((302, "elsewhere"), "the domain could not be validated: status", "status"),
    ],
)
def test_a_failed_proof_says_how_it_failed(world: World, answer: tuple[int, str], error: str, details: str) -> None:
    dev = world.person(DEV)
    appid = world.registered(dev)["appid"]
    world.proof.answer = answer
    assert refusal(dev("POST", f"/myapps/{appid}/validate")) == (400, ko(141, error, details=details))
    assert not dev("GET", f"/myapps/{appid}").json["valid_domain"]


# -- active


def test_activating_gives_a_key_that_is_shown_once(world: World) -> None:
    dev = world.person(DEV)
    appid = world.validated(dev)
    answer = dev("POST", f"/myapps/{appid}/activate").json
    assert answer["active"] and answer["api_key"].startswith("dpk_")
    shown = dev("GET", f"/myapps/{appid}")
    assert shown.json["active"] and answer["api_key"] not in shown.text and "api_key" not in shown.json
    assert refusal(dev("POST", f"/myapps/{appid}/activate")) == (409, ko(122, "the application is active already"))


def test_only_a_validated_application_can_be_activated(world: World) -> None:
    dev = world.person(DEV)
    appid = world.registered(dev)["appid"]
    assert refusal(dev("POST", f"/myapps/{appid}/activate")) == (403, ko(140, "the application's domain is not validated"))


def test_deactivating_closes_the_sockets_and_shuts_the_doors(world: World, app: App) -> None:
    service = world.followed(app)
    answer = app.owner("POST", f"/myapps/{app.id}/deactivate")
    assert answer.json["active"] is False
    assert (service.code, service.reason) == (4003, "the application is not active")
    not_active = (403, ko(142, "the application is not active"))
    assert refusal(world.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {app.key}")) == not_active
    assert refusal(world.browser()("POST", f"/grant/{app.id}", **world.authorization(ANN))) == not_active
    assert refusal(app.owner("POST", f"/myapps/{app.id}/key")) == not_active


def test_a_deactivated_application_keeps_its_grants_and_gets_a_new_key(world: World, app: App) -> None:
    puid = world.grant(ANN, app)
    app.owner("POST", f"/myapps/{app.id}/deactivate")
    again = App(app.id, app.owner("POST", f"/myapps/{app.id}/activate").json["api_key"], app.owner)
    assert world.service(again).sent[1]["snapshot"][0]["puid"] == puid
    invalid = (401, ko(105, "the API key is not valid"))
    assert refusal(world.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {app.key}")) == invalid


def test_an_old_key_works_on_for_the_overlap_and_no_longer(world: World, app: App) -> None:
    new = app.owner("POST", f"/myapps/{app.id}/key").json
    assert new == {"appid": app.id, "api_key": new["api_key"]} and new["api_key"] != app.key

    def works(key: str) -> bool:
        return world.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {key}").status_int == 200

    assert works(app.key) and works(new["api_key"])
    world.clock.advance(86399)
    assert works(app.key) and works(new["api_key"])
    world.clock.advance(1)
    assert not works(app.key) and works(new["api_key"])


def test_rotating_again_does_not_lengthen_the_life_of_an_older_key(world: World, app: App) -> None:
    app.owner("POST", f"/myapps/{app.id}/key")
    owner, assertion_free = app.owner, world.browser()
    world.clock.advance(40000)
    owner("POST", f"/myapps/{app.id}/key")
    world.clock.advance(46400)
    refused = refusal(assertion_free("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {app.key}"))
    assert refused == (401, ko(105, "the API key is not valid"))


# -- changes


def test_name_and_description_can_be_changed_without_consequence(world: World, app: App) -> None:
    service = world.followed(app)
    before = app.owner("GET", f"/myapps/{app.id}").json
    keys = before.pop("keys")
    answer = app.owner("PATCH", f"/myapps/{app.id}", {"name": "Go", "description": ""}).json
    assert answer == {**before, "name": "Go", "description": ""}
    assert app.owner("PATCH", f"/myapps/{app.id}", {"domain": before["domain"].upper()}).json == answer
    assert app.owner("GET", f"/myapps/{app.id}").json == {**answer, "keys": keys}
    assert service.code is None


def test_a_new_domain_starts_anew_and_revokes_every_grant(world: World, app: App) -> None:
    puids = {world.grant(ANN, app), world.grant("bob@example.org", app)}
    service = world.followed(app)
    before = app.owner("GET", f"/myapps/{app.id}").json
    after = app.owner("PATCH", f"/myapps/{app.id}", {"domain": world.proof.other_domain}).json
    assert (after["domain"], after["valid_domain"], after["active"]) == (world.proof.other_domain, False, False)
    assert after["domain_key"] != before["domain_key"]
    assert service.code == 4003
    assert world.person(ANN)("GET", "/grants").json == {"grants": []}
    world.proof.answer = (200, after["domain_key"])
    assert app.owner("POST", f"/myapps/{app.id}/validate").status_int == 200
    again = App(app.id, app.owner("POST", f"/myapps/{app.id}/activate").json["api_key"], app.owner)
    assert world.service(again).sent[1]["snapshot"] == []
    assert world.grant(ANN, again) not in puids


def test_deleting_closes_the_sockets_and_leaves_nothing(world: World, app: App) -> None:
    world.grant(ANN, app)
    service = world.followed(app)
    answer = app.owner("DELETE", f"/myapps/{app.id}")
    assert (answer.status_int, answer.body) == (204, b"")
    assert (service.code, service.reason) == (4001, "the application was deleted")
    assert refusal(app.owner("GET", f"/myapps/{app.id}")) == NOT_FOUND
    assert world.person(ANN)("GET", "/grants").json == {"grants": []}
    assert refusal(world.browser()("POST", f"/grant/{app.id}", **world.authorization(ANN))) == NOT_FOUND


def test_a_developer_has_a_bounded_number_of_applications(make_world: Callable[..., World]) -> None:
    world = make_world(presence__applications_per_developer="2")
    dev = world.person(DEV)
    world.registered(dev), world.registered(dev)
    status, body = refusal(dev("POST", "/myapps", APPLICATION))
    assert (status, body["errno"]) == (409, 114)
    assert world.person("other@example.org")("POST", "/myapps", APPLICATION).status_int == 201


def test_an_address_registers_a_bounded_number_of_applications(make_world: Callable[..., World]) -> None:
    world = make_world(channels__registrations_per_hour="2")
    dev = world.person(DEV)
    world.registered(dev), world.registered(dev)
    refused = (429, ko(117, "too many registrations from this address", retry_after=1800))
    assert refusal(dev("POST", "/myapps", APPLICATION)) == refused
    assert refusal(dev("POST", "/myapps", {**APPLICATION, "domain": "x"}))[1]["errno"] == 107
    world.clock.advance(1800)
    assert dev("POST", "/myapps", APPLICATION).status_int == 201


def test_a_call_without_a_documented_body_accepts_none_or_an_empty_object(world: World, app: App) -> None:
    assert app.owner("POST", f"/myapps/{app.id}/key", {}).status_int == 200
    assert refusal(app.owner("POST", f"/myapps/{app.id}/key", {"x": 1})) == (400, ko(108, "x: is not known here"))
    assert refusal(app.owner("POST", f"/myapps/{app.id}/key", b"[]")) == (400, ko(106, "expected one JSON object"))


def test_no_application_learns_of_another(world: World, app: App) -> None:
    other = world.application(world.person("other@example.org"))
    service = world.followed(other)
    world.grant(ANN, app)
    world.device(ANN)
    world.settle()
    assert updates(service) == []
