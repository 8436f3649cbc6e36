"""The SQL mailbox keeps the contract, in memory and in a file; what it answered survives a kill."""

from __future__ import annotations

import pytest

from dpresence.backends.mailbox.sql import SqlMailbox

from .mailbox import NOW, MailboxContract, names
from .sql import drop_tables, killed_after_ok, opened, spoil


class TestInMemory(MailboxContract):
    @pytest.fixture
    def backend(self):
        with opened("sqlite://") as database:
            yield SqlMailbox(database)

    @pytest.fixture
    def lost(self, backend):
        drop_tables(backend.database)
        return backend


class TestInAFile(MailboxContract):
    @pytest.fixture
    def backend(self, tmp_path):
        with opened(f"sqlite:///{tmp_path}/presence.db") as database:
            yield SqlMailbox(database)

    @pytest.fixture
    def lost(self, tmp_path):
        with spoil(tmp_path / "presence.db") as database:
            yield SqlMailbox(database)

    def test_what_was_answered_survives_a_kill(self, tmp_path):
        url = f"sqlite:///{tmp_path}/presence.db"
        killed_after_ok(
            f"""
            from dpresence.tests.contract.mailbox import *
            from dpresence.backends.mailbox.sql import SqlMailbox
            from dpresence.tests.contract.sql import opened
            with opened({url!r}) as database:
                mailbox = SqlMailbox(database)
                mailbox.push([("jane", note("a"))], 100)
                mailbox.push([("jane", note("b")), ("jane", note("c"))], 100)
                mailbox.settle("jane", ["a"])
                wait_to_be_killed()
            """
        )
        with opened(url) as database:
            assert names(SqlMailbox(database).pending("jane", NOW)) == ["b", "c"]
