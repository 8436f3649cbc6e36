"""Contract of the directory: overrides, and changes that are due at a time. ``NOW`` is the time of the store, within seconds."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import event, update

from dpresence.backends.sql.tables import accounts, grants
from dpresence.errors import SessionEnded
from dpresence.messages import Hours, parse
from dpresence.model import Grant, GrantSet, encode_hours

from .directory_outbox import clear, pending
from .directory_values import END, NOW, application, at_once, grant, person

PAST = NOW - 1000
EVERY_DAY = '["mon", "tue", "wed", "thu", "fri", "sat", "sun"]'


def hours(start: str = "00:00", end: str = "24:00") -> str | None:
    return encode_hours(parse(Hours, f'{{"zone": "UTC", "weekly": [{{"days": {EVERY_DAY}, "from": "{start}", "to": "{end}"}}]}}'))


def later() -> str | None:
    """Return hours that begin in some hours."""
    hour = time.gmtime(NOW / 1000).tm_hour
    return hours(f"{(hour + 4) % 24:02}:00", f"{(hour + 5) % 24:02}:00")


def quieten(backend, user: str, stored: str | None) -> None:
    """Give a user's grants quiet hours that nobody has followed yet."""
    backend.database.run(lambda connection: connection.execute(update(grants).where(grants.c.user == user).values(hours=stored)))


