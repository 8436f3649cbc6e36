"""Contract of every directory for the looks of applications. A part of the contract of its own; see ``directory``."""

from __future__ import annotations

import pytest

from dpresence.backends.directory import Directory, LookCount
from dpresence.model import Account
from dpresence.model.looks import Looks, day_of

from .directory_values import NOW, application, grant, person

DAY_MS = 86_400_000
TODAY, YESTERDAY, LAST_KEPT, TOO_OLD = (day_of(NOW - days * DAY_MS) for days in (0, 1, 29, 31))
LONG_AGO = NOW - 60 * DAY_MS


def looks(backend: Directory, user: Account) -> dict[str, list[Looks]]:
    return {item.grant.puid: list(item.looks) for item in backend.grants_with_applications(user.id, "", 10)}


class LooksContract:
    @pytest.fixture
    def granted_application(self, backend, jane):
        made = application(backend, jane)
        grant(backend, made, jane, at=LONG_AGO)
        return made

    def test_looks_at_all_users_and_at_one_are_added_up_by_day(self, backend, granted_application, jane):
        joe = person(backend, "joe")
        grant(backend, granted_application, joe, "puid-2", LONG_AGO)
        backend.add_looks([LookCount("app-1", "", TODAY, "channel", 1), LookCount("app-1", "puid-1", TODAY, "rest", 2)])
        backend.add_looks([LookCount("app-1", "", TODAY, "channel", 2), LookCount("app-1", "", YESTERDAY, "webhook", 4)])
        backend.add_looks([LookCount("app-1", "puid-1", TODAY, "rest", 1)])
        assert looks(backend, jane) == {"puid-1": [Looks(TODAY, channel=3, rest=3), Looks(YESTERDAY, webhook=4)]}
        assert looks(backend, joe) == {"puid-2": [Looks(TODAY, channel=3), Looks(YESTERDAY, webhook=4)]}
        assert [item.last_looked for item in backend.grants_with_applications(joe.id, "", 10)] == [TODAY]

    def test_looks_before_the_day_of_the_grant_are_not_shown(self, backend, granted_application):
        joe = person(backend, "joe")
        grant(backend, granted_application, joe, "puid-2")
        backend.add_looks([LookCount("app-1", "", day, "rest", 1) for day in (YESTERDAY, TODAY)])
        assert looks(backend, joe) == {"puid-2": [Looks(TODAY, rest=1)]}

    def test_looks_of_what_does_not_exist_any_more_are_left_out(self, backend, granted_application, jane):
        gone = [LookCount("app-2", "", TODAY, "rest", 1), LookCount("app-1", "puid-2", TODAY, "rest", 1)]
        backend.add_looks([*gone, LookCount("app-1", "", TODAY, "rest", 1)])
        backend.add_looks([])
        assert looks(backend, jane) == {"puid-1": [Looks(TODAY, rest=1)]}

    def test_a_new_grant_does_not_have_the_looks_at_the_revoked_one(self, backend, granted_application, jane):
        backend.add_looks([LookCount("app-1", "puid-1", TODAY, "rest", 1)])
        backend.revoke("app-1", jane.id)
        grant(backend, granted_application, jane, "puid-1", LONG_AGO)
        assert looks(backend, jane) == {"puid-1": []}

    def test_looks_end_with_the_application(self, backend, granted_application, jane):
        backend.add_looks([LookCount("app-1", "", TODAY, "rest", 1), LookCount("app-1", "puid-1", TODAY, "rest", 1)])
        backend.delete_application("app-1")
        grant(backend, application(backend, jane), jane, at=LONG_AGO)
        assert looks(backend, jane) == {"puid-1": []}

    def test_looks_end_with_the_account_and_stay_in_a_merge(self, backend, granted_application, jane):
        joe, ann = person(backend, "joe"), person(backend, "ann")
        grant(backend, granted_application, joe, "puid-2", LONG_AGO)
        backend.add_looks([LookCount("app-1", "puid-2", TODAY, "rest", 1)])
        backend.merge(joe.email, ann.email)
        assert looks(backend, ann) == {"puid-2": [Looks(TODAY, rest=1)]}
        backend.erase(ann.id)
        grant(backend, granted_application, person(backend, "joe"), "puid-2", LONG_AGO)
        assert looks(backend, person(backend, "joe")) == {"puid-2": []}

    def test_a_sweep_deletes_looks_after_30_days(self, backend, granted_application, jane):
        backend.add_looks([LookCount("app-1", puid, day, "rest", 1) for puid in ("", "puid-1") for day in (TODAY, LAST_KEPT, TOO_OLD)])
        assert backend.sweep() == 2
        assert looks(backend, jane) == {"puid-1": [Looks(TODAY, rest=2), Looks(LAST_KEPT, rest=2)]}
