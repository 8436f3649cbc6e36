"""Partitions at several servers: what is lost with a server, what is not, and how it comes back."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import pytest

from dpresence.backends.partition_states import is_served
from dpresence.backends.partitions import CLUSTER
from dpresence.errors import BackendUnavailable
from dpresence.model import DirectoryVersion
from dpresence.service.feeds import Feeds
from dpresence.settings import RedisSettings
from dpresence.settings.allowed import redis_name
from dpresence.tests.support import FakeClock, view_and_head
from dpresence.tests.waiting import eventually

from .partition_servers import AWAY, PARTITIONS, bring, here, processes, puid, servers, set_status, three, users
from .partitioned import Reader, make_tracker
from .tracker_values import SETTINGS, SignalListener, grant, seen

__all__ = ["here", "processes", "servers", "three", "users"]


def test_a_process_reads_the_changes_of_another_one_and_only_the_parts_with_something_new(processes, users, monkeypatch):
    one, two = processes
    bring(one, users)
    reader, asked = Reader(two), []
    assert reader.read() == 0
    for number, part in enumerate(two._parts):
        monkeypatch.setattr(part, "read", lambda *of, number=number, read=part.read: asked.append(number) or read(*of))
    listener = SignalListener(two)
    for number in (4, 2, 4):
        set_status(one, users[number], "unavailable" if number == 2 or not asked else "online")
    eventually(lambda: len([1 for topic, _ in listener._signals if topic == "feed"]) >= 2)
    eventually(lambda: reader.read() == 0 and reader.statuses == seen(one))
    assert set(asked) == {2, 4}
    asked.clear()
    assert (reader.read(), asked) == (0, [])


def test_a_reader_that_is_behind_another_one_of_its_process_misses_nothing(processes, users):
    one, _ = processes
    early = Reader(one)
    bring(one, users)
    late = Reader(one)
    for user in users:
        set_status(one, user, "unavailable")
    assert late.read() == 6
    assert late.read() == 0
    assert early.read() == 12
    assert early.offset == late.offset
    assert early.statuses == late.statuses


def test_a_cursor_leads_any_process_to_its_place_and_is_short(processes, users):
    one, two = processes
    bring(one, users[:3])
    cursor, offset = one.cursor(Reader(one).offset), Reader(one).offset
    set_status(one, users[0], "unavailable")
    assert two.offset("chess", cursor) == offset == one.offset("chess", cursor)
    assert two.cursor(offset) == cursor
    assert len(cursor) < 17 + 3 * PARTITIONS
    assert [entry.status for entry in two.read("chess", offset, 10)] == ["unavailable"]


@pytest.mark.parametrize("change", ["", "{}.", "{}.1", "x{}", "{}-0", "{}-1x", "{}-", "0.{}", "{}" + "0" * 20])
def test_an_invalid_cursor_is_not_covered(processes, users, change):
    one, _ = processes
    bring(one, users)
    cursor = one.cursor(Reader(one).offset)
    assert one.offset("chess", change.replace("{}", cursor)) is None
    assert one.assumed_offset(change.replace("{}", cursor)) is None


@pytest.mark.parametrize("part", range(PARTITIONS))
def test_a_cursor_ahead_of_one_part_is_not_covered(processes, users, part):
    one, _ = processes
    bring(one, users)
    offset = Reader(one).offset
    ahead = tuple(each + (number == part) for number, each in enumerate(offset))
    assert one.offset("chess", one.cursor(ahead)) is None
    assert one.read("chess", ahead, 10) is None


class TestAServerIsAway:
    """The users of its partitions get an error, everybody else goes on."""

    @pytest.fixture
    def reader(self, processes, users):
        bring(processes[0], users)
        reader = Reader(processes[1])
        assert reader.read() == 0
        return reader

    @pytest.fixture(autouse=True)
    def away(self, servers, reader):
        servers[AWAY].kill()

    def test_only_its_users_are_refused(self, processes, users, here):
        for user in users:
            for tracker in processes:
                if user in here:
                    assert tracker.status(user) == "online"
                else:
                    with pytest.raises(BackendUnavailable):
                        tracker.status(user)
        for user in here:
            assert set_status(processes[0], user, "unavailable")

    @pytest.mark.slow
    def test_feeds_are_read_without_its_part_and_a_signal_follows(self, processes, here, reader):
        for user in here:
            set_status(processes[0], user, "unavailable")
        eventually(lambda: reader.read() == 0 and [reader.statuses[puid(user)] for user in here] == ["unavailable"] * 4)
        listener = SignalListener(processes[1])
        processes[1]._reader.record_gap(AWAY)
        assert reader.read() == 0
        eventually(lambda: ("feed", "chess") in listener._signals)

    def test_the_newest_entries_of_the_others_are_found(self, processes, users, here):
        grants = [grant(user) for user in users]
        found = processes[1].latest_of_grants("chess", grants, allow_missing=True)
        assert {puid(user): "online" for user in here} == {key: entry.status for key, entry in found.items()}
        assert processes[1].latest_of_grants("chess", [grant(user) for user in here]) == found
        with pytest.raises(BackendUnavailable):
            processes[1].latest_of_grants("chess", grants)
        with pytest.raises(BackendUnavailable):
            processes[1].latest_of_grants("chess", [grant(users[AWAY])], allow_missing=True)

    def test_nothing_is_missed_when_it_is_back(self, servers, processes, users, here, reader):
        for user in here:
            set_status(processes[0], user, "unavailable")
        reader.read()
        servers[AWAY].start()
        for user in users:
            eventually(lambda user=user: set_status(processes[0], user, "offline"))
        eventually(lambda: reader.read() == 0 and set(reader.statuses.values()) == {"offline"})
        assert len([entry for entry in reader.entries if entry.status == "offline"]) == len(users)
        assert reader.statuses == seen(processes[1])

    def test_an_app_service_that_connects_again_continues_from_its_cursor(self, servers, processes, users, here, reader):
        cursor = processes[1].cursor(reader.offset)
        set_status(processes[0], here[0], "unavailable")
        assert processes[1].offset("chess", cursor) == reader.offset
        assert [entry.puid for entry in processes[1].read("chess", reader.offset, 10)] == [puid(here[0])]

    def test_a_snapshot_and_a_ping_need_all(self, processes):
        for call in (lambda: view_and_head(processes[0], "chess"), processes[0].ping):
            with pytest.raises(BackendUnavailable):
                call()

    def test_the_rest_goes_on_with_leases_and_sweeps(self, processes, users, here):
        one = processes[0]
        for user in here:
            one.leave(user, "phone", "c1")
        one._parts[0]._registration._clock.advance(15)
        assert sorted(one.due()) == sorted(here)
        one.renew()
        assert one.postponed() == []

    def test_a_task_of_any_partition_is_claimed_once(self, processes):
        one, two = processes
        tasks = [f"task {number}" for number in range(4 * PARTITIONS)]
        assert [one.claim(task, 60) for task in tasks] == [True] * len(tasks)
        assert [two.claim(task, 60) for task in tasks] == [False] * len(tasks)

    def test_an_older_directory_is_noticed(self, processes):
        one, two = processes
        assert one.record_version(DirectoryVersion("g", 5)) and not two.record_version(DirectoryVersion("g", 4))

    def test_the_view_of_the_others_is_read_before_the_error(self, processes, here):
        pages, found = processes[0].view("chess"), set[str]()
        with pytest.raises(BackendUnavailable):
            for page in pages:
                found |= page.keys()
        assert found == {puid(user) for user in here}

    def test_feeds_of_the_others_are_swept(self, processes, monkeypatch):
        one, existing = processes[0], {"chess"}
        monkeypatch.setattr(one, "claim", lambda task, seconds: True)
        with pytest.raises(BackendUnavailable):
            one.applications("", 10)
        directory = SimpleNamespace(existing=existing.intersection, newest_application=lambda: 0)
        feeds, part = Feeds(directory, one, SETTINGS, FakeClock()), one._parts[0]
        part._registration._clock.advance(SETTINGS.feed_seconds + 1)
        feeds.sweep()
        assert part.read("chess", part.head("chess") - 1, 10) is None, "the update is too old"
        existing.clear()
        feeds.sweep()
        assert list(one.applications("", 10, allow_missing=True)) == []

    def test_all_servers_away_is_an_error(self, servers, processes, reader):
        for server in servers:
            server.kill()
        for number in range(PARTITIONS):
            processes[1]._reader.record_gap(number)
        for call in (reader.read, processes[0].due, processes[0].renew, processes[0].postponed):
            with pytest.raises(BackendUnavailable):
                call()


def counts(tracker) -> dict[str, float]:
    return {key: value for measures in tracker.measures for key, value in measures.counts().items()}


def test_the_server_that_has_lost_its_data_is_named_with_its_partitions(processes, servers, caplog):
    caplog.set_level(logging.INFO)
    one, _ = processes
    servers[AWAY].restart()
    eventually(lambda: one.ping() is None)
    servers[AWAY].client.flushall()
    eventually(lambda: one.ping() is None)
    found, lost = counts(one), redis_name(servers[AWAY].url)
    assert (found[f"redis_switches {lost}"], found[f"redis_resets {lost}"]) == (1, 2)
    for server in servers:
        assert server is servers[AWAY] or found[f"redis_resets {redis_name(server.url)}"] == 0
    assert f"redis {lost}: connected to another server, or to one that was restarted" in caplog.messages
    assert f"redis {lost}: the server does not know this process; its devices are connected again (partitions 1, 4)" in caplog.messages
    eventually(lambda: f"redis {lost}: signals are received again" in caplog.messages)


def test_a_server_that_comes_back_empty_voids_every_cursor_and_its_devices_are_connected_again(servers, processes, users):
    one, two = processes
    bring(one, users)
    cursor, listener = one.cursor(Reader(one).offset), SignalListener(one)
    servers[AWAY].kill()
    servers[AWAY].forget()
    servers[AWAY].start()
    eventually(lambda: one.ping() is None and two.ping() is None)
    eventually(lambda: ("forgotten", "") in listener._signals)
    assert two.offset("chess", cursor) is None
    assert {user: two.status(user) for number, user in enumerate(users)} == {
        user: "offline" if number % 3 == AWAY else "online" for number, user in enumerate(users)
    }


def test_the_revocation_of_a_puid_whose_user_is_unknown_is_appended_once(processes, users):
    one, _ = processes
    bring(one, users)
    reader = Reader(one)
    one.append_revocation(replace(grant(""), puid=puid(users[3])))
    assert reader.read() == 1
    assert (reader.entries[0].puid, reader.entries[0].reason) == (puid(users[3]), "revoked")


@pytest.mark.slow
def test_processes_are_found_at_nodes_of_a_cluster_that_the_settings_do_not_name(_redis_cluster, redis_nodes):
    nodes = redis_nodes(1)
    (other, *_) = (node for node in _redis_cluster().primaries if node not in nodes)
    settings = RedisSettings(urls=(other.url,), partitions=2, cluster=True)
    assert not is_served(settings, [CLUSTER])
    with closing(make_tracker(nodes, 1)):
        assert is_served(settings, [CLUSTER])
