"""The developer's pages; programs get JSON (section 6)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from dpresence import views
from dpresence.outbound import Failure
from dpresence.tests.web.html_pages import HTML, html
from dpresence.tests.web.support import NOT_FOUND, App, Browser, World, ko, refusal

ANN, BOB, DEV = "ann@example.org", "bob@example.org", "dev@example.org"


# -- the keys and the counts an owner sees


def test_an_owner_sees_what_keys_work_and_when_they_were_used(world: World, app: App) -> None:
    made = world.clock.now()
    (first,) = app.owner("GET", f"/myapps/{app.id}").json["keys"]
    assert first == {"id": app.key[4:16], "created_at": made, "last_used": None, "expires_at": None}
    world.service(app)
    assert app.owner("GET", f"/myapps/{app.id}").json["keys"] == [{**first, "last_used": "2026-11-22"}]
    world.clock.advance(10)
    new = app.owner("POST", f"/myapps/{app.id}/key").json["api_key"]
    newest, before = app.owner("GET", f"/myapps/{app.id}").json["keys"]
    assert newest == {"id": new[4:16], "created_at": made + 10_000, "last_used": None, "expires_at": None}
    assert before == {**first, "last_used": "2026-11-22", "expires_at": world.clock.now() + 86_400_000}
    assert app.key not in app.owner("GET", f"/myapps/{app.id}").text and new not in app.owner("GET", f"/myapps/{app.id}").text
    world.clock.advance(86_400)
    assert [key["id"] for key in world.person(DEV)("GET", f"/myapps/{app.id}").json["keys"]] == [new[4:16]]


def test_the_counts_are_those_that_the_service_would_receive(world: World, app: App) -> None:
    def now() -> Any:
        return app.owner("GET", f"/myapps/{app.id}/now").json

    assert now() == {"online": 0, "unavailable": 0, "offline": 0, "sockets": 0, "updates": 0}
    for email in (ANN, BOB, "cyd@example.org"):
        world.grant(email, app)
    world.device(ANN), world.device(BOB, "unavailable")
    world.followed(app)
    assert now() == {"online": 1, "unavailable": 1, "offline": 1, "sockets": 1, "updates": 5}
    world.person(ANN)("PATCH", f"/grant/{app.id}", {"paused": True})
    assert now() == {"online": 0, "unavailable": 1, "offline": 2, "sockets": 1, "updates": 6}
    world.person(BOB)("DELETE", f"/grant/{app.id}")
    assert now() == {"online": 0, "unavailable": 0, "offline": 2, "sockets": 1, "updates": 7}


def test_grants_the_tracker_has_forgotten_are_counted_as_offline(make_world: Callable[..., World], tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/again.db"
    world = make_world(directory__url=url)
    app = world.application()
    world.grant(ANN, app)
    world.close()
    world.clock.advance(1)
    again = make_world(world.clock, directory__url=url)
    owner = again.person(DEV)
    again.clock.advance(1)
    held = refusal(owner("GET", f"/myapps/{app.id}/now"))
    assert held == (503, ko(201, "devices are reconnecting after a restart", retry_after=14))
    again.clock.advance(14)
    assert owner("GET", f"/myapps/{app.id}/now").json["offline"] == 1


def test_the_counts_are_the_owners_of_an_active_application_and_not_for_ever(world: World, app: App) -> None:
    path = f"/myapps/{app.id}/now"
    assert refusal(world.person(ANN)("GET", path)) == NOT_FOUND
    assert refusal(world.browser()("GET", path)) == (401, ko(104, "Authorization: BrowserID or Bearer, and an assertion"))
    for _ in range(120):
        assert app.owner("GET", path).status_int == 200
    assert refusal(app.owner("GET", path)) == (429, ko(117, "too many requests about this application", retry_after=1))
    app.owner("POST", f"/myapps/{app.id}/deactivate")
    assert refusal(app.owner("GET", path)) == (403, ko(142, "the application is not active"))


# -- /myapps


def test_the_list_is_a_page_to_a_browser_and_json_to_a_program(world: World) -> None:
    dev = world.person(DEV)
    assert "You have no applications yet." in html(dev, "/myapps")
    active = world.application(dev, name="b active")
    world.validated(dev, world.proof.other_domain, name="C proven")
    world.registered(dev, "chess.example.org", name="A new")
    shown = html(dev, "/myapps")
    places = [shown.index(f">{words}<") for words in ("A new", "Domain not proven", "b active", "Active", "C proven", "Not active")]
    assert places == sorted(places), "by name, each with its state"
    assert f'href="/myapps/{active.id}"' in shown and "chess.example.org" in shown
    assert len(dev("GET", "/myapps").json["applications"]) == 3
    assert len(world.browser()("GET", "/myapps", **world.authorization(DEV), **HTML).json["applications"]) == 3, (
        "nobody could act on a page"
    )


def test_the_list_is_paged(world: World) -> None:
    dev = world.person(DEV)
    for number in range(3):
        world.registered(dev, f"a{number}.example.org", name=f"A{number}")
    following = dev("GET", "/myapps?limit=2").json["next"]
    first = html(dev, "/myapps?limit=2")
    assert f'href="/myapps?limit=2&after={following}"' in first and "First page" not in first
    second = html(dev, f"/myapps?limit=2&after={following}")
    assert 'href="/myapps?limit=2"' in second and "Next page" not in second
    assert sum(f">A{number}<" in first for number in range(3)) == 2
    assert sum(f">A{number}<" in second for number in range(3)) == 1


@pytest.mark.parametrize("path", ["/myapps", "/myapps/x"])
def test_a_page_without_a_session_leads_to_the_sign_in_and_back(world: World, path: str) -> None:
    answer = world.browser()("GET", path, **HTML)
    assert (answer.status_int, answer.headers["Location"]) == (303, f"http://127.0.0.1:8282/login?next={path.replace('/', '%2F')}")


def test_a_domain_that_fails_its_checks_is_marked(world: World) -> None:
    app = world.application()
    world.proof.answer = (404, "")
    world.clock.advance(7 * 86_400)
    world.services.domain_checks.check_due()
    dev = world.person(DEV)
    assert "Domain check fails" in html(dev, "/myapps")
    assert "(1 of 3 times)" in html(dev, f"/myapps/{app.id}")


# -- /myapps/<appid>


def test_the_page_of_an_application_has_its_state_its_file_and_what_connects(world: World) -> None:
    dev = world.person(DEV)
    made = world.registered(dev, "chess.example.org")
    shown = html(dev, f"/myapps/{made['appid']}")
    assert 'data-state="registered"' in shown and made["domain_key"] in shown
    assert "https://chess.example.org/__presence" in shown and "<noscript>" in shown
    assert f"ws://127.0.0.1:8282/myapps/{made['appid']}" in shown
    proven = world.validated(dev)
    assert 'data-state="validated"' in html(dev, f"/myapps/{proven}")
    assert f"http://{world.proof.domain}/__presence" in html(dev, f"/myapps/{proven}")
    assert '<span data-field="proof">http</span>' in html(dev, f"/myapps/{proven}")
    dev("POST", f"/myapps/{proven}/activate")
    shown = html(dev, f"/myapps/{proven}")
    assert 'data-state="active"' in shown and "dpk_" not in shown


def test_the_page_is_the_same_for_what_is_not_there_and_what_is_somebody_elses(shared_app: App, shared_ann: Browser) -> None:
    theirs = shared_ann("GET", f"/myapps/{shared_app.id}", **HTML)
    nobodys = shared_ann("GET", "/myapps/AAAAAAAAAAAAAAAA", **HTML)
    assert (theirs.status_int, theirs.content_type) == (404, "text/html")
    assert (theirs.body, theirs.headers) == (nobodys.body, nobodys.headers)
    assert shared_app.id not in theirs.text and "Not found" in theirs.text


def test_the_page_has_words_for_every_way_a_proof_can_fail() -> None:
    script = (Path(views.__file__).parents[1] / "static" / "application.js").read_text(encoding="utf-8")
    reasons = re.search(r"const REASONS = {(.*?)};", script, re.DOTALL)
    assert reasons and set(re.findall(r'^  "?([a-z ]+)"?: _\("', reasons[1], re.MULTILINE)) == {*get_args(Failure), "mismatch"}


def test_markup_of_a_developer_is_escaped(world: World) -> None:
    dev = world.person(DEV)
    text = "<script>a</script>\"'&{{1234*4321}}"
    made = dev("POST", "/myapps", {"name": text, "domain": "chess.example.org", "description": text}).json
    for path in ("/myapps", f"/myapps/{made['appid']}"):
        shown = dev("GET", path, **HTML).text
        assert "<script>a" not in shown and "&lt;script&gt;a" in shown and "5332114" not in shown
