"""``dpresence partitions split``."""

from __future__ import annotations

import time

import gevent
import pytest

from dpresence.backends.tracker.split_keys import SplitKeys
from dpresence.commands.cli import main

from ..partition_command import partition_command
from .steps import PARTITIONS, bring, expire_lock, followed, split_until


@pytest.fixture
def command(settings, directory, tmp_path, capsys):
    return partition_command(tmp_path / "presence.ini", capsys, settings)


@pytest.mark.slow
def test_the_command_splits_and_lists(processes, name, redis_server, command):
    assert command("list") == (0, [f"0  {name}"], "")
    status, (line,), error = command("split", "--into", "4")
    assert (status, error) == (0, "")
    assert line.startswith("the tracker has 4 partitions: ")
    assert line.endswith(" s. Set redis.partitions = 4 in every ini")
    assert command("list") == (0, [f"{number}  {name}" for number in range(4)], "")
    assert command("split", "--into", "8") == (1, [], "dpresence: the tracker has 4 partitions already\n")
    now = int(time.time() * 1000)
    redis_server.client.hset("dpresence:t:meta", mapping={"clock": now, "time": now})
    redis_server.client.hset("dpresence:t:processes", "0123456789abcdef", f"1 {now + 30_000}")
    assert command("list")[1][4:] == [f"{name}: a process of an earlier version serves beside the partitions: stop it"]
    redis_server.client.delete("dpresence:t:meta", "dpresence:t:processes")
    assert command("move", "1", "--to", name) == (1, [], f"dpresence: partition 1 is at {name} already\n")


@pytest.mark.slow
def test_the_list_says_what_to_do_about_a_split_that_has_not_ended(processes, users, name, redis_server, splitter_of, command, capsys):
    repeat = "repeat `dpresence partitions split --into N`"
    bring(processes[0], users)
    assert not split_until(splitter_of, 5)
    assert command("list")[1] == [f"0  {name}  the tracker is being split; if its command was killed, repeat it in 15 s"]
    expire_lock(redis_server)
    assert command("list")[1] == [f"0  {name}  a split was interrupted: {repeat} to finish it, or with `--into 1` to take it back"]
    assert main(["--ini", command.ini, "check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "redis.url: the Redis refuses the tracker: it is being split, or was split after a backup of the database: "
        "see `dpresence partitions list`"
    ]
    assert command("move", "0", "--to", name)[2].startswith("dpresence: the tracker has one partition, which cannot be moved: see ")
    assert command("split", "--into", "1") == (0, ["the tracker has 1 partition"], "")
    assert not split_until(splitter_of, 12)
    expire_lock(redis_server)
    state = "the tracker was split, and its former keys have not been deleted: repeat `dpresence partitions split --into 4`"
    assert command("list")[1][0] == f"0  {name}  {state}"
    for number in ("0", "1"):
        assert command("move", number, "--to", name)[2] == f"dpresence: partition 0 has to be where it belongs first: {state}\n"
    for number in ("1", "8"):
        assert command("split", "--into", number) == (1, [], f"dpresence: --into {number}: {state}\n")
    assert command("split", "--into", "4") == (0, ["the tracker has 4 partitions. Set redis.partitions = 4 in every ini"], "")
    assert command("list") == (0, [f"{number}  {name}" for number in range(PARTITIONS)], "")


@pytest.mark.parametrize(
    ("after", "text"),
    [("stop", "taken back: the tracker has 1 partition"), ("close", "finished: the tracker has 4 partitions")],
)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, gevent.Timeout])
def test_an_interrupted_command_says_what_has_become_of_the_split(processes, users, command, monkeypatch, after, text, kind):
    bring(processes[0], users)
    step, left = SplitKeys.step, [after]

    def interrupted(keys, name, *arguments):
        answer = step(keys, name, *arguments)
        if name in left:
            left.remove(name)
            raise kind
        return answer

    monkeypatch.setattr(SplitKeys, "step", interrupted)
    if after == "close":
        assert command("split", "--into", "4")[2].startswith("dpresence: it has not ended: see `dpresence partitions list`\n")
        left.append("unlock")
    status, _, error = command("split", "--into", "4")
    assert status == {KeyboardInterrupt: 130, gevent.Timeout: 5}[kind]
    assert error.startswith(f"dpresence: {text}\n")


def test_a_repeated_command_does_not_say_how_long_users_were_refused(processes, users, redis_server, splitter_of, command):
    bring(processes[0], users)
    assert not split_until(splitter_of, 5)
    expire_lock(redis_server)
    _, (line,), _ = command("split", "--into", "4")
    assert line.endswith(" s since this call began. Set redis.partitions = 4 in every ini")


@pytest.mark.slow
def test_restoring_a_backup_from_before_the_split_says_what_is_first(processes, settings, name, splitter_of, command, tmp_path, capsys):
    folder = str(tmp_path / "backup")
    assert main(["--ini", command.ini, "backup", folder]) == 0
    splitter_of().split(PARTITIONS)
    followed(*processes)
    capsys.readouterr()
    restore = ["--ini", command.ini, "restore", "--force", folder]
    assert main(restore) == 1
    running = "dpresence: the service runs, as its processes are connected to Redis: stop all of them first\n"
    assert capsys.readouterr().err == running
    for tracker in processes:
        tracker.close()
    assert main(restore) == 0
    first = "the tracker was split after this backup: run `dpresence partitions split --into N` first"
    assert capsys.readouterr().out == f"{folder}: restored; {first}\n"
    assert command("split", "--into", "4")[0] == 0
    assert main(restore) == 0
    assert command("split", "--into", "4")[0] == 0
    assert command("list") == (0, [f"{number}  {name}" for number in range(4)], "")


@pytest.mark.slow
def test_the_last_line_of_a_failure_names_the_cause(processes, users, redis_server, command):
    bring(processes[0], users)
    redis_server.client.execute_command("ACL", "SETUSER", "default", "-restore")
    try:
        status, _, error = command("split", "--into", "4")
    finally:
        redis_server.client.execute_command("ACL", "SETUSER", "default", "+restore")
    assert status == 4
    assert error.splitlines()[-1] == "dpresence: redis.url: the Redis refuses this user: correct the user, the password or the rights"
    assert command("split", "--into", "4")[0] == 0


@pytest.mark.parametrize("number", ["0", "257", "100000", "x", "-1"])
def test_a_number_of_partitions_that_is_not_allowed_is_a_wrong_argument(command, capsys, number):
    with pytest.raises(SystemExit) as ended:
        command("split", "--into", number)
    assert ended.value.code == 2
    assert "--into: must be 1 to 256\n" in capsys.readouterr().err or number == "-1"
