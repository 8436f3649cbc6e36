"""The SQL mailbox keeps the contract on PostgreSQL, also when that was away."""

from __future__ import annotations

import pytest

from dpresence.backends.mailbox.sql import SqlMailbox

from .mailbox import MailboxContract
from .mailbox_control import MailboxControlContract
from .mailbox_ends import MailboxEndsContract
from .mailbox_inbox import MailboxInboxContract
from .sql import nowhere


class TestOnPostgreSQL(MailboxContract, MailboxControlContract, MailboxEndsContract, MailboxInboxContract):
    @pytest.fixture
    def backend(self, database):
        return SqlMailbox(database)

    @pytest.fixture
    def lost(self, tmp_path):
        with nowhere(tmp_path) as database:
            yield SqlMailbox(database)
