"""A Redis that is restarted, with or without what it had acknowledged: cursors and devices are good, or known to be lost."""

from __future__ import annotations

import pytest

from dpresence.tests.support import FakeClock
from dpresence.tests.waiting import eventually

from .leases import lose
from .tracker_values import GO, JANE, SignalListener, changes, connect, flap, grant, head, read, seen, update

JOE = grant("joe")


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def redis(lost_redis):
    return lost_redis.start()


@pytest.fixture
def backend(redis, trackers, clock):
    return trackers(redis.server(), clock=clock)


def test_a_restart_that_forgets_nothing_is_seen_by_nobody(backend, redis):
    listener = SignalListener(backend)
    connect(backend)
    backend.leave("jane", "phone", "c1")
    cursor, since = backend.cursor(1), backend.remembers_since
    redis.restart()
    eventually(lambda: backend.ping() is None)
    assert (backend.offset("chess", cursor), backend.remembers_since) == (1, since)
    connect(backend, connection="c2")
    eventually(lambda: ("missed", "") in listener._signals)
    assert ("forgotten", "") not in listener._signals
    assert changes(backend) == [("online", "explicit")]


def test_a_server_that_lost_its_data_begins_anew(backend, redis, clock):
    listener = SignalListener(backend)
    connect(backend)
    flap(backend, 5)
    cursor = backend.cursor(6)
    redis.forget()
    clock.advance(100)
    redis.start()
    eventually(lambda: backend.ping() is None)
    assert ("forgotten", "") in listener._signals
    assert backend.remembers_since == clock.now()
    assert backend.offset("chess", cursor) is None
    assert update(backend, "unavailable") is False
    connect(backend)
    assert backend.read("chess", 6, 10) is None  # a reader of the old feed notices
    assert seen(backend) == {JANE.puid: "online"}
    assert backend.offset("chess", backend.cursor(head(backend))) == head(backend)


def test_a_server_that_came_back_without_what_it_acknowledged_has_all_of_it_forgotten(backend, redis, trackers, clock):
    connect(backend)
    other = trackers(redis.server(), clock=FakeClock())
    before = {file: file.read_bytes() for file in redis.files()}
    flap(backend, 1)
    old = backend.cursor(1)
    redis.kill()
    for file, content in before.items():
        file.write_bytes(content)
    redis.start()
    eventually(lambda: other.ping() is None)  # it knows of no more than the server: all is as it was
    assert changes(other) == [("online", "explicit")]
    eventually(lambda: backend.ping() is None)
    assert backend.offset("chess", old) is None
    assert other.offset("chess", backend.cursor(0)) is None
    assert list(backend.devices("jane")) == list(other.devices("jane")) == []
    assert backend.remembers_since == clock.now()


@pytest.mark.slow
@pytest.mark.parametrize("restarts", [1, 2, 5])
def test_lost_writes_are_noticed_however_often_it_was_restarted_before_their_process_speaks(backend, redis, trackers, restarts):
    connect(backend)
    before = {file: file.read_bytes() for file in redis.files()}
    update(backend, "unavailable")
    old = backend.cursor(head(backend))
    redis.kill()
    for file, content in before.items():
        file.write_bytes(content)
    redis.start()
    other = trackers(redis.server(), clock=FakeClock())
    for number in range(restarts):
        eventually(lambda: other.ping() is None)
        for _ in range(5):  # more is done than was lost
            connect(other, "laptop", f"l{number}", ("online", "unavailable")[number % 2])
        redis.restart()
    eventually(lambda: backend.ping() is None)
    assert backend.offset("chess", old) is None
    assert list(backend.devices("jane")) == []


@pytest.mark.slow
def test_many_restarts_that_forget_nothing_are_seen_by_nobody(backend, redis, trackers):
    listener = SignalListener(backend)
    connect(backend)
    other = trackers(redis.server(), clock=FakeClock())
    for _ in range(4):
        redis.restart()
        eventually(lambda: other.ping() is None)
    eventually(lambda: backend.ping() is None)
    assert backend.offset("chess", backend.cursor(1)) == 1
    assert update(backend, "unavailable") is True
    assert ("forgotten", "") not in listener.received()


