"""The operator's page ``/admin``: for the e-mails of ``admin.emails`` only, logged, and without the status of any user."""

from __future__ import annotations

import json
import logging

import pytest

from dpresence.backends.tracker import PublishedCounts
from dpresence.errors import BackendUnavailable, SettingError
from dpresence.ini import load
from dpresence.tests.web.support import Browser, World, ko, refusal

ADMIN, ANN = "admin@example.org", "ann@example.org"
HTML = {"Accept": "text/html"}
PATHS = ("/admin", "/admin/figures")


@pytest.fixture
def world(make_world) -> World:
    return make_world(admin__emails="admin@EXAMPLE.org boss@example.net")


@pytest.fixture
def admin(world) -> Browser:
    return world.person(ADMIN)


def figures(world: World, admin: Browser):
    """Return the figures right after a sample."""
    world.services.operator_metrics.ping_backends()
    world.services.operator_metrics.sample()
    answer = admin("GET", "/admin/figures")
    assert answer.status_int == 200, answer.json
    return answer.json


def counts(items, key):
    return {item[key]: item["count"] for item in items}


# -- who may look


@pytest.mark.parametrize("path", PATHS)
def test_without_a_session_a_program_is_refused_and_a_browser_is_sent_to_sign_in_and_back(world, path):
    assert refusal(world.browser()("GET", path)) == (401, ko(104, "Cookie: dpresence, which a sign-in sets"))
    answer = world.browser()("GET", path, **HTML)
    assert (answer.status_int, answer.location) == (303, f"http://127.0.0.1:8282/login?next={path.replace('/', '%2F')}")


@pytest.mark.parametrize("path", PATHS)
def test_an_assertion_is_no_session(world, path):
    assert refusal(world.browser()("GET", path, **world.authorization(ADMIN))) == (401, ko(104, "Cookie: dpresence, which a sign-in sets"))


@pytest.mark.parametrize("value", ["admin", "admin@", "@example.org", "admin@example.org,boss@example.org"])
def test_an_invalid_email_stops_the_start(value):
    with pytest.raises(SettingError, match=r"^admin\.emails: must be e-mails with spaces between them$"):
        load({"admin.emails": value}, "/")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("email", [ANN, "ADMIN@example.org", "admin@example.org.evil.example", "boss@example.org"])
def test_a_person_who_is_not_named_is_refused(world, path, email):
    person = world.person(email)
    assert refusal(person("GET", path)) == (403, ko(121, "admin.emails: does not name you"))
    page = person("GET", path, **HTML)
    assert page.status_int == 403
    assert "admin.js" not in page.text


def test_nobody_is_named_unless_the_ini_does(make_world):
    assert refusal(make_world().person(ADMIN)("GET", "/admin"))[0] == 403


def test_the_domain_of_a_named_email_may_be_written_in_any_case(world, admin):
    assert world.registry.settings.admin.emails == (ADMIN, "boss@example.net")
    assert admin("GET", "/admin", **HTML).status_int == 200


def test_the_page_is_in_the_menu_of_those_who_may_open_it(world, admin):
    assert 'href="/admin"' in admin("GET", "/admin", **HTML).text
    assert 'href="/admin"' not in world.person(ANN)("GET", "/admin", **HTML).text


def test_a_program_gets_the_figures_at_both_paths(world, admin):
    world.services.operator_metrics.sample()
    assert admin("GET", "/admin").json.keys() == admin("GET", "/admin/figures").json.keys()


# -- what is logged


def test_looking_is_logged_for_each_page_and_not_for_each_reading(world, admin, caplog):
    caplog.set_level(logging.INFO, "dpresence.admin")

    def logged():
        lines = [record.getMessage() for record in caplog.records if record.name == "dpresence.admin"]
        caplog.clear()
        return lines

    admin("GET", "/admin", **HTML)
    assert logged() == ["admin@example.org opened /admin"]
    for _ in range(3):
        admin("GET", "/admin/figures")
    assert logged() == []
    admin("GET", "/admin", **HTML)
    assert logged() == ["admin@example.org opened /admin"]
    world.clock.advance(601)
    admin("GET", "/admin/figures")
    admin("GET", "/admin/figures")
    assert logged() == ["admin@example.org reads the figures of /admin"]
    world.person(ANN)("GET", "/admin", **HTML)
    assert logged() == []


def test_reading_without_the_page_is_logged_too(world, admin, caplog):
    caplog.set_level(logging.INFO, "dpresence.admin")
    admin("GET", "/admin/figures")
    assert [record.getMessage() for record in caplog.records if record.name == "dpresence.admin"] == [
        "admin@example.org reads the figures of /admin"
    ]


# -- what it says


def test_devices_users_and_app_services_are_counted_while_they_are_there(world, admin):
    app = world.application()
    phone, laptop = world.device(ANN, device="phone"), world.device(ANN, device="laptop")
    service = world.service(app)
    shown = figures(world, admin)
    assert [shown[name] for name in ("devices", "users", "applications")] == [2, 1, 1]
    for channel in (phone, laptop, service):
        channel.leave()
    shown = figures(world, admin)
    assert [shown[name] for name in ("devices", "users", "applications")] == [0, 0, 0]


