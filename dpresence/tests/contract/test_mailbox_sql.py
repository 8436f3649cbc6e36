"""The SQL mailbox keeps the contract, in memory and in a file; what it answered survives a kill."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from dpresence.backends.mailbox.control import KEY_MS
from dpresence.backends.mailbox.sql import SqlMailbox
from dpresence.backends.sql.tables import notification_names
from dpresence.tests.support import FakeClock

from .mailbox import DAY, MailboxContract, kept, one, settle
from .mailbox_control import MailboxControlContract, keyed, send
from .mailbox_ends import MailboxEndsContract
from .mailbox_inbox import MailboxInboxContract
from .sql import drop_tables, killed_after_ok, opened, spoil


@pytest.fixture
def clock():
    return FakeClock()


class TestInMemory(MailboxContract, MailboxControlContract, MailboxEndsContract, MailboxInboxContract):
    @pytest.fixture
    def backend(self, clock):
        with opened("sqlite://", clock) as database:
            yield SqlMailbox(database)

    @pytest.fixture
    def pass_by(self, clock):
        return lambda milliseconds: clock.advance(milliseconds / 1000)

    @pytest.fixture
    def lost(self, backend):
        drop_tables(backend.database)
        return backend


class TestInAFile(MailboxContract, MailboxControlContract, MailboxEndsContract, MailboxInboxContract):
    @pytest.fixture
    def backend(self, tmp_path, clock):
        with opened(f"sqlite:///{tmp_path}/presence.db", clock) as database:
            yield SqlMailbox(database)

    @pytest.fixture
    def pass_by(self, clock):
        return lambda milliseconds: clock.advance(milliseconds / 1000)

    @pytest.fixture
    def lost(self, tmp_path):
        with spoil(tmp_path / "presence.db") as database:
            yield SqlMailbox(database)

    @pytest.mark.slow
    def test_answered_writes_survive_a_kill(self, tmp_path):
        url = f"sqlite:///{tmp_path}/presence.db"
        killed_after_ok(
            f"""
            from dpresence.tests.contract.mailbox import *
            from dpresence.backends.mailbox.sql import SqlMailbox
            from dpresence.clock import Clock
            from dpresence.tests.contract.sql import opened
            with opened({url!r}) as database:
                mailbox = SqlMailbox(database)
                push(mailbox, "a")
                push(mailbox, "b", "c")
                settle(mailbox, "jane", ["a"])
                wait_to_be_killed()
            """
        )
        with opened(url) as database:
            assert kept(SqlMailbox(database)) == ["b", "c"]


def test_a_key_is_remembered_for_a_day(clock):
    with opened("sqlite://", clock) as database:
        mailbox = SqlMailbox(database)
        send(mailbox, keyed("k", "a"))
        clock.advance(KEY_MS / 1000 - 1)
        assert send(mailbox, keyed("k", "b"))[0].repeated == "a"
        clock.advance(1)
        assert send(mailbox, keyed("k", "c", "other"))[0].repeated == ""
        clock.advance(KEY_MS / 1000)
        mailbox.sweep()
        assert database.run(lambda connection: connection.execute(select(notification_names)).all()) == []


class WallClock(FakeClock):
    """A time of day that can be set apart from the monotonic clock."""

    def set(self, seconds: float) -> None:
        self.start += int(seconds * 1000)


def test_a_clock_that_jumps_ahead_and_back_takes_no_notification_with_it(tmp_path):
    clock = WallClock()
    with opened(f"sqlite:///{tmp_path}/presence.db", clock) as database:
        mailbox = SqlMailbox(database)
        mailbox.enqueue([one("a"), one("b")], 3)
        clock.set(13 * DAY / 1000)
        clock.advance(65)
        assert mailbox.sweep() == 0
        assert [each.size for each in mailbox.enqueue([one("c"), one("d")], 3)] == [3, 3], "nothing has expired"
        clock.set(-13 * DAY / 1000)
        assert kept(mailbox) == ["b", "c", "d"], "three may wait"


def test_a_notification_gets_no_position_of_one_that_was_restored_as_received(tmp_path):
    with opened(f"sqlite:///{tmp_path}/from.db") as source, opened(f"sqlite:///{tmp_path}/to.db") as target:
        earlier, mailbox = SqlMailbox(source), SqlMailbox(target)
        earlier.enqueue([one(name, shown_until=0) for name in "abc"], 100)
        settle(earlier, "jane", ["c"], None)
        mailbox.restore(list(earlier.records()))
        mailbox.enqueue([one("d", shown_until=0)], 100)
        assert settle(mailbox, "jane", ["d"], None) == 1
        assert [record["position"] for record in mailbox.records()] == [1, 2, 3, 4]
