"""Backends that follow real Sentinels: after a planned failover, after the end of the primary, and while a Sentinel is wrong."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import gevent
import pytest

from dpresence.backends import load_directory, send_signal
from dpresence.backends.mailbox.redis import RedisMailbox
from dpresence.backends.redis.connections import ConnectionFactory
from dpresence.backends.redis.sentinels import Address
from dpresence.clock import Clock
from dpresence.commands.cli import main
from dpresence.errors import BackendUnavailable
from dpresence.settings import Settings, StorageSettings
from dpresence.tests.waiting import eventually

from .mailbox import kept, push
from .redis import RedisServer
from .sentinels import Group, guarded
from .tracker_values import JANE, SETTINGS, SignalListener, connect, head, seen, update


@pytest.fixture(scope="module")
def group(cooperative_redis):
    with guarded(password="of-redis", sentinel_password="of-sentinels") as group:
        yield group


@pytest.fixture
def settled(group: Group) -> Group:
    """The group with a replica that has everything."""
    for server in group.servers.values():
        if server.process is None:
            server.start()

    def follower() -> RedisServer | None:
        """Return the replica if it follows the primary, which Sentinels may replace at any moment while the machine is busy."""
        primary = group.primary
        other = next(port for port in group.servers if port != primary)
        facts = group.servers[other].client.info("replication")
        if facts["role"] == "master":
            group.follow(other, primary)  # Sentinels do the same, some seconds later
        return group.servers[other] if facts.get("master_link_status") == "up" and facts["master_port"] == primary else None

    replica = eventually(follower)
    group.servers[group.primary].client.flushall()
    eventually(lambda: replica.client.dbsize() == 0)
    return group


@pytest.fixture
def mailbox(settled: Group):
    mailbox = RedisMailbox(settled.server(), allow_volatile=False)
    yield mailbox
    mailbox.close()


def replicated(group: Group) -> bool:
    """Return whether the replica has everything."""
    facts = group.servers[group.primary].client.info("replication")
    return "slave0" in facts and bool(facts["master_repl_offset"] == facts["slave0"]["offset"])


@pytest.mark.slow
def test_a_planned_failover_is_followed_by_calls_signals_and_commands(settled, mailbox, trackers):
    one, two = (trackers(settled.server(), SETTINGS, Clock()) for _ in range(2))
    connect(one)
    push(mailbox, "a")
    eventually(lambda: replicated(settled))
    before = settled.primary
    settled.fail_over()
    for tracker in (one, two):
        eventually(lambda tracker=tracker: tracker._client._server._run == run_of(settled) and tracker.ping() is None, seconds=10)
    listener = SignalListener(two)
    eventually(lambda: one.signal("mail", "jane") or ("mail", "jane") in listener.received(), seconds=10)
    eventually(lambda: push(mailbox, "b"), seconds=10)
    assert kept(mailbox) == ["a", "b"]
    server = settled.servers[settled.primary]
    assert settled.primary != before and server.client.hexists("dpresence:t:processes", one._registration.process)
    settings = Settings(storage=StorageSettings("sqlite://", tracker="redis"), redis=settled.settings)
    with closing(load_directory(settings, Clock())) as directory:
        send_signal(settings, directory, "mail", "joe")
    eventually(lambda: ("mail", "joe") in listener.received())


def run_of(group: Group) -> str:
    return str(group.servers[group.primary].client.info("server")["run_id"])


@pytest.mark.slow
def test_the_rights_at_the_sentinels_that_the_documents_name_are_enough(settled, trackers):
    text = (Path(__file__).parents[3] / "docs" / "scaling.md").read_text(encoding="utf-8")
    command = re.search(r"^ +(ACL SETUSER dpresence .*&\+switch-master.*)$", text, re.MULTILINE)[1].split()
    for sentinel in settled.sentinels:
        sentinel.client.execute_command(*command)
    tracker = trackers(ConnectionFactory(replace(settled.settings, sentinel_user="dpresence", sentinel_password="password")))
    connect(tracker)
    settled.fail_over()
    eventually(lambda: tracker._client._server._run == run_of(settled) and tracker.ping() is None, seconds=10)
    listener = SignalListener(tracker)
    eventually(lambda: tracker.signal("mail", "jane") or ("mail", "jane") in listener.received(), seconds=10)
    for sentinel in settled.sentinels:
        sentinel.client.execute_command("ACL", "DELUSER", "dpresence")


@pytest.mark.slow
def test_nothing_is_forgotten_when_a_replica_that_has_everything_takes_over(settled, mailbox, trackers):
    one, other = (trackers(settled.server(), SETTINGS, Clock()) for _ in range(2))
    connect(one)
    cursor, listener = one.cursor(head(one)), SignalListener(one)
    push(mailbox, "a")
    eventually(lambda: replicated(settled))
    before = settled.primary
    settled.servers[before].kill()
    settled.await_other_than(before)
    eventually(lambda: one.ping() is None and mailbox.ping() is None, seconds=10)
    assert one.offset("chess", cursor) == head(one)
    assert seen(one) == {JANE.puid: "online"} and update(one, "unavailable") is True
    assert kept(mailbox) == ["a"]
    assert ("forgotten", "") not in listener.received()
    assert other.published() is not None


@pytest.mark.slow
def test_a_primary_that_the_sentinels_have_given_up_is_left_although_it_answers(settled, trackers):
    """Its port stays reachable for the service, and its end of the connection says nothing."""
    tracker = trackers(settled.server(), SETTINGS, Clock())
    connect(tracker)
    eventually(lambda: replicated(settled))
    before = settled.primary
    settled.fail_over()
    eventually(lambda: tracker._client._server._address == Address("127.0.0.1", settled.primary), seconds=10)
    role = settled.servers[before].client.role()[0]
    assert role == b"master", "it has not been demoted yet"
    assert seen(tracker) == {JANE.puid: "online"}


@pytest.mark.slow
def test_a_sentinel_that_is_down_delays_nobody(settled, trackers, caplog):
    settled.sentinels[0].kill()
    try:
        tracker = trackers(settled.server(), SETTINGS, Clock())
        eventually(lambda: "cannot be followed" in caplog.text)
        before = settled.primary
        settled.servers[before].kill()
        settled.await_other_than(before)
        eventually(lambda: tracker.ping() is None, seconds=10)
    finally:
        settled.sentinels[0].start()
    eventually(lambda: int(settled.sentinels[0].view()["port"]) == settled.primary)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"sentinel_password": "canary7x"}, "invalid username-password pair"),
        ({"sentinel_master": "other"}, "No such master with that name"),
        ({"sentinels": ("127.0.0.1:1",)}, "Connection refused"),
    ],
)
def test_sentinels_that_name_no_primary_are_named_in_the_log(settled, caplog, wrong, told):
    server = ConnectionFactory(replace(settled.settings, **wrong))
    with pytest.raises(BackendUnavailable) as caught:
        server.facts()
    assert caught.value.reason.startswith("has no primary that the Sentinels agree on")
    assert told in caplog.text and "canary7x" not in caplog.text
    assert server.state.current == "no_primary"


@pytest.mark.slow
def test_the_doctor_examines_sentinels_and_replicas(settled, tmp_path: Path, capsys):
    ini = tmp_path / "presence.ini"
    keys = {"directory.url": f"sqlite:///{tmp_path}/x.db", "tracker": "redis", "mailbox": "redis", **settled.ini}
    ini.write_text("[app:main]\nuse = egg:dpresence\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()))

    def findings() -> list[tuple[str, str]]:
        main(["--ini", str(ini), "--json", "doctor"])
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [(each["level"], each["text"]) for each in found if each["check"] == "redis"]

    replica = next(port for port in settled.servers if port != settled.primary)
    texts = findings()
    assert ("ok", f"the Sentinels name 127.0.0.1:{settled.primary} as mymaster, quorum 2 of 3") in texts
    assert any(level == "ok" and text.startswith(f"the replica 127.0.0.1:{replica} is ") for level, text in texts), texts
    assert ("warning", "min-replicas-to-write is 0: writes to a primary that is cut off are lost") in texts
    client = settled.servers[replica].client
    client.config_set("appendfsync", "everysec")
    client.config_set("maxmemory-policy", "allkeys-lru")
    settled.sentinels[1].kill()
    try:
        texts = findings()
    finally:
        settled.sentinels[1].start()
        client.config_set("appendfsync", "always")
        client.config_set("maxmemory-policy", "noeviction")
    assert ("warning", f"the replica 127.0.0.1:{replica}: appendonly is yes, appendfsync everysec") in texts
    assert ("error", f"the replica 127.0.0.1:{replica}: maxmemory-policy is allkeys-lru") in texts
    assert any(level == "warning" and f"127.0.0.1:{settled.sentinels[1].port} does not help" in text for level, text in texts)


@pytest.mark.slow
def test_a_replica_with_other_settings_that_takes_over_is_warned_of(settled, mailbox, trackers, caplog):
    tracker = trackers(settled.server(), SETTINGS, Clock())
    replica = next(port for port in settled.servers if port != settled.primary)
    client = settled.servers[replica].client
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("appendonly", "no")
    try:
        settled.fail_over()
        eventually(lambda: tracker.ping() is None and mailbox.ping() is None)
        eventually(lambda: "set maxmemory-policy noeviction, not allkeys-lru" in caplog.text)
        eventually(lambda: "may be lost at a crash: it has no append-only file; set appendonly yes" in caplog.text)
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("appendonly", "yes")
        eventually(lambda: not client.info("persistence")["aof_rewrite_in_progress"])


def test_a_sentinel_that_has_missed_the_failover_misleads_nobody(settled):
    if int(settled.sentinels[2].view()["config-epoch"]) == 0:
        settled.fail_over()
    stale = settled.sentinels[2].client
    stale.execute_command("SENTINEL", "REMOVE", "mymaster")
    stale.execute_command("SENTINEL", "MONITOR", "mymaster", "127.0.0.1", "9", "2")
    sentinels = settled.server().sentinels
    assert sentinels is not None
    for _ in range(10):
        assert sentinels.primary() == Address("127.0.0.1", settled.primary)
    gevent.sleep(0)
