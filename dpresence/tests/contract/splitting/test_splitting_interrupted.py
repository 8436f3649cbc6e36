"""Whatever interrupts or refuses the split of a tracker."""

from __future__ import annotations

import re

import pytest

from dpresence.backends import check_partitions, load
from dpresence.backends.directory import PartitionMove
from dpresence.backends.partition_moves import MoveRefused
from dpresence.backends.splitting import CANNOT_FOLLOW
from dpresence.backends.sql import tables
from dpresence.backends.tracker.split_keys import SplitKeys
from dpresence.errors import BackendUnavailable
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from ..partitioned import Reader
from ..tracker_values import seen
from .steps import PARTITIONS, bring, expire_lock, keys, set_status, split_until


def assert_goes_on(processes, users):
    """Check that processes agree about everybody and may change it."""
    one, two = processes
    for tracker in processes:
        eventually(lambda tracker=tracker: tracker.devices(users[0]))
    assert [two.status(user) for user in users] == ["online"] * len(users)
    assert seen(one) == seen(two) == {f"{user}-in-chess": "online" for user in users}
    reader = Reader(two)
    for status in ("unavailable", "online"):
        for user in users:
            assert set_status(one, user, status)
    eventually(lambda: reader.read() == 0 and len(reader.entries) == 2 * len(users))


@pytest.mark.parametrize("at", range(16))
def test_a_call_that_is_killed_at_any_step_is_repeated(processes, users, redis_server, directory, splitter_of, at):
    bring(processes[0], users)
    ended = split_until(splitter_of, at)
    assert ended == (at == 15), "all steps are tried"
    expire_lock(redis_server)
    if not ended:
        try:
            splitter_of().split(PARTITIONS)
        except MoveRefused as error:  # only the unlock was missing
            assert str(error) == f"the tracker has {PARTITIONS} partitions already"
    assert (len(directory.partitions()), directory.partition_move()) == (PARTITIONS, None)
    assert not keys(redis_server)[0]
    assert_goes_on(processes, users)


@pytest.mark.parametrize("at", [0, 1, 3, 5, 8, 9])
def test_a_call_that_is_killed_before_the_switch_is_taken_back(processes, users, redis_server, directory, splitter_of, at):
    bring(processes[0], users)
    epoch = processes[0].epoch
    assert not split_until(splitter_of, at)
    expire_lock(redis_server)
    splitter_of().split(1)
    assert (list(directory.partitions()), directory.partition_move()) == ([""], None)
    assert keys(redis_server)[1] == [set()] * PARTITIONS
    assert_goes_on(processes, users)
    assert processes[0].epoch == processes[1].epoch == epoch


@pytest.mark.parametrize("error", [BackendUnavailable, KeyboardInterrupt])
def test_an_error_while_keys_are_copied_takes_the_split_back(processes, users, redis_server, directory, splitter_of, monkeypatch, error):
    bring(processes[0], users)

    def fail(appid, puids):
        raise error

    monkeypatch.setattr(directory, "grants_by_puid", fail)
    with pytest.raises(error):
        splitter_of().split(PARTITIONS)
    assert (list(directory.partitions()), directory.partition_move()) == ([""], None)
    assert keys(redis_server)[1] == [set()] * PARTITIONS
    assert_goes_on(processes, users)


def test_a_switch_that_is_committed_although_its_answer_was_lost_stands(
    processes, users, redis_server, directory, splitter_of, monkeypatch
):
    bring(processes[0], users)
    split = directory.split_partition

    def lose_answer(id_, servers):
        assert split(id_, servers)
        raise BackendUnavailable

    monkeypatch.setattr(directory, "split_partition", lose_answer)
    with pytest.raises(BackendUnavailable):
        splitter_of().split(PARTITIONS)
    assert (len(directory.partitions()), directory.partition_move()) == (PARTITIONS, None)
    assert not keys(redis_server)[0]
    assert_goes_on(processes, users)


ENDED = "the split has not ended: "


