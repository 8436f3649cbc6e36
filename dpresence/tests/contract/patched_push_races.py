"""Pushes that are claimed and released at the same moment by two processes, on PostgreSQL; run as ``patched_races``."""

from __future__ import annotations

import gevent

from dpresence.backends.directory.sql import SqlDirectory, pushes
from dpresence.tests.waiting import PATIENCE_SECONDS

from .directory_values import KEY, NOW, PUSH, application, grant, person
from .patched_races import other_database

__all__ = ["other_database"]


def test_a_push_is_released_by_a_pause_that_ends_while_it_is_claimed(database, other_database, monkeypatch):
    one, other = SqlDirectory(database), SqlDirectory(other_database)
    jane = person(one)
    app = application(one, jane)
    one.move_application(app.id, {"validated_scheme": "https"})
    one.activate(app.id, KEY)
    grant(one, app, jane)
    one.change_grant(app.id, jane.id, {"push": True, "paused": True}, NOW)
    one.add_pushes(app.id, [PUSH], 0, 10)
    read, ends = pushes._grants, []

    def end_pause():
        other.change_grant(app.id, jane.id, {"paused": False}, NOW)
        other.release_pushes([PUSH.puid])

    def read_before(connection, due):
        found = read(connection, due)
        ends.append(gevent.spawn(end_pause))
        ends[0].join(0.3)  # it waits for the claim
        return found

    with monkeypatch.context() as patch:
        patch.setattr(pushes, "_grants", read_before)
        assert one.claim_pushes(10, 60_000, 20, None)[0] == []
    ends[0].get(timeout=PATIENCE_SECONDS)
    assert [due.push.id for due in one.claim_pushes(10, 60_000, 20, None)[0]] == [PUSH.id]
