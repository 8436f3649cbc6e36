"""``dpresence partitions``."""

from __future__ import annotations

import pytest

from dpresence.backends.directory import PartitionMove
from dpresence.backends.sql import tables
from dpresence.commands.cli import main

from ..partition_command import partition_command
from .steps import MOVED, PARTITIONS, bring, expire_locks, move_until


@pytest.fixture
def command(settings, directory, tmp_path, capsys):
    redis = settings.redis
    lines = (f"redis.urls = {' '.join(redis.urls)}", f"redis.partitions = {redis.partitions}")
    return partition_command(tmp_path / "presence.ini", capsys, settings, *lines)


def test_the_command_moves_and_lists(processes, users, servers, names, command):
    bring(processes[0], users)
    assert command("list") == (0, [f"{number}  {names[number % 2]}" for number in range(PARTITIONS)], "")
    status, (line,), _ = command("move", "1", "--to", f"unix://{names[2]}")
    assert (status, line.partition(": ")[0]) == (0, f"partition 1 is at {names[2]}")
    assert command("list")[1][1] == f"1  {names[2]}"
    assert command("move", "1", "--to", names[2]) == (1, [], f"dpresence: partition 1 is at {names[2]} already\n")


@pytest.mark.slow
def test_the_list_says_what_to_do_about_a_move_that_has_not_ended(processes, users, servers, names, mover_of, command):
    repeat = f"repeat `dpresence partitions move 1 --to {names[2]}` to finish it, or with `--to {names[1]}` to take it back"
    bring(processes[0], users)
    move_until(mover_of, 4, names[2])
    under_way = "is under way; if its command was killed, repeat it in 15 s"
    assert command("list")[1][1] == f"1  {names[1]}  a move from {names[1]} to {names[2]} {under_way}"
    expire_locks(servers)
    assert command("list")[1][1] == f"1  {names[1]}  a move to {names[2]} was interrupted: {repeat}"
    mover_of().move(MOVED, names[1])
    move_until(mover_of, 10, names[2])
    expire_locks(servers)
    assert command("list")[1][1].startswith(f"1  {names[2]}  moved from {names[1]}, whose keys have not been deleted: repeat")
    assert command("move", "1", "--to", names[2]) == (0, [f"partition 1 is at {names[2]}"], "")
    assert command("list")[1][1] == f"1  {names[2]}"


@pytest.mark.slow
def test_the_list_and_the_check_say_what_to_do_about_a_restored_directory(processes, names, directory, mover_of, command, capsys):
    mover_of().move(MOVED, names[2])
    for tracker in processes:
        tracker.close()
    row = tables.partitions
    directory.database.run(lambda connection: connection.execute(row.update().where(row.c.number == MOVED).values(server=names[1])))
    opens = f"`dpresence partitions move {MOVED}"
    assert command("list")[1][MOVED] == f"{MOVED}  {names[1]}  closed: {opens} --to {names[1]}` opens it"
    assert main(["--ini", command.ini, "check"]) == 1
    (error,) = capsys.readouterr().out.splitlines()
    assert error == f"redis.urls: the Redis {names[1]} refuses partition {MOVED}: it is being moved, or {opens}` to this server opens it"
    assert command("move", str(MOVED), "--to", names[1])[0] == 0
    assert command("list")[1][MOVED] == f"{MOVED}  {names[1]}"


def test_the_list_says_it_also_if_the_server_is_away(servers, names, directory, command):
    directory.begin_partition_move(PartitionMove("m", MOVED, names[1], names[2]))
    servers[1].kill()
    status, lines, _ = command("list")
    assert (status, len(lines)) == (0, PARTITIONS)
    assert lines[1].startswith(f"1  {names[1]}  a move to {names[2]} was interrupted: repeat")
    assert (lines[2], lines[3]) == (f"2  {names[0]}", f"3  {names[1]}  the Redis does not answer")


def test_the_command_replaces_a_server(processes, users, servers, names, command):
    bring(processes[0], users)
    status, out, error = command("replace", names[1], names[2])
    assert (status, out) == (1, []) and error.startswith(f"dpresence: {names[1]} still runs: stop it first, or copy each partition")
    servers[1].kill()
    assert "dpresence: " in command("replace", names[1], names[2])[2]
    assert command("replace", f"unix://{names[1]}", f"unix://{names[2]}", "--empty") == (
        *(0, [f"1  {names[2]}  starts empty", f"3  {names[2]}  starts empty"], ""),
    )
    assert command("list")[1] == [f"{number}  {names[0 if number % 2 == 0 else 2]}" for number in range(PARTITIONS)]


@pytest.mark.parametrize(
    ("to", "text"),
    [
        ("ftp://a", "--to: must be the name of a server, such as 10.0.0.22:6379/0, or a redis://"),
        ("redis://:Canary7x@10.0.0.9", "--to: services would reach 10.0.0.9:6379/0 with the scheme, user and password of another URL"),
        ("rediss://10.0.0.9", "--to: services would reach 10.0.0.9:6379/0 with the scheme, user and password of another URL"),
    ],
)
def test_a_server_that_services_would_not_reach_is_refused(command, to, text):
    status, out, error = command("move", "1", "--to", to)
    assert (status, out) == (1, [])
    assert error.startswith(f"dpresence: {text}") and "Canary7x" not in error


def test_the_last_line_of_a_failure_names_the_argument_and_the_cause(processes, servers, names, command):
    new = names[2]
    servers[2].client.replicaof("127.0.0.1", 1)
    for words, argument in ((("move", "1", "--to", new), "--to"), (("replace", names[1], new), "NEW")):
        status, _, error = command(*words)
        assert (status, error.splitlines()[-1]) == (4, f"dpresence: {argument}: the Redis {new} is a replica: promote {argument} first")
    servers[2].kill()
    status, _, error = command("move", "1", "--to", new)
    assert (status, error.splitlines()[-1]) == (4, f"dpresence: --to: the Redis {new} does not answer")
