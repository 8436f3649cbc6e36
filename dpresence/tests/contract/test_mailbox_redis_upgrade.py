"""Data that an earlier version stored in Redis remain after the upgrade, also while processes of both versions run.

``mailbox_earlier.lua`` is the script of that version, byte for byte.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import gevent
import msgspec
import pytest

from dpresence.backends.mailbox import Queue
from dpresence.backends.mailbox.redis import RedisMailbox
from dpresence.backends.redis.scripts import Script
from dpresence.model import Notification
from dpresence.tests.waiting import PATIENCE_SECONDS

from .mailbox import DAY, NOW, grant, kept, one, push, settle, waiting

SCRIPT = Path(__file__).with_name("mailbox_earlier.lua").read_bytes()


class Earlier:
    """A process of that version."""

    def __init__(self, server):
        self._script = Script(server.connect(), SCRIPT)

    def run(self, *operation):
        request = msgspec.msgpack.encode(("dpresence:m:", [operation]))
        return msgspec.msgpack.decode(self._script.execute(request))[0]

    def push(self, *names, user="jane", appid="app-1", ends=NOW + 10 * DAY):
        puid = f"puid-of-{appid}" + ("" if user == "jane" else f"-{user}")
        texts = [msgspec.json.encode((name, appid, puid, "Chess", "Zoë ♞ \x01/\\", "move", NOW, ends)).decode() for name in names]
        return self.run("push", [(user, name, appid, ends, text) for name, text in zip(names, texts, strict=True)], NOW, 1000)

    def pending(self, user="jane"):
        return [msgspec.json.decode(text)[0] for text in self.run("pending", user, NOW)]


@pytest.fixture
def earlier(redis_server):
    return Earlier(redis_server.server())


@pytest.fixture
def backend(redis_server):
    mailbox = RedisMailbox(redis_server.server(), allow_volatile=False)
    yield mailbox
    mailbox.close()


def test_earlier_entries_come_first_in_their_order_and_uncut(earlier, backend):
    earlier.push("b", "a")
    earlier.push("c", appid="app-2")
    assert push(backend, "d") == [3]
    found = backend.pending("jane", 0, 10)
    assert [item.id for _, item in found] == ["b", "a", "c", "d"]
    assert found[0].notification == Notification("b", "app-1", "puid-of-app-1", "Chess", "Zoë ♞ \x01/\\", "move", NOW)
    assert earlier.pending() == []


@pytest.mark.parametrize(
    ("call", "left"),
    [
        (lambda it: it.pending("jane", 0, 3), 350),
        (lambda it: it.discard_received("jane", ["7", "8"], (), NOW) == 2 or pytest.fail("not settled"), 348),
        (lambda it: it.queue_size("jane", "puid-of-app-1", 0) == 350 or pytest.fail("not counted"), 350),
        (lambda it: it.undelivered_ids("jane", ["7"]) == {"7"} or pytest.fail("not there"), 350),
        (lambda it: it.purge_grants([grant()]) == 350 or pytest.fail("not purged"), 0),
        (lambda it: it.purge("jane") == 350 or pytest.fail("not purged"), 0),
        (lambda it: it.sweep(), 350),
    ],
)
def test_every_method_finds_hundreds_that_were_stored(earlier, backend, redis_server, call, left):
    earlier.push(*map(str, range(350)))
    call(backend)
    assert len(kept(backend)) == left
    assert not redis_server.client.exists("dpresence:m:for:jane", "dpresence:m:ends")


def test_a_sweep_takes_over_everything_and_discards_what_has_expired(earlier, backend, redis_server):
    for n in range(30):
        earlier.push(*[f"{n}-{m}" for m in range(10)], user=f"user-{n}", ends=1 if n % 3 == 0 else NOW + 10 * DAY)
    assert backend.sweep() == 100
    assert len(backend.queues(Queue("", ""), 100)) == 20
    assert redis_server.client.keys("dpresence:m:for:*") == redis_server.client.keys("dpresence:m:ends") == []


def test_processes_of_both_versions_push_at_once_and_nothing_is_lost_or_twice(earlier, backend):
    def old():
        for n in range(100):
            earlier.push(f"old-{n}")
            gevent.sleep(0)

    def new():
        for n in range(100):
            push(backend, f"new-{n}", limit=1000)

    def read():
        after, found = 0, []
        while len(found) < 200:
            page = backend.pending("jane", after, 7)
            found += [item.id for _, item in page]
            after = page[-1].position if page else after
            gevent.sleep(0)
        return found

    reader = gevent.spawn(read)
    gevent.joinall([gevent.spawn(old), gevent.spawn(new)], timeout=PATIENCE_SECONDS, raise_error=True)
    found = reader.get(timeout=PATIENCE_SECONDS)
    assert [name for name in found if name[0] == "o"] == [f"old-{n}" for n in range(100)]
    assert [name for name in found if name[0] == "n"] == [f"new-{n}" for n in range(100)]
    assert settle(backend, "jane", found) == 200 and kept(backend) == [] and waiting(backend) == 0


def test_a_process_of_the_earlier_version_neither_sees_nor_deletes_entries_of_this_one(earlier, backend):
    push(backend, "a", one("b", appid="app-2"))
    earlier.push("c")
    assert earlier.pending() == ["c"]
    assert earlier.run("purge", "jane") == 1
    assert earlier.run("sweep", NOW + 100 * DAY, 500) == 0
    assert kept(backend) == ["a", "b"]


def test_a_notification_is_stored_as_a_map_of_its_fields(backend, redis_server):
    push(backend, one("a"))
    [waiting_one] = backend.pending("jane", 0, 10)
    stored = json.loads(redis_server.client.hget("dpresence:m:text:jane", "a"))
    assert stored == asdict(waiting_one.notification)


def test_the_order_of_fields_and_fields_of_a_later_version_do_not_matter(backend, redis_server):
    push(backend, one("a"))
    before = backend.pending("jane", 0, 10)
    stored = json.loads(redis_server.client.hget("dpresence:m:text:jane", "a"))
    later = {"urgency": "high", **dict(reversed(stored.items()))}
    redis_server.client.hset("dpresence:m:text:jane", "a", json.dumps(later))
    assert backend.pending("jane", 0, 10) == before
