"""Sign-ins of users without waiting notifications read nothing, if this process alone stores notifications."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.backends.mailbox import QueuedNotification
from dpresence.backends.mailbox.sql import SqlMailbox, recipients
from dpresence.backends.sql.engine import Database
from dpresence.errors import BackendUnavailable
from dpresence.model import Notification
from dpresence.tests.shared_tables import make_tables

MINUTE_MS = 60_000
NOTE = Notification("n1", "app", "puid", "chess.example.org", "", "", 0)


class Scene:
    """A mailbox of a process that uses its database alone, and the statements that it has read with."""

    def __init__(self, path: str) -> None:
        setup = Database(f"sqlite:///{path}")
        make_tables(setup)
        setup.close()
        self._path = path
        self.open()

    def open(self, alone: bool | None = True) -> None:
        """Open the database, as the next process does."""
        self.database = Database(f"sqlite:///{self._path}", alone=alone)
        self.mailbox = SqlMailbox(self.database)
        self.statements: list[str] = []
        self.database.read(lambda opened: opened.connection.dbapi_connection.set_trace_callback(self.statements.append))
        self.statements.clear()

    def enqueue(self, user: str, id: str = "n1") -> None:
        self.mailbox.enqueue([QueuedNotification(user, replace(NOTE, id=id), MINUTE_MS, 0)], 100)

    def pending(self, user: str) -> list[str]:
        return [each.notification.id for each in self.mailbox.pending(user, 0, 10)]


@pytest.fixture
def scene(tmp_path):
    scene = Scene(f"{tmp_path}/presence.db")
    yield scene
    scene.database.close()


def test_a_user_without_notifications_costs_no_read(scene):
    scene.enqueue("joe")
    assert scene.pending("ann") == [] and scene.statements == []
    assert scene.pending("joe") == ["n1"] and len(scene.statements) == 1


def test_a_user_whose_notifications_are_gone_costs_one_read_more(scene):
    scene.enqueue("ann")
    scene.mailbox.discard_received("ann", ["n1"], None, 0)
    assert scene.pending("ann") == scene.pending("ann") == [] and len(scene.statements) == 1
    scene.enqueue("ann", "n2")
    assert scene.pending("ann") == ["n2"]


def test_what_an_earlier_process_has_stored_is_found(scene):
    scene.enqueue("ann")
    scene.database.close()
    scene.open()
    assert scene.pending("ann") == ["n1"] and scene.pending("joe") == [] and len(scene.statements) == 1


def test_a_process_beside_others_always_reads(scene):
    scene.database.close()
    scene.open(alone=False)
    assert scene.pending("ann") == [] and len(scene.statements) == 1


def test_a_notification_that_is_stored_during_a_read_is_found_by_the_next_one(scene, monkeypatch):
    scene.enqueue("ann")
    scene.mailbox.discard_received("ann", ["n1"], None, 0)
    real = SqlMailbox._pending

    def read(self, *arguments):
        found = real(self, *arguments)
        monkeypatch.undo()
        scene.enqueue("ann", "n2")
        return found

    monkeypatch.setattr(SqlMailbox, "_pending", read)
    assert scene.pending("ann") == []
    assert scene.pending("ann") == ["n2"]


def test_a_notification_whose_transaction_was_answered_too_late_is_found(scene, monkeypatch):
    def late(self, *arguments):
        real(self, *arguments)
        raise BackendUnavailable

    real = SqlMailbox._enqueue
    monkeypatch.setattr(SqlMailbox, "_enqueue", late)
    with pytest.raises(BackendUnavailable):
        scene.enqueue("ann")
    assert scene.pending("ann") == ["n1"]


def test_with_very_many_recipients_every_sign_in_reads(scene, monkeypatch):
    monkeypatch.setattr(recipients, "MOST", 2)
    for user in ("ann", "joe", "sue"):
        scene.enqueue(user, user)
    assert scene.pending("nobody") == [] and len(scene.statements) == 1
    scene.database.close()
    scene.open()
    assert scene.pending("nobody") == [] and len(scene.statements) == 1