@pytest.mark.parametrize(
    ("copied", "text"),
    [
        (False, "a split was interrupted: repeat `dpresence partitions split --into N` to finish it, or with `--into 1` to take it back"),
        (True, "the tracker was split, and its former keys have not been deleted: repeat `dpresence partitions split --into 4`"),
    ],
)
def test_the_error_of_a_split_that_has_not_ended_says_what_can_be_done(processes, users, splitter_of, copied, text):
    bring(processes[0], users)

    class Unavailable(SplitKeys):
        def split(self, count, users_of):
            if copied:
                return super().split(count, users_of)
            raise BackendUnavailable

        def clear(self):
            raise BackendUnavailable

        delete_partitions = clear if not copied else SplitKeys.delete_partitions

    with pytest.raises(BackendUnavailable, match=f"^{re.escape(ENDED + text)}$"):
        splitter_of(Unavailable).split(PARTITIONS)


def test_the_error_of_a_split_of_which_the_directory_says_nothing_refers_to_the_list(processes, users, directory, splitter_of, monkeypatch):
    bring(processes[0], users)

    def fail(*arguments):
        raise BackendUnavailable

    monkeypatch.setattr(directory, "split_partition", fail)
    monkeypatch.setattr(directory, "take_over_partition_move", fail)
    with pytest.raises(BackendUnavailable, match=f"^{ENDED}see `dpresence partitions list`$"):
        splitter_of().split(PARTITIONS)


def test_a_frozen_call_changes_nothing_after_another_one_has_gone_on(processes, users, redis_server, directory, splitter_of):
    bring(processes[0], users)

    class Frozen(SplitKeys):
        def split(self, count, users_of):
            found = super().split(count, users_of)
            expire_lock(redis_server)
            splitter_of().split(PARTITIONS)
            return found

    with pytest.raises(MoveRefused, match=r"interrupted for too long|has finished or taken over this split"):
        splitter_of(Frozen).split(2)
    assert (len(directory.partitions()), directory.partition_move()) == (PARTITIONS, None)
    assert_goes_on(processes, users)


def test_a_process_of_an_earlier_version_that_has_used_the_tracker_meanwhile_takes_it_back(
    processes, users, redis_server, directory, splitter_of
):
    bring(processes[0], users)

    class Used(SplitKeys):
        def split(self, count, users_of):
            found = super().split(count, users_of)
            redis_server.client.hset("dpresence:t:processes", "earlier", "1 9")
            return found

    with pytest.raises(MoveRefused, match=f"^{CANNOT_FOLLOW}$"):
        splitter_of(Used).split(PARTITIONS)
    assert list(directory.partitions()) == [""]
    assert_goes_on(processes, users)


def test_what_cannot_be_split_is_refused(processes, directory, splitter_of, name):
    for number in (0, 257):
        with pytest.raises(MoveRefused, match=f"^--into {number}: must be 1 to 256$"):
            splitter_of().split(number)
    with pytest.raises(MoveRefused, match=r"^the tracker has 1 partition already$"):
        splitter_of().split(1)
    splitter_of().split(PARTITIONS)
    with pytest.raises(MoveRefused, match=r"^the tracker has 4 partitions already$"):
        splitter_of().split(8)
    assert directory.begin_partition_move(PartitionMove("m", 1, name, "elsewhere:1/0"))
    with pytest.raises(MoveRefused, match=r"^partition 1 has to be where it belongs first: see `dpresence partitions list`$"):
        splitter_of().split(8)


@pytest.mark.slow
def test_a_database_from_before_the_split_lets_the_tracker_start_empty_with_a_second_call(
    settings, processes, users, redis_server, directory, splitter_of, caplog
):
    bring(processes[0], users)
    splitter_of().split(PARTITIONS)
    for tracker in processes:
        eventually(lambda tracker=tracker: tracker.devices(users[0]))
    processes[1].close()
    row = tables.partitions

    def restore(connection):
        connection.execute(row.delete())
        connection.execute(row.insert().values(number=0, server=""))

    directory.database.run(restore)
    processes[0].renew()
    text = "the database has 1 partitions, not 4: it was restored, so restart this process"
    eventually(lambda: f"partitions cannot be followed: {text}" in caplog.messages)
    processes[0].close()
    with pytest.raises(BackendUnavailable) as caught:
        check_partitions(settings, FakeClock())
    assert (
        caught.value.reason
        == "refuses the tracker: it is being split, or was split after a backup of the database: see `dpresence partitions list`"
    )
    splitter_of().split(PARTITIONS)
    check_partitions(settings, FakeClock())
    backends = load(settings, FakeClock())
    assert [backends.tracker.devices(user) for user in users] == [[]] * len(users)
    bring(backends.tracker, users)
    assert len(seen(backends.tracker)) == len(users)
    backends.close()
