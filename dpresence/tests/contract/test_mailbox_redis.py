"""The mailbox on a real Redis keeps the contract; what it answered survives a kill; a Redis that would lose it is refused."""

from __future__ import annotations

import gevent
import pytest

from dpresence.backends.mailbox.redis import RedisMailbox
from dpresence.errors import BackendUnavailable, SettingError
from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .mailbox import CALLS, SHORT, MailboxContract, kept, one, push, settle
from .mailbox_control import MailboxControlContract
from .mailbox_ends import MailboxEndsContract
from .mailbox_inbox import MailboxInboxContract
from .redis import running


class TestOnRedis(MailboxContract, MailboxControlContract, MailboxEndsContract, MailboxInboxContract):
    @pytest.fixture
    def backend(self, redis_server):
        mailbox = RedisMailbox(redis_server.server(), allow_volatile=False)
        yield mailbox
        mailbox.close()

    @pytest.fixture
    def lost(self, lost_redis):
        lost_redis.start()
        mailbox = RedisMailbox(lost_redis.server(seconds=2), allow_volatile=False)
        eventually(lambda: mailbox.ping() is None)
        lost_redis.kill()
        yield mailbox
        mailbox.close()

    def test_every_method_recovers(self, lost, lost_redis):
        for call in CALLS.values():
            with pytest.raises(BackendUnavailable):
                call(lost)
        lost_redis.start()
        for call in CALLS.values():
            eventually(lambda call=call: call(lost) or True)

    @pytest.mark.slow
    def test_a_server_that_stands_still_is_unavailable_and_every_method_recovers(self, lost, lost_redis):
        lost_redis.start()
        eventually(lambda: lost.ping() is None)
        with lost_redis.stopped():
            calls = [gevent.spawn(pytest.raises, BackendUnavailable, call, lost) for call in CALLS.values()]
            gevent.joinall(calls, timeout=PATIENCE_SECONDS, raise_error=True)
        for call in CALLS.values():
            eventually(lambda call=call: call(lost) or True)

    def test_nothing_is_left_of_what_is_gone(self, backend, redis_server, pass_by):
        push(backend, "a", "b", one("c", ttl_ms=SHORT))
        push(backend, one("d", "joe"), one("e", "joe"), limit=1)
        push(backend, one("f", "jim"), one("g", "jim"), one("h", "jim", ttl_ms=SHORT))
        settle(backend, "jane", ["a"])
        settle(backend, "jane", ["b", "c"], offline_to=None)
        settle(backend, "jim", ["f", "h"], offline_to=None)
        backend.purge("joe")
        backend.purge("jim")
        backend.purge("jane")
        pass_by(SHORT)
        backend.sweep()
        assert redis_server.client.keys() == [b"dpresence:m:count"]

    def test_two_services_share_one_redis_unseen(self, backend, redis_server):
        other = RedisMailbox(redis_server.server(prefix="other:"), allow_volatile=False)
        push(backend, "a")
        assert kept(other) == []
        other.close()


def test_answered_writes_survive_a_kill(lost_redis):
    lost_redis.start()
    mailbox = RedisMailbox(lost_redis.server(), allow_volatile=False)
    push(mailbox, "a")
    push(mailbox, "b", "c")
    settle(mailbox, "jane", ["a"])
    mailbox.close()
    lost_redis.restart()
    mailbox = RedisMailbox(lost_redis.server(), allow_volatile=False)
    assert kept(mailbox) == ["b", "c"]
    mailbox.close()


def test_a_redis_without_an_append_only_file_is_refused_unless_it_is_allowed():
    with running(appendonly=False) as redis:
        with pytest.raises(SettingError) as refused:
            RedisMailbox(redis.server(), allow_volatile=False)
        assert str(refused.value) == (
            "redis.url: this Redis loses acknowledged notifications: it has no append-only file; set appendonly yes; "
            "or accept the loss with mailbox.redis.allow_volatile = true"
        )
        RedisMailbox(redis.server(), allow_volatile=True).close()


def test_a_redis_that_drops_keys_when_it_is_full_is_refused(redis_server):
    redis_server.client.config_set("maxmemory", "100mb")
    redis_server.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(SettingError, match=r"set maxmemory-policy noeviction, not allkeys-lru; or accept"):
            RedisMailbox(redis_server.server(), allow_volatile=False)
    finally:
        redis_server.client.config_set("maxmemory-policy", "noeviction")
        redis_server.client.config_set("maxmemory", "0")


def test_a_redis_that_is_away_at_the_start_is_unavailable(lost_redis):
    with pytest.raises(BackendUnavailable):
        RedisMailbox(lost_redis.server(), allow_volatile=False)


def test_a_full_redis_refuses_and_keeps_what_it_has(redis_server):
    mailbox = RedisMailbox(redis_server.server(), allow_volatile=False)
    push(mailbox, "a")
    redis_server.client.config_set("maxmemory", "1")
    try:
        with pytest.raises(BackendUnavailable):
            push(mailbox, "b")
    finally:
        redis_server.client.config_set("maxmemory", "0")
    mailbox.close()
    mailbox = RedisMailbox(redis_server.server(), allow_volatile=False)
    assert kept(mailbox) == ["a"]
    mailbox.close()


@pytest.mark.parametrize(("fsync", "warned"), [("always", False), ("everysec", True)])
def test_the_start_warns_of_writes_that_a_crash_may_take_back(redis_server, caplog, fsync, warned):
    redis_server.client.config_set("appendfsync", fsync)
    RedisMailbox(redis_server.server(), allow_volatile=False).close()
    redis_server.client.config_set("appendfsync", "everysec")
    assert ("set appendfsync always, not everysec" in caplog.text) is warned
