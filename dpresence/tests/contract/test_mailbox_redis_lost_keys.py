"""Keys of the mailbox that are lost in Redis, as by an eviction: sweeps and purges end, and leave nothing of their users."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from dpresence.backends.mailbox import InboxLimits
from dpresence.backends.mailbox.redis import RedisMailbox

from .mailbox import DAY, SHORT, kept, one, push
from .mailbox_inbox import held, shown

PREFIX = "dpresence:m:"
CALLS_AT_MOST = 50


class BoundedMailbox(RedisMailbox):
    """Fails where one call of a method would repeat an operation without an end."""

    calls = 0

    def _call(self, *operation):
        self.calls += 1
        assert self.calls <= CALLS_AT_MOST
        return super()._call(*operation)


@pytest.fixture
def backend(redis_server):
    mailbox = BoundedMailbox(redis_server.server(), allow_volatile=False)
    yield mailbox
    mailbox.close()


@pytest.fixture
def lose(redis_server):
    def lose(*keys: str) -> None:
        assert redis_server.client.delete(*(f"{PREFIX}{key}" for key in keys)) == len(keys)

    return lose


@pytest.mark.parametrize("key", ["inbox:jane", "unread:jane", "kept:jane"])
def test_a_sweep_ends_and_continues_with_other_users_where_a_key_of_an_inbox_is_lost(backend, redis_server, lose, key):
    push(backend, "a", one("b", "joe"))
    lose(key)
    time.sleep(0.005)
    backend.limits = InboxLimits(days=0)
    backend.sweep()
    assert shown(backend, "joe") == [] and redis_server.client.exists(f"{PREFIX}inboxes") == 0


def test_a_backup_has_what_follows_entries_that_are_lost(backend, lose):
    push(backend, *(held(f"{number}", ttl_ms=DAY) for number in range(101)))
    push(backend, replace(one("b", "joe", ttl_ms=2 * DAY), held=True), one("c", "joe"))
    lose("kept:jane")
    assert [record["notification"]["id"] for record in backend.inbox_records()] == ["c", "b"]


@pytest.mark.parametrize("key", ["kept:jane", "holds:jane", "held:puid-of-app-1", "held"])
def test_a_sweep_ends_where_a_key_of_held_entries_is_lost(backend, redis_server, lose, key):
    push(backend, held("a", ttl_ms=SHORT), replace(one("b", "joe", ttl_ms=SHORT), held=True))
    lose(key)
    time.sleep(SHORT / 1000 + 0.005)
    backend.sweep()
    assert redis_server.client.exists(f"{PREFIX}held") == 0


@pytest.mark.parametrize("key", ["queue:puid-of-app-1", "ends:puid-of-app-1", "order:jane", "facts:jane", "text:jane", "queues", "due"])
def test_a_sweep_ends_where_a_key_of_a_queue_is_lost(backend, redis_server, lose, key):
    push(backend, one("a", ttl_ms=SHORT), one("b", "joe"))
    lose(key)
    time.sleep(SHORT / 1000 + 0.005)
    backend.sweep()
    assert kept(backend) == []


@pytest.mark.parametrize("key", ["inbox:jane", "unread:jane", "kept:jane", "holds:jane", "held:puid-of-app-1", "inboxes", "held"])
def test_a_purge_leaves_no_content_of_a_user_where_a_key_of_their_inbox_is_lost(backend, redis_server, lose, key):
    push(backend, "a", held("b"))
    lose(key)
    backend.purge("jane")
    assert redis_server.client.keys(f"{PREFIX}*:jane") == [] and list(backend.inbox_records()) == []
