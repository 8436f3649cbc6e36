"""Contract of the directory: grants."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.errors import BackendUnavailable, DomainNotValidated, NotActive, NotFound
from dpresence.model import ApiKey, Grant

from .directory_values import LATER, NOW, application, at_once, grant, person


class GrantContract:
    @pytest.fixture
    def jane(self, backend):
        return person(backend)

    @pytest.fixture
    def app(self, backend, jane):
        return application(backend, jane)

    def test_a_grant_is_kept_as_it_is(self, backend, app, jane):
        made = grant(backend, app, jane)
        assert made == Grant(app.id, "puid-1", jane.id, NOW, NOW)
        assert backend.grant(app.id, jane.id) == made
        assert backend.grant("app-2", jane.id) is None
        assert backend.grant(app.id, "nobody") is None

    def test_looks_are_stored_for_granted_applications_only(self, backend, app, jane):
        for appid, days in (("app-2", ["2026-11-20", "2026-11-22", None]), ("app-3", ["2026-11-23"])):
            made = application(backend, jane, appid)
            for number, day in enumerate(days):
                backend.add_key(ApiKey(f"{appid}-{number}", appid, b"", NOW), LATER)
                day and backend.touch_key(f"{appid}-{number}", day)
        first = grant(backend, app, jane)
        assert backend.grants_with_applications(jane.id, "", 10) == [(first, app, None, [])]
        second = grant(backend, replace(made, id="app-2"), jane, "puid-2")
        both = [(first, app, None, []), (second, backend.application("app-2"), "2026-11-22", [])]
        assert backend.grants_with_applications(jane.id, "", 10) == both
        assert (backend.grants_with_applications(jane.id, "", 1), backend.grants_with_applications(jane.id, app.id, 1)) == (
            both[:1],
            both[1:],
        )
        assert backend.grants_with_applications("nobody", "", 10) == []

    def test_which_grants_stand_is_asked_for_by_puid(self, backend, app, jane):
        made = grant(backend, app, jane)
        assert backend.existing_puids([made.puid, "unknown"]) == {made.puid}
        backend.revoke(app.id, jane.id)
        assert backend.existing_puids([made.puid]) == backend.existing_puids([]) == set()

    def test_granting_again_returns_the_first_grant(self, backend, app, jane):
        first = grant(backend, app, jane)
        assert grant(backend, app, jane, "puid-2", LATER) == first
        assert backend.grants_of_user(jane.id).grants == (first,)

    def test_grants_at_once_lead_to_one_puid(self, backend, app, jane):
        made = at_once(*[lambda n=n: grant(backend, app, jane, f"puid-{n}") for n in range(10)])
        assert made == [backend.grant(app.id, jane.id)] * 10

    def test_a_puid_stands_for_one_grant_only(self, backend, app, jane):
        made = grant(backend, app, jane)
        with pytest.raises(BackendUnavailable):
            grant(backend, app, person(backend, "joe"), made.puid)
        assert backend.grants_of_application(app.id, "", 10) == [made]

    def test_a_grant_needs_an_application_and_an_account(self, backend, app, jane):
        for gone in (Grant("gone", "puid-1", jane.id, NOW, NOW), Grant(app.id, "puid-1", "gone", NOW, NOW)):
            with pytest.raises(NotFound):
                backend.add_grant(gone)
        assert backend.grants_of_application(app.id, "", 10) == []

    @pytest.mark.parametrize(
        ("changes", "refusal"),
        [
            ({"active": False}, NotActive),
            ({"validated_scheme": None}, DomainNotValidated),
            ({"validated_scheme": None, "active": False}, DomainNotValidated),
            ({"domain": "go.example.org"}, DomainNotValidated),
        ],
    )
    def test_an_application_that_is_not_what_was_consented_to_is_not_granted(self, backend, app, jane, changes, refusal):
        wanted = Grant(app.id, "puid-1", jane.id, NOW, NOW)
        backend.change_application(app.id, {"validated_scheme": "https", "active": True, **changes})
        with pytest.raises(refusal):
            backend.add_grant(wanted, app.domain)
        assert backend.grants_of_application(app.id, "", 10) == []
        backend.change_application(app.id, {"validated_scheme": "https", "active": True, "domain": app.domain})
        assert backend.add_grant(wanted, app.domain) == wanted

    def test_puids_lead_to_the_grants_of_their_application_only(self, backend, app, jane):
        mine = grant(backend, app, jane, "puid-1")
        grant(backend, application(backend, jane, "app-2"), jane, "puid-2")
        assert backend.grants_by_puid(app.id, ["puid-1", "puid-2", "puid-3"]) == {"puid-1": mine}
        assert backend.grants_by_puid(app.id, []) == {}

    @pytest.mark.slow
    def test_many_puids_can_be_asked_for(self, backend, app):
        made = [grant(backend, app, person(backend, f"p{n}"), f"puid-{n:03}") for n in range(120)]
        assert backend.grants_by_puid(app.id, [one.puid for one in made]) == {one.puid: one for one in made}

    def test_grants_of_a_user_are_listed_oldest_first(self, backend, jane):
        made = [grant(backend, application(backend, jane, f"app-{n}"), jane, f"puid-{n}", NOW + n % 3) for n in range(3, 6)]
        made.append(grant(backend, application(backend, jane, "app-0"), jane, "puid-0", NOW - 1))
        assert backend.grants_of_user(jane.id).grants == (made[3], made[0], made[1], made[2])

    def test_grants_of_an_application_are_listed_in_pages_by_puid(self, backend, app):
        made = [grant(backend, app, person(backend, f"p{n}"), f"puid-{n}") for n in (2, 0, 1)]
        assert backend.grants_of_application(app.id, "", 2) == [made[1], made[2]]
        assert backend.grants_of_application(app.id, "puid-1", 2) == [made[0]]
        assert backend.grants_of_application(app.id, "puid-2", 2) == []

    def test_the_times_of_grants_are_listed_in_the_same_pages(self, backend, app, jane):
        for n in (2, 0, 1):
            grant(backend, app, person(backend, f"p{n}"), f"puid-{n}", NOW + n)
        grant(backend, application(backend, jane, "app-2"), jane, "puid-3")
        backend.change_grant(app.id, backend.grants_by_puid(app.id, ["puid-1"])["puid-1"].user, {"paused": True}, LATER)
        assert [tuple(row) for row in backend.grant_times(app.id, "", 2)] == [("puid-0", NOW), ("puid-1", NOW + 1)]
        assert [tuple(row) for row in backend.grant_times(app.id, "puid-1", 2)] == [("puid-2", NOW + 2)]
        assert list(backend.grant_times(app.id, "puid-2", 2)) == list(backend.grant_times("app-\0", "", 2)) == []

    def test_grants_of_an_application_are_counted(self, backend, app, jane):
        assert backend.count_grants(app.id) == 0
        for name in ("puid-1", "puid-2"):
            grant(backend, app, person(backend, name), name)
        grant(backend, application(backend, jane, "app-2"), jane, "puid-3")
        backend.change_grant(app.id, person(backend, "puid-1").id, {"paused": True}, LATER)
        assert backend.count_grants(app.id) == 2

    def test_a_pause_keeps_since_and_its_end_moves_it(self, backend, app, jane):
        made = grant(backend, app, jane)
        paused = replace(made, paused=True)
        assert backend.change_grant(app.id, jane.id, {"paused": True}, LATER) == paused
        assert backend.grant(app.id, jane.id) == paused
        resumed = replace(made, since=LATER)
        assert backend.change_grant(app.id, jane.id, {"paused": False}, LATER) == resumed
        assert backend.grant(app.id, jane.id) == resumed

    def test_ending_no_pause_moves_nothing(self, backend, app, jane):
        made = grant(backend, app, jane)
        assert backend.change_grant(app.id, jane.id, {"paused": False}, LATER) == made
        assert backend.grant(app.id, jane.id) == made

    def test_a_pause_touches_no_other_grant(self, backend, app, jane):
        grant(backend, app, jane)
        others = [
            grant(backend, app, person(backend, "joe"), "puid-2"),
            grant(backend, application(backend, jane, "app-2"), jane, "puid-3"),
        ]
        backend.change_grant(app.id, jane.id, {"paused": True}, LATER)
        assert [backend.grant(one.appid, one.user) for one in others] == others

    def test_a_grant_that_does_not_exist_cannot_be_paused_or_revoked(self, backend, app, jane):
        assert backend.change_grant(app.id, jane.id, {"paused": True}, NOW) is None
        assert backend.revoke(app.id, jane.id) is None

    def test_revoking_returns_the_grant_once(self, backend, app, jane):
        made = grant(backend, app, jane)
        other = grant(backend, app, person(backend, "joe"), "puid-2")
        assert backend.revoke(app.id, jane.id) == made
        assert backend.revoke(app.id, jane.id) is None
        assert backend.grants_of_application(app.id, "", 10) == [other]