@contextmanager
def statements(backend) -> Iterator[list[str]]:
    """Give a list that each statement of the database is added to."""
    found: list[str] = []

    def add(connection, cursor, statement, *rest) -> None:
        found.append(re.split(" IN | VALUES ", statement)[0])  # without the number of values

    engine = backend.database._engine
    event.listen(engine, "before_cursor_execute", add)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", add)


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

    def test_due_entries_are_done_and_the_rest_wait(self, backend, jane):
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
        backend.make_due_changes(list(backend.due(10)))
        assert backend.account(jane.id).override == "unavailable" and list(backend.due(10)) == []

    @pytest.mark.slow
    def test_the_changes_of_many_accounts_take_as_many_statements_as_those_of_one(self, backend, jane):
        chess, go = application(backend, jane), application(backend, jane, "app-2")
        people = [person(backend, f"p{number}") for number in range(21)]
        for number, one in enumerate(people):
            for game in (chess, go):
                grant(backend, game, one, f"{game.id}-{number}")
            backend.change_grant(chess.id, one.id, {"until": PAST}, NOW)
            backend.change_grant(go.id, one.id, {"hours": later()}, NOW)
            backend.set_override(one.id, "unavailable", PAST)
        for one in people[:20]:  # as if the hours had begun since
            quieten(backend, one.id, hours())
        clear(backend)
        with statements(backend) as for_one:
            backend.make_due_changes([people[0].id])
        others = list(backend.due(100))
        with statements(backend) as for_many:
            assert sorted(backend.make_due_changes(others)) == sorted(one.id for one in people[1:])
        assert for_one == for_many and len(for_many) < 15, for_many
        assert [(entry[0], entry[3]) for entry in pending(backend, people[1].id)] == [
            ("override", ""),
            ("revoked", "app-1-1"),
            ("changed", "app-2-1"),
        ]
        assert {revision for *_, revision in pending(backend, people[1].id)} == {backend.account(people[1].id).revision}
        assert {grant.quiet for one in people[:20] for grant in backend.grants_of_user(one.id).grants} == {True}
        assert not backend.grant(go.id, people[20].id).paused and list(backend.due(10)) == []

    # -- grants that end

    def test_a_grant_ends_at_its_time_as_if_it_were_revoked(self, backend, jane):
        chess, go = application(backend, jane), application(backend, jane, "app-2")
        ended, kept = grant(backend, chess, jane, "puid-1"), grant(backend, go, jane, "puid-2")
        assert backend.change_grant(chess.id, jane.id, {"until": PAST}, NOW) == replace(ended, until=PAST)
        backend.change_grant(go.id, jane.id, {"until": END}, NOW)
        clear(backend)
        assert list(backend.due(10)) == [jane.id]
        backend.make_due_changes([jane.id])
        assert backend.grants_of_user(jane.id).grants == (replace(kept, until=END),)
        assert pending(backend) == [("revoked", jane.id, chess.id, ended.puid, 5)]
        assert list(backend.due(10)) == []

    def test_a_new_grant_may_have_an_end(self, backend, jane):
        wanted = Grant(application(backend, jane).id, "puid-1", jane.id, NOW, NOW, until=PAST)
        assert backend.add_grant(wanted) == wanted
        assert list(backend.due(10)) == [jane.id]

    # -- quiet hours

    @pytest.fixture
    def chess(self, backend, jane):
        return application(backend, jane)

    def test_hours_of_the_account_pause_every_grant_until_they_are_over(self, backend, jane, chess):
        made = grant(backend, chess, jane)
        clear(backend)
        account = backend.set_hours(jane.id, hours())
        assert account == backend.account(jane.id) and account.hours == hours()
        quiet = replace(made, paused=True, quiet=True)
        assert (backend.grant(chess.id, jane.id), quiet.own_pause) == (quiet, False)
        added = grant(backend, application(backend, jane, "app-2"), jane, "puid-2")
        assert (added.paused, added.quiet) == (True, True)
        assert [entry[:4] for entry in pending(backend)] == [
            ("changed", jane.id, chess.id, made.puid),
            ("granted", jane.id, "app-2", "puid-2"),
        ]
        backend.set_hours(jane.id, None)
        resumed = backend.grant(chess.id, jane.id)
        assert (resumed.paused, resumed.quiet, resumed.since >= NOW) == (False, False, True)

    def test_hours_of_one_grant_pause_that_one_only(self, backend, jane, chess):
        made, other = grant(backend, chess, jane), grant(backend, application(backend, jane, "app-2"), jane, "puid-2")
        assert backend.change_grant(chess.id, jane.id, {"hours": hours()}, NOW).quiet
        assert backend.grant("app-2", jane.id) == other
        assert backend.change_grant(chess.id, jane.id, {"hours": None}, NOW) == made

    def test_the_users_own_pause_and_the_hours_are_independent(self, backend, jane, chess):
        grant(backend, chess, jane)
        change = lambda **changes: backend.change_grant(chess.id, jane.id, changes, NOW)  # noqa: E731
        change(hours=hours())
        assert [(one.paused, one.own_pause) for one in (change(paused=True), change(hours=None))] == [(True, True), (True, True)]
        change(hours=hours())
        assert [(one.paused, one.own_pause) for one in (change(paused=False), change(hours=None))] == [(True, False), (False, False)]

    def test_hours_that_have_begun_or_ended_are_followed(self, backend, jane, chess):
        made = grant(backend, chess, jane)
        backend.set_hours(jane.id, later())
        assert backend.grant(chess.id, jane.id) == made and list(backend.due(10)) == []
        backend.change_grant(chess.id, jane.id, {"hours": hours(), "until": PAST}, NOW)
        backend.change_grant(chess.id, jane.id, {"until": None}, NOW)
        assert list(backend.due(10)) == [jane.id]  # something was due: all is looked at again
        backend.make_due_changes([jane.id])
        assert backend.grant(chess.id, jane.id).quiet and list(backend.due(10)) == []

    @pytest.mark.parametrize("change", ["override", "grant", "new grant"])
    def test_hours_that_are_due_are_followed_by_all_grants_whatever_is_changed_before(self, backend, jane, chess, change):
        go = application(backend, jane, "go")
        for app in (chess, go):
            grant(backend, app, jane, f"puid-of-{app.id}")
        due = update(accounts).where(accounts.c.id == jane.id).values(hours=hours(), due_at=PAST)
        backend.database.run(lambda connection: connection.execute(due))  # they have just begun
        if change == "override":
            backend.set_override(jane.id, "online", None)
        elif change == "grant":
            backend.change_grant(chess.id, jane.id, {"shows": "reachable"}, NOW)
        else:
            backend.add_grant(Grant(application(backend, jane, "new").id, "puid-of-new", jane.id, NOW, NOW, until=END))
        assert list(backend.due(10)) == [jane.id]
        backend.make_due_changes([jane.id])
        assert all(backend.grant(app.id, jane.id).quiet for app in (chess, go)) and list(backend.due(10)) == []

    def test_a_merge_makes_the_moved_grants_follow_the_hours_of_the_account(self, backend, jane, chess):
        joe = person(backend, "joe")
        grant(backend, chess, joe)
        backend.set_hours(jane.id, hours())
        backend.merge(joe.email, jane.email)
        backend.make_due_changes(list(backend.due(10)))
        assert backend.grant(chess.id, jane.id).quiet