def test_the_runs_that_are_remembered_are_bounded(backend, redis):
    meta, run = "dpresence:t:meta", redis.client.info("server")["run_id"]
    redis.client.hset(meta, "runs", "\n".join(f"run{number} 0" for number in range(200)))
    redis.client.client_kill_filter(_type="normal", skipme=True)
    eventually(lambda: backend.ping() is None)
    runs = redis.client.hget(meta, "runs").decode().split("\n")
    assert len(runs) <= 100 and runs[-1].split()[0] == run


def test_a_flushed_server_is_noticed_at_once(backend, redis):
    listener = SignalListener(backend)
    connect(backend)
    redis.client.flushall()
    assert update(backend, "unavailable") is False
    assert ("forgotten", "") in listener._signals


# -- writes that were acknowledged only to processes that have ended as well


@pytest.fixture
def promoted(backend, redis, trackers):
    """Return a function that takes a tracker's last acts back and ends it; the server comes back as one that never had them."""

    def promoted(act) -> None:
        before = {file: file.read_bytes() for file in redis.files()}
        dead = trackers(redis.server(), clock=FakeClock())
        act(dead)
        lose(dead)
        redis.forget()
        for file, content in before.items():
            file.write_bytes(content)
        redis.start()
        eventually(lambda: backend.ping() is None)  # it has seen nothing that is lost

    return promoted


def test_a_cursor_of_lost_entries_is_never_continued_after_new_ones(backend, promoted):
    connect(backend, "phone", "c1")
    listener, kept, found = SignalListener(backend), backend.cursor(head(backend)), []

    def act(dead):
        for number in range(5):
            connect(dead, "laptop", "c2", ("online", "unavailable")[number % 2], user="joe", grants=(JOE,))
            found.append(dead.cursor(head(dead)))

    promoted(act)
    assert [backend.offset("chess", cursor) for cursor in found] == [None] * 5, "before there are new entries"
    flap(backend, 20)
    assert [backend.offset("chess", cursor) for cursor in found] == [None] * 5, "there are as many new ones as there were lost ones"
    offset = backend.offset("chess", kept)
    assert offset is not None and [entry.puid for entry in read(backend, offset=offset)] == [JANE.puid] * 20
    assert ("forgotten", "") not in listener.received(), "nothing that a living process knows was lost"
    present = backend.cursor(head(backend))
    assert backend.offset("chess", present) == head(backend)


def test_a_cursor_of_a_feed_that_was_lost_altogether_is_not_covered(backend, promoted):
    found = []

    def act(dead):
        connect(dead, "laptop", "c2", grants=(GO,))
        found.append(dead.cursor(head(dead, "go")))

    promoted(act)
    connect(backend, grants=(GO,))
    update(backend, "unavailable", (GO,))
    assert backend.offset("go", found[0]) is None
    assert backend.offset("go", backend.cursor(head(backend, "go"))) == head(backend, "go")


def test_a_cursor_without_entries_survives_a_restart(backend, redis):
    cursor = backend.cursor(head(backend))
    redis.restart()
    eventually(lambda: backend.ping() is None)
    assert backend.offset("chess", cursor) == 0
    connect(backend)
    assert changes(backend, offset=0) == [("online", "explicit")]
    assert backend.offset("chess", cursor) == 0


@pytest.mark.slow
def test_cursors_survive_many_restarts_that_lose_nothing(backend, redis):
    connect(backend)
    first, cursors = backend.cursor(head(backend)), []
    for number in range(3):
        redis.restart()
        eventually(lambda: backend.ping() is None)
        update(backend, ("unavailable", "online")[number % 2])
        cursors.append(backend.cursor(head(backend)))
    assert [backend.offset("chess", cursor) for cursor in [first, *cursors]] == [1, 2, 3, 4]
    assert len({cursor.partition(":")[0] for cursor in [first, *cursors]}) == 4


def test_a_cursor_is_refused_when_more_restarts_have_passed_than_are_remembered(backend, redis):
    connect(backend)
    cursor, meta = backend.cursor(head(backend)), "dpresence:t:meta"
    for number in range(25):
        backend._registration._run = redis.client.hincrby(meta, "run", 1)
        backend._epochs.add(backend._epochs.current, backend._registration._run)
        update(backend, ("unavailable", "online")[number % 2])
    assert backend.offset("chess", cursor) is None
    assert len(redis.client.hget("dpresence:t:feed:chess", "turns").split()) == 40
    assert backend.offset("chess", backend.cursor(head(backend))) == head(backend)
