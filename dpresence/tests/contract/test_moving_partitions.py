"""A partition moves to another server while two processes use it, and whatever interrupts the mover."""

from __future__ import annotations

import gevent
import pytest

from dpresence.backends import load, load_directory
from dpresence.backends.directory import PartitionMove
from dpresence.backends.moving import Mover, MoveRefused
from dpresence.backends.partitions import open_named
from dpresence.backends.sql import tables
from dpresence.backends.tracker.moving_place import Place
from dpresence.backends.tracker.relocation import Relocation
from dpresence.commands.cli import main
from dpresence.errors import BackendUnavailable
from dpresence.model import GrantSet
from dpresence.settings import RedisSettings, Settings, StorageSettings
from dpresence.settings.allowed import redis_name
from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from .partitioned import Reader, users_of
from .redis import running
from .tracker_values import SignalListener, connect, grant, seen

PARTITIONS = 4
MOVED = 1
"""The partition that moves; it is at the second server."""


@pytest.fixture(scope="module")
def others(cooperative_redis):
    """Two more servers; the settings do not name the last one."""
    with running() as second, running() as third:
        yield second, third


@pytest.fixture
def servers(redis_server, others):
    for server in others:
        if server.process is None:
            server.start()
        server.client.flushall()
    return redis_server, *others


@pytest.fixture
def settings(tmp_path, servers):
    redis = RedisSettings(servers[0].url, urls=(servers[0].url, servers[1].url), partitions=PARTITIONS, timeout_seconds=1)
    return Settings(storage=StorageSettings(f"sqlite:///{tmp_path}/presence.db", tracker="redis", mailbox="sql"), redis=redis)


@pytest.fixture
def names(servers):
    return [redis_name(server.url) for server in servers]


@pytest.fixture
def processes(settings):
    """The trackers of two processes."""
    clock = FakeClock()
    opened = [load(settings, clock) for _ in range(2)]
    yield [backends.tracker for backends in opened]
    for backends in opened:
        backends.close()


@pytest.fixture
def directory(settings, processes):
    directory = load_directory(settings, FakeClock())
    yield directory
    directory.close()


@pytest.fixture
def mover_of(settings, directory):
    def make(kind: type[Place] = Place) -> Mover:
        return Mover(directory, lambda server, partition, mover: kind(open_named(settings.redis, server), partition, mover))

    return make


@pytest.fixture
def users():
    """One user of each partition."""
    return [some[0] for some in users_of(1, PARTITIONS)]


def set_status(tracker, user, status):
    return tracker.update(user, "phone", "c1", status, GrantSet(0, (grant(user),)))


def keys(server, partition=MOVED):
    return {key.decode() for key in server.client.keys(f"dpresence:{{{partition}}}t:*")}


def bring(tracker, users):
    for user in users:
        connect(tracker, user=user, grants=(grant(user),))


def test_users_stay_online_and_readers_continue_from_their_offset_and_cursor(processes, users, servers, names, mover_of):
    one, two = processes
    bring(one, users)
    reader = Reader(two)
    cursor, epoch = two.cursor(reader.offset), two.epoch
    set_status(one, users[MOVED], "unavailable")
    moved = mover_of().move(MOVED, names[2])
    assert moved.keys > 4
    assert not keys(servers[1]) and keys(servers[2])
    for tracker in processes:
        eventually(lambda tracker=tracker: tracker.status(users[MOVED]) == "unavailable")
    assert two.epoch == epoch
    assert two.offset("chess", cursor) == reader.offset
    assert set_status(one, users[MOVED], "online")
    eventually(lambda: reader.read() == 0 and len(reader.entries) == 2)
    assert [entry.status for entry in reader.entries] == ["unavailable", "online"]
    assert reader.statuses == seen(one)


