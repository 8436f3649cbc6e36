"""Contract of the directory: overrides, and changes that are due at a time. ``NOW`` is the time of the store, within seconds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.errors import SessionEnded
from dpresence.model import GrantSet

from .directory_outbox import clear, pending
from .directory_values import END, NOW, application, at_once, grant, person

PAST = NOW - 1000


class ScheduleContract:
    @pytest.fixture
    def jane(self, backend):
        return person(backend)

    def test_an_override_goes_with_the_grants_and_is_recorded_in_the_outbox_once(self, backend, jane):
        made = grant(backend, application(backend, jane), jane)
        clear(backend)
        for _ in range(2):
            assert backend.set_override(jane.id, "unavailable", END) == backend.account(jane.id)
        assert backend.account(jane.id) == replace(jane, revision=2, override="unavailable", override_until=END)
        assert backend.grants_of_user(jane.id) == GrantSet(2, (made,), "unavailable")
        assert pending(backend) == [("override", jane.id, "", "", 2)]

    def test_an_override_ends_when_the_person_ends_it(self, backend, jane):
        backend.set_override(jane.id, "offline", None)
        assert backend.set_override(jane.id, None, None) == replace(jane, revision=2)
        assert backend.grants_of_user(jane.id) == GrantSet(2, (), None)
        assert [entry[0] for entry in pending(backend)] == ["override"] * 2

    def test_nobody_has_no_override_and_somebody_else_sets_none(self, backend, jane):
        assert backend.set_override("nobody", "online", None) is None
        with pytest.raises(SessionEnded):
            backend.set_override(jane.id, "online", None, person(backend, "joe"))
        assert backend.account(jane.id) == jane

    def test_what_is_due_is_done_and_the_rest_waits(self, backend, jane):
        joe, ann = person(backend, "joe"), person(backend, "ann")
        backend.set_override(jane.id, "unavailable", PAST)
        backend.set_override(joe.id, "unavailable", END)
        backend.set_override(ann.id, "unavailable", PAST - 1)
        clear(backend)
        assert (list(backend.due(1)), list(backend.due(10))) == ([ann.id], [ann.id, jane.id])
        assert set(backend.make_due_changes([jane.id, joe.id, ann.id])) == {jane.id, ann.id}
        assert [backend.account(one.id).override for one in (jane, joe, ann)] == [None, "unavailable", None]
        assert backend.account(jane.id).override_until is None
        assert sorted(pending(backend)) == sorted(("override", one.id, "", "", 2) for one in (jane, ann))
        assert (list(backend.due(10)), list(backend.make_due_changes([jane.id]))) == ([], [])

    def test_a_change_is_made_once_by_several_at_once(self, backend, jane):
        backend.set_override(jane.id, "unavailable", PAST)
        clear(backend)
        made = at_once(*[lambda: list(backend.make_due_changes([jane.id]))] * 4)
        assert sorted(made) == [[], [], [], [jane.id]]
        assert pending(backend) == [("override", jane.id, "", "", 2)]

    def test_an_override_that_was_replaced_does_not_end_at_the_time_of_the_first(self, backend, jane):
        backend.set_override(jane.id, "unavailable", PAST)
        backend.set_override(jane.id, "unavailable", None)
        assert list(backend.due(10)) == []
