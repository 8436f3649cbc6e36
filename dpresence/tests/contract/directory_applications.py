"""Contract of the directory: applications and their keys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.errors import NotFound, TooMany
from dpresence.model import ApiKey
from dpresence.model.webhooks import Webhook

from .directory_values import APPLICATION, END, KEY, LATER, NOW, application, at_once, grant, person


class ApplicationContract:
    @pytest.fixture
    def jane(self, backend):
        return person(backend)

    @pytest.fixture
    def app(self, backend, jane):
        return application(backend, jane)

    def test_an_application_is_kept_as_it_is(self, backend, app):
        assert backend.application("app-1") == app
        assert backend.application("app-2") is None

    def test_an_icon_is_stored_replaced_and_removed(self, backend, app):
        first = backend.set_icon("app-1", b"first")
        assert backend.application("app-1") == first and backend.icon("app-1", first.icon) == b"first"
        second = backend.set_icon("app-1", b"second")
        assert (backend.icon("app-1", first.icon), backend.icon("app-1", second.icon)) == (None, b"second")
        assert backend.icon("app-2", second.icon) is None
        assert backend.set_icon("app-1", None) == app
        assert (backend.icon("app-1", second.icon), backend.icon("app-1", "None")) == (None, None)
        assert backend.set_icon("app-9", b"first") is None

    def test_an_icon_ends_with_its_application_and_stays_with_another_domain(self, backend, app):
        version = backend.set_icon("app-1", b"icon").icon
        moved, _ = backend.move_application("app-1", {"domain": "go.example.org"})
        assert moved.icon == version and backend.icon("app-1", version) == b"icon"
        backend.delete_application("app-1")
        assert backend.icon("app-1", version) is None

    def test_a_developer_has_a_limit_of_applications(self, backend, jane, app):
        backend.add_application(replace(app, id="app-2"), 2)
        with pytest.raises(TooMany):
            backend.add_application(replace(app, id="app-3"), 2)
        assert backend.application("app-3") is None
        backend.add_application(replace(app, id="app-3", owner=person(backend, "joe").id), 2)

    def test_the_limit_holds_for_registrations_at_once(self, backend, jane):
        made = [replace(APPLICATION, id=f"app-{n}", owner=jane.id) for n in range(10)]
        outcomes = at_once(*[lambda one=one: backend.add_application(one, 4) for one in made])
        assert [type(outcome) for outcome in outcomes].count(TooMany) == 6
        assert len(backend.applications(jane.id, "", 100)) == 4

    def test_an_application_of_nobody_is_refused(self, backend):
        with pytest.raises(NotFound):
            backend.add_application(APPLICATION, 100)

    def test_the_newest_application_says_when_it_was_made(self, backend, jane):
        assert backend.newest_application() == 0
        for number, made_at in enumerate((NOW, NOW + 2, NOW + 1)):
            backend.add_application(replace(APPLICATION, id=f"app-{number}", owner=jane.id, created_at=made_at), 100)
        assert backend.newest_application() == NOW + 2

    def test_of_some_applications_those_that_exist_are_reported(self, backend, app):
        assert backend.existing([app.id, "unknown"]) == {app.id}
        assert backend.existing(["unknown"]) == backend.existing([]) == set()

    def test_applications_are_listed_in_pages_by_id(self, backend, jane):
        for n in (3, 1, 2):
            application(backend, jane, f"app-{n}")
        application(backend, person(backend, "joe"), "app-0")
        assert [app.id for app in backend.applications(jane.id, "", 2)] == ["app-1", "app-2"]
        assert [app.id for app in backend.applications(jane.id, "app-2", 2)] == ["app-3"]
        assert backend.applications(jane.id, "app-3", 2) == []

    def test_an_application_changes_in_the_fields_named(self, backend, app):
        changes = {"name": "Go", "description": "Stones", "domain_key": "new", "validated_scheme": "http", "active": True}
        changed = replace(app, **changes)
        assert backend.change_application(app.id, changes) == changed
        assert backend.application(app.id) == changed
        assert backend.change_application(app.id, {}) == changed

    def test_changes_of_different_fields_at_once_all_stand(self, backend, app):
        at_once(
            lambda: backend.change_application(app.id, {"name": "Go"}),
            lambda: backend.change_application(app.id, {"description": "Stones"}),
            lambda: backend.change_application(app.id, {"validated_scheme": "https"}),
        )
        assert backend.application(app.id) == replace(app, name="Go", description="Stones", validated_scheme="https")

    def test_a_change_can_depend_on_the_domain_key(self, backend, app):
        assert backend.change_application(app.id, {"validated_scheme": "http"}, "another") is None
        assert backend.application(app.id) == app
        assert backend.change_application(app.id, {"validated_scheme": "http"}, app.domain_key) == replace(app, validated_scheme="http")

    def test_a_new_domain_can_depend_on_the_former_name_and_domain(self, backend, app, jane):
        webhook = Webhook(app.id, f"https://{app.domain}/hook", "presence", "secret", NOW)
        backend.change_application(app.id, {"validated_scheme": "https"})
        backend.put_webhook(webhook, app.domain)
        kept, given = backend.application(app.id), grant(backend, app, jane, "puid-1")
        for other in (replace(app, name="Go"), replace(app, domain_key="another")):
            assert backend.move_application(app.id, {"domain": "go.example.org"}, None, other) is None
            assert backend.application(app.id) == kept and backend.webhook(app.id) is not None
            assert backend.grants_of_user(jane.id).grants == (given,)
        moved, _ = backend.move_application(app.id, {"domain": "go.example.org"}, None, app)
        assert moved == replace(kept, domain="go.example.org") and backend.webhook(app.id) is None

    def test_an_application_that_is_gone_cannot_change(self, backend, jane):
        assert backend.change_application("app-1", {"name": "Go"}) is None
        assert backend.move_application("app-1", {"domain": "go.example.org"}) is None
        assert backend.application("app-1") is None

    def test_moving_an_application_ends_its_grants(self, backend, app, jane):
        ended = [grant(backend, app, jane, "puid-1"), grant(backend, app, person(backend, "joe"), "puid-2")]
        kept = grant(backend, application(backend, jane, "app-2"), jane, "puid-3")
        moved, gone = backend.move_application(app.id, {"domain": "go.example.org"})
        assert sorted(gone, key=lambda one: one.puid) == ended
        assert moved == replace(app, domain="go.example.org")
        assert backend.application(app.id) == moved
        assert backend.grants_of_application(app.id, "", 10) == []
        assert backend.grants_of_user(jane.id).grants == (kept,)

    def test_a_domain_that_is_due_is_claimed_once(self, backend, jane, app):
        assert list(backend.claim_checks(NOW, LATER, 10)) == []
        backend.change_application(app.id, {"check_at": NOW})
        later = application(backend, jane, "app-2")
        backend.change_application(later.id, {"check_at": NOW + 1})
        first, second = at_once(lambda: backend.claim_checks(NOW, LATER, 10), lambda: backend.claim_checks(NOW, LATER, 10))
        assert [one.id for one in [*first, *second]] == [app.id]
        assert backend.application(app.id).check_at == LATER
        assert [one.id for one in backend.claim_checks(END, END + 1, 1)] == ["app-2"], "the one that is due for longest"

    def test_deleting_an_application_takes_its_keys_and_grants(self, backend, app, jane):
        ended = grant(backend, app, jane)
        kept = grant(backend, application(backend, jane, "app-2"), jane, "puid-2")
        backend.add_key(KEY, NOW)
        assert backend.delete_application(app.id) == [ended]
        assert backend.application(app.id) is None
        assert backend.key(KEY.id, NOW) is None
        assert backend.grants_of_user(jane.id).grants == (kept,)

    def test_deleting_an_application_without_grants_ends_none(self, backend, app):
        assert backend.delete_application(app.id) == []
        assert backend.delete_application(app.id) is None

    def test_activating_makes_the_new_key_the_only_one(self, backend, app):
        backend.change_application(app.id, {"validated_scheme": "https"})
        backend.add_key(replace(KEY, id="old"), NOW)
        assert backend.activate(app.id, KEY) is True
        assert backend.application(app.id) == replace(app, validated_scheme="https", active=True)
        assert backend.key(KEY.id, NOW) == KEY
        assert backend.key("old", NOW) is None

    def test_the_active_ones_are_read_with_their_domains(self, backend, app, jane):
        assert backend.active([app.id, "unknown"]) == {}
        backend.change_application(app.id, {"validated_scheme": "https"})
        assert backend.active([app.id]) == {}
        backend.activate(app.id, KEY)
        assert backend.active([app.id, "unknown"]) == {app.id: app.domain}

    def test_activating_twice_changes_nothing(self, backend, app):
        backend.change_application(app.id, {"validated_scheme": "https"})
        backend.activate(app.id, KEY)
        assert backend.activate(app.id, replace(KEY, id="key-2")) is False
        assert backend.key(KEY.id, NOW) == KEY
        assert backend.key("key-2", NOW) is None

    def test_of_two_activations_at_once_one_wins(self, backend, app):
        backend.change_application(app.id, {"validated_scheme": "https"})
        keys = [replace(KEY, id=f"key-{n}") for n in range(2)]
        won = at_once(*[lambda key=key: backend.activate(app.id, key) for key in keys])
        assert sorted(won) == [False, True]
        assert [backend.key(key.id, NOW) is not None for key in keys] == won

    def test_activating_another_application_leaves_keys_alone(self, backend, app, jane):
        other = application(backend, jane, "app-2")
        for one in (app, other):
            backend.change_application(one.id, {"validated_scheme": "https"})
        backend.activate(app.id, KEY)
        backend.activate(other.id, ApiKey("key-2", "app-2", b"2", NOW))
        assert backend.key(KEY.id, NOW) == KEY

    def test_a_new_key_retires_the_others(self, backend, app):
        backend.add_key(KEY, NOW)
        backend.add_key(replace(KEY, id="key-2"), LATER)
        assert backend.key(KEY.id, LATER - 1) == replace(KEY, retires_at=LATER)
        assert backend.key(KEY.id, LATER) is None
        assert backend.key("key-2", LATER) == replace(KEY, id="key-2")

    def test_a_key_that_retires_sooner_still_does(self, backend, app):
        backend.add_key(KEY, NOW)
        backend.add_key(replace(KEY, id="key-2"), LATER)
        backend.add_key(replace(KEY, id="key-3"), END)
        assert backend.key(KEY.id, LATER) is None
        assert backend.key("key-2", END - 1) == replace(KEY, id="key-2", retires_at=END)

    def test_a_later_rotation_can_bring_a_retirement_forward(self, backend, app):
        backend.add_key(KEY, NOW)
        backend.add_key(replace(KEY, id="key-2"), END)
        backend.add_key(replace(KEY, id="key-3"), LATER)
        assert [backend.key(name, LATER) for name in ("key-1", "key-2")] == [None, None]

    def test_a_key_of_an_application_that_is_gone_is_refused(self, backend, app):
        with pytest.raises(NotFound):
            backend.add_key(replace(KEY, appid="gone"), NOW)
        with pytest.raises(NotFound):
            backend.activate("gone", replace(KEY, appid="gone"))
        assert backend.key(KEY.id, NOW) is None

    def test_keys_that_work_are_listed_the_newest_first(self, backend, app, jane):
        assert list(backend.keys(app.id, NOW)) == []
        backend.add_key(KEY, NOW)
        newer = replace(KEY, id="key-2", created_at=NOW + 1)
        backend.add_key(newer, LATER)
        backend.add_key(ApiKey("key-3", application(backend, jane, "app-2").id, b"3", NOW), NOW)
        assert list(backend.keys(app.id, NOW)) == [newer, replace(KEY, retires_at=LATER)]
        assert list(backend.keys(app.id, LATER)) == [newer]

    def test_the_last_day_of_a_key_is_kept(self, backend, app):
        backend.add_key(KEY, NOW)
        for day in ("2026-11-22", "2026-11-23", "2026-11-23"):
            backend.touch_key(KEY.id, day)
            assert backend.key(KEY.id, NOW) == replace(KEY, used_on=day)
        backend.touch_key("gone", "2026-11-24")