def test_a_device_and_its_lease_remain_those_of_their_process(processes, users, names, mover_of):
    one, _ = processes
    bring(one, users)
    before = one.devices(users[MOVED])
    mover_of().move(MOVED, names[2])
    eventually(lambda: one.devices(users[MOVED]) == before)
    for tracker in processes:
        tracker.renew()
        assert tracker.due() == []
    assert set_status(one, users[MOVED], "unavailable")
    listener = SignalListener(one)
    assert ("forgotten", "") not in listener.received()


def test_the_servers_of_the_metrics_are_those_in_use(processes, names, mover_of):
    one, _ = processes
    for partition in (1, 3):
        mover_of().move(partition, names[2])
    eventually(lambda: {measures.server for measures in one.measures} == {names[0], names[2]})


def test_a_partition_moves_there_and_back_and_there_again(processes, users, servers, names, mover_of):
    one, two = processes
    bring(one, users)
    reader = Reader(two)
    for count, target in enumerate((2, 1, 0, 1, 2), 1):
        mover_of().move(MOVED, names[target])
        status = "unavailable" if count % 2 else "online"
        eventually(lambda status=status: set_status(one, users[MOVED], status))
        eventually(lambda count=count: reader.read() == 0 and len(reader.entries) == count)
        assert [bool(keys(server)) for server in servers] == [number == target for number in range(3)]
    assert reader.statuses == seen(one)


def test_a_process_that_missed_everything_follows_with_its_next_call(processes, users, names, mover_of, monkeypatch):
    one, two = processes
    bring(one, users)
    monkeypatch.setattr(Place, "signal", lambda self: None)
    mover_of().move(MOVED, names[2])
    with pytest.raises(BackendUnavailable):
        set_status(two, users[MOVED], "unavailable")
    eventually(lambda: one.status(users[MOVED]) == two.status(users[MOVED]) == "online")


def test_a_process_whose_server_was_switched_off_follows_with_its_next_renewal(processes, users, servers, names, mover_of, monkeypatch):
    one, two = processes
    bring(one, users)
    monkeypatch.setattr(Place, "signal", lambda self: None)
    for partition in (1, 3):
        mover_of().move(partition, names[2])
    servers[1].kill()
    for tracker in processes:
        tracker.renew()
    eventually(lambda: one.status(users[1]) == two.status(users[3]) == "online")
    assert one.ping() is None


def test_a_process_follows_a_partition_although_the_new_server_of_another_is_away(processes, users, servers, names, mover_of, monkeypatch):
    one, _ = processes
    bring(one, users)
    monkeypatch.setattr(Place, "signal", lambda self: None)
    mover_of().move(1, names[2])
    mover_of().move(3, names[0])
    servers[2].kill()
    one.renew()
    eventually(lambda: one.status(users[3]) == "online")
    servers[2].start()
    one.renew()
    eventually(lambda: one.devices(users[1]) is not None)


def test_a_partition_that_is_back_at_a_server_has_its_state_in_the_metrics(processes, names, mover_of):
    one, _ = processes
    for partition in (1, 3):
        mover_of().move(partition, names[2])
    eventually(lambda: names[1] not in {measures.server for measures in one.measures})
    mover_of().move(1, names[1])
    eventually(lambda: names[1] in {measures.server for measures in one.measures})
    up = {key for measures in one.measures for key in measures.gauges() if key.startswith("redis_server_up")}
    assert up == {f"redis_server_up {name}" for name in names}


def test_a_stopped_relocation_is_not_called_again():
    calls = []
    relocation = Relocation(lambda: calls.append(1))
    relocation.stop()
    relocation.request()
    gevent.sleep(0)
    assert not calls


def test_a_new_process_starts_with_the_partitions_where_they_are(settings, processes, users, names, mover_of):
    bring(processes[0], users)
    mover_of().move(MOVED, names[2])
    backends = load(settings, FakeClock())
    assert [backends.tracker.status(user) for user in users] == ["online"] * PARTITIONS
    backends.close()