def test_a_change_of_status_is_an_update_and_its_repetition_is_none(world, admin):
    phone = world.device(ANN)
    for status in ("unavailable", "unavailable", "online"):
        phone.receive({"email": ANN, "status": status})
    shown = figures(world, admin)
    assert (shown["updates"], shown["minutes"][-1]["updates"]) == (2, 2)


def test_refusals_by_http_and_on_channels_are_counted_and_a_browser_that_is_sent_to_sign_in_is_not(world, admin):
    world.browser()("GET", "/devices")
    world.browser()("GET", "/admin", **HTML)
    world.channel().receive("nonsense")
    world.service_channel(world.application()).receive({"action": "notify", "notifications": [{"puid": "x"}]})
    assert counts(figures(world, admin)["errors"], "errno") == {104: 2, 106: 1}


def test_the_health_of_each_backend_is_that_of_the_last_time_it_was_asked(world, admin, monkeypatch):
    assert admin("GET", "/admin/figures").json["health"] == []
    well = {"reached": 1, "asked": 1}
    assert figures(world, admin)["health"] == [{"backend": role, **well} for role in ("directory", "tracker", "mailbox")]

    def away():
        raise BackendUnavailable

    monkeypatch.setattr(world.registry.backends.mailbox, "ping", away)
    shown = figures(world, admin)
    assert shown["health"][2] == {"backend": "mailbox", "reached": 0, "asked": 1}
    assert shown["events"][-1]["what"] == "mailbox unavailable"


def test_while_the_tracker_is_away_a_process_shows_its_own(world, admin, monkeypatch):
    def away(*_):
        raise BackendUnavailable

    monkeypatch.setattr(world.registry.backends.tracker, "publish", away)
    monkeypatch.setattr(world.registry.backends.tracker, "published", away)
    assert len(figures(world, admin)["processes"]) == 1


def test_values_published_by_another_version_are_left_out(world, admin, monkeypatch):
    world.services.operator_metrics.sample()
    own = world.registry.backends.tracker.published()
    others = PublishedCounts(["{}", "nonsense", *own.reports], own.counts)
    monkeypatch.setattr(world.registry.backends.tracker, "published", lambda: others)
    assert len(admin("GET", "/admin/figures").json["processes"]) == 1


def test_each_process_shows_what_all_of_them_count(make_world, tmp_path, redis_server):
    shared = {"directory__url": f"sqlite:///{tmp_path}/shared.db", "tracker": "redis", "redis__url": redis_server.url}
    one, two = (make_world(admin__emails=ADMIN, **shared) for _ in range(2))
    for world, email in ((one, ANN), (two, "bob@example.org")):
        world.device(email).receive({"email": email, "status": "unavailable"})
        world.services.operator_metrics.sample()
    for world in (one, two):
        shown = figures(world, world.person(ADMIN))
        assert [shown[name] for name in ("devices", "users", "updates")] == [2, 2, 2]
        assert len(shown["processes"]) == 2
    two.close()
    shown = figures(one, one.person(ADMIN))
    assert (shown["devices"], len(shown["processes"])) == (1, 1)


# -- what it must not say


def test_the_figures_say_nothing_of_who_is_online(world, admin):
    app = world.application()
    puid = world.grant(ANN, app)
    phone = world.device(ANN, device="ann-phone")
    world.service(app)
    world.notify(app, {"puid": puid, "message": "Your move"})
    phone.receive({"email": ANN, "status": "unavailable"})
    phone.receive({"email": "bob@example.org", "status": "online"})
    phone.lose()
    world.advance(20)
    shown = figures(world, admin)
    text = json.dumps(shown)
    for secret in (ANN, "ann", puid, app.key, "online", "unavailable", "Your move"):
        assert secret not in text.replace("the service is unavailable for a moment", ""), secret
    assert not [event for event in shown["events"] if event["who"] == "a…@example.org" and event["what"] != "browser sign-in"]


def test_events_name_people_by_masked_emails_and_applications_by_their_domain(world, admin):
    app = world.application()
    app.owner("POST", f"/myapps/{app.id}/deactivate")
    app.owner("DELETE", f"/myapps/{app.id}")
    app.owner("DELETE", "/account")
    assert [(event["what"], event["who"]) for event in figures(world, admin)["events"]] == [
        ("process started", ""),
        ("browser sign-in", "a…@example.org"),
        ("browser sign-in", "d…@example.org"),
        ("application registered", world.proof.domain),
        ("application activated", world.proof.domain),
        ("application deactivated", world.proof.domain),
        ("application deleted", world.proof.domain),
        ("account erased", ""),
    ]


def test_a_sign_in_of_somebody_who_is_blocked_is_an_event(world, admin):
    world.person(ANN)
    world.registry.backends.directory.block(ANN, True)
    world.browser()("POST", "/login", {"assertion": world.assertion(ANN)})
    event = figures(world, admin)["events"][-1]
    assert (event["what"], event["who"]) == ("sign-in refused: blocked", "a…@example.org")