def test_without_a_process_a_partition_moves_as_well(settings, processes, users, names, mover_of):
    bring(processes[0], users)
    for tracker in processes:
        tracker.close()
    mover_of().move(MOVED, names[2])
    backends = load(settings, FakeClock())
    assert backends.tracker.status(users[MOVED]) == "online"
    backends.close()


class Interrupted(BaseException):
    """The mover is killed."""


def interrupted(at: int) -> type[Place]:
    """Return places that execute so many steps and then no further one, as if their process was killed."""
    left = at

    class Killed(Place):
        def step(self, name, *arguments):
            nonlocal left
            left -= 1
            if left < 0:
                raise Interrupted
            super().step(name, *arguments)

        def signal(self):
            self.step("hold")
            super().signal()

    return Killed


def move_until(mover_of, at, target):
    """Move until the mover is killed at a step; return whether it ended before."""
    try:
        mover_of(interrupted(at)).move(MOVED, target)
    except Interrupted:
        return False
    return True


def pass_locks(servers):
    """Let the locks of a dead mover expire."""
    for server in servers:
        server.client.delete(f"dpresence:{{{MOVED}}}move:lock")


@pytest.mark.parametrize("again", ["the same", "back"])
def test_a_mover_that_is_killed_at_any_step_leaves_one_place_and_a_second_call_repairs_it(
    processes, users, servers, names, directory, mover_of, again
):
    one, two = processes
    bring(one, users)
    reader, epoch = Reader(two), one.epoch
    at, ended = 0, False
    while not ended:
        source = directory.partitions()[MOVED]
        target = next(name for name in names[1:] if name != source)
        ended = move_until(mover_of, at, target)
        pass_locks(servers)
        wanted = target if again == "the same" else source
        try:
            mover_of().move(MOVED, wanted)
        except MoveRefused as error:
            assert str(error) == f"partition {MOVED} is at {wanted} already"
        assert directory.partitions()[MOVED] == wanted and directory.partition_move() is None
        assert [redis_name(server.url) for server in servers if keys(server)] == [wanted]
        status = "unavailable" if at % 2 else "online"
        for tracker in processes:
            eventually(lambda tracker=tracker: tracker.devices(users[MOVED]))
        eventually(lambda status=status: set_status(one, users[MOVED], status) is not None)  # it may just follow the first of two moves
        eventually(lambda status=status: reader.read() == 0 and reader.statuses[f"{users[MOVED]}-in-chess"] == status)
        at += 1
    assert at > 12
    assert one.epoch == epoch
    assert len(reader.entries) == at - 1  # the first status was the present one


def test_a_frozen_mover_changes_nothing_after_another_one_has_gone_on(processes, users, servers, names, directory, mover_of):
    one, _ = processes
    bring(one, users)

    class Frozen(Place):
        def copy_to(self, other):
            found = super().copy_to(other)
            pass_locks(servers)
            mover_of().move(MOVED, names[0])
            return found

    with pytest.raises(MoveRefused, match="another call has finished or taken over this move"):
        mover_of(Frozen).move(MOVED, names[2])
    assert directory.partitions()[MOVED] == names[0]
    assert directory.partition_move() is None
    eventually(lambda: one.status(users[MOVED]) == "online")


def test_a_switch_that_is_committed_after_its_answer_was_lost_loses_nothing(
    processes, users, servers, names, directory, mover_of, monkeypatch
):
    bring(processes[0], users)
    switch, partitions, lost = directory.switch_partition, directory.partitions, []

    def lose_answer(id_):
        lost.append(id_)
        raise BackendUnavailable

    def read_before_the_commit():
        found = partitions()
        while lost:
            switch(lost.pop())
        return found

    monkeypatch.setattr(directory, "switch_partition", lose_answer)
    monkeypatch.setattr(directory, "partitions", read_before_the_commit)
    with pytest.raises(BackendUnavailable):
        mover_of().move(MOVED, names[2])
    monkeypatch.undo()
    assert [redis_name(server.url) for server in servers if keys(server)] == [directory.partitions()[MOVED]]
    eventually(lambda: processes[1].status(users[MOVED]) == "online")


def test_a_process_of_a_version_without_moves_has_the_move_taken_back(processes, users, servers, names, directory, mover_of):
    bring(processes[0], users)

    class Beside(Place):
        def copy_to(self, other):
            servers[1].client.hset(f"dpresence:{{{MOVED}}}t:processes", "old", "1 9999999999999")  # it registers behind the fence
            return super().copy_to(other)

    with pytest.raises(MoveRefused, match=r"^a process of an earlier version, which cannot follow, uses partition 1$"):
        mover_of(Beside).move(MOVED, names[2])
    assert directory.partitions()[MOVED] == names[1] and directory.partition_move() is None
    assert not keys(servers[2])
    eventually(lambda: processes[1].status(users[MOVED]) == "online")


def test_a_partition_opens_empty_where_a_restored_directory_says_that_it_is(settings, processes, servers, names, directory, mover_of):
    mover_of().move(MOVED, names[2])
    for tracker in processes:
        tracker.close()
    row = tables.partitions
    directory.database.run(lambda connection: connection.execute(row.update().where(row.c.number == MOVED).values(server=names[1])))
    with pytest.raises(BackendUnavailable) as caught:
        load(settings, FakeClock())
    advice = f"it is being moved, or `dpresence partitions move {MOVED}` to this server opens it"
    assert str(caught.value) == f"redis.urls: the Redis {names[1]} refuses partition {MOVED}: {advice}"
    servers[1].client.hset(f"dpresence:{{{MOVED}}}t:meta", "epoch", "old")
    mover_of().move(MOVED, names[1])
    load(settings, FakeClock()).close()
    assert servers[1].client.hget(f"dpresence:{{{MOVED}}}t:meta", "epoch") not in (None, b"old")
    with pytest.raises(MoveRefused, match=r"^partition 1 is at .* already$"):
        mover_of().move(MOVED, names[1])


def test_what_is_refused_changes_nothing(processes, users, servers, names, directory, mover_of):
    bring(processes[0], users)
    servers[2].client.set("dpresence:{3}t:meta", "x")
    for partition, target, text in (
        (MOVED, names[1], f"partition 1 is at {names[1]} already"),
        (PARTITIONS, names[2], "partition 4: must be 0 to 3"),
        (-1, names[2], "partition -1: must be 0 to 3"),
        (3, names[2], f"{names[2]} has keys of this partition already: delete those that begin with dpresence:{{3}}t:"),
    ):
        with pytest.raises(MoveRefused) as caught:
            mover_of().move(partition, target)
        assert str(caught.value) == text
    with pytest.raises(BackendUnavailable):
        mover_of().move(MOVED, "127.0.0.1:1/0")
    assert directory.partition_move() is None
    assert [processes[1].status(user) for user in users] == ["online"] * PARTITIONS


@pytest.mark.parametrize(
    ("option", "values"),
    [("maxmemory-policy", ("noeviction", "volatile-lru")), ("appendonly", ("yes", "no")), ("appendfsync", ("always", "no"))],
)
def test_a_server_that_may_lose_more_or_less_is_refused(processes, servers, names, mover_of, option, values):
    before = servers[2].client.config_get(option)[option]
    servers[2].client.config_set(option, next(value for value in values if value != before))
    try:
        with pytest.raises(MoveRefused, match=f"{option} must be as at "):
            mover_of().move(MOVED, names[2])
    finally:
        servers[2].client.config_set(option, before)


def test_one_move_at_a_time(processes, servers, names, directory, mover_of):
    assert not move_until(mover_of, 3, names[2])
    with pytest.raises(MoveRefused, match="another call moves this partition, or was interrupted less than 15 s ago"):
        mover_of().move(MOVED, names[2])
    with pytest.raises(MoveRefused, match=r"^partition 1 has to be where it belongs first: a move to .* was interrupted: repeat"):
        mover_of().move(3, names[2])
    pass_locks(servers)
    mover_of().move(MOVED, names[2])
    mover_of().move(3, names[2])
    assert directory.partitions() == [names[0], names[2], names[0], names[2]]


def test_a_target_that_dies_meanwhile_leaves_the_partition_where_it_is(processes, users, servers, names, directory, mover_of):
    one, _ = processes
    bring(one, users)

    class Dying(Place):
        def copy_to(self, other):
            servers[2].kill()
            return super().copy_to(other)

    with pytest.raises(BackendUnavailable, match="the move of partition 1 has not ended: repeat"):
        mover_of(Dying).move(MOVED, names[2])
    eventually(lambda: one.status(users[MOVED]) == "online")
    with pytest.raises(BackendUnavailable):
        mover_of().move(MOVED, names[2])
    mover_of().move(MOVED, names[1])
    assert directory.partition_move() is None
    assert one.status(users[MOVED]) == "online"


@pytest.fixture
def command(settings, directory, tmp_path, capsys):
    """Run ``dpresence partitions``; return the exit status, the output and the error."""
    redis = settings.redis
    lines = ["[app:main]", "use = egg:dpresence", f"directory.url = {settings.storage.directory_url}", "tracker = redis"]
    lines += [f"redis.url = {redis.url}", f"redis.urls = {' '.join(redis.urls)}", f"redis.partitions = {redis.partitions}"]
    ini = tmp_path / "presence.ini"
    ini.write_text("\n".join([*lines, "[server:main]", "use = egg:dpresence"]))

    def run(*words):
        status = main(["--ini", str(ini), "partitions", *words])
        captured = capsys.readouterr()
        return status, captured.out.splitlines(), captured.err

    return run


def test_the_command_moves_and_lists(processes, users, servers, names, command):
    bring(processes[0], users)
    assert command("list") == (0, [f"{number}  {names[number % 2]}" for number in range(PARTITIONS)], "")
    status, (line,), _ = command("move", "1", "--to", f"unix://{names[2]}")
    assert (status, line.partition(": ")[0]) == (0, f"partition 1 is at {names[2]}")
    assert command("list")[1][1] == f"1  {names[2]}"
    assert command("move", "1", "--to", names[2]) == (1, [], f"dpresence: partition 1 is at {names[2]} already\n")


def test_the_list_says_what_to_do_about_a_move_that_has_not_ended(processes, users, servers, names, mover_of, command):
    repeat = f"repeat `dpresence partitions move 1 --to {names[2]}` to finish it, or with `--to {names[1]}` to take it back"
    bring(processes[0], users)
    move_until(mover_of, 4, names[2])
    assert command("list")[1][1] == f"1  {names[1]}  a move from {names[1]} to {names[2]} is under way"
    pass_locks(servers)
    assert command("list")[1][1] == f"1  {names[1]}  a move to {names[2]} was interrupted: {repeat}"
    mover_of().move(MOVED, names[1])
    move_until(mover_of, 8, names[2])
    pass_locks(servers)
    assert command("list")[1][1].startswith(f"1  {names[2]}  moved from {names[1]}, whose keys have not been deleted: repeat")
    assert command("move", "1", "--to", names[2]) == (0, [f"partition 1 is at {names[2]}"], "")
    assert command("list")[1][1] == f"1  {names[2]}"


def test_the_list_says_it_also_if_the_server_is_away(servers, names, directory, command):
    directory.begin_partition_move(PartitionMove("m", MOVED, names[1], names[2]))
    servers[1].kill()
    status, lines, _ = command("list")
    assert (status, len(lines)) == (0, PARTITIONS)
    assert lines[1].startswith(f"1  {names[1]}  a move to {names[2]} was interrupted: repeat")


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
