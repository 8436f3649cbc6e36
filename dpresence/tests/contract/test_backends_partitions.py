"""The settings name the servers of the partitions, and the directory remembers them."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dpresence.backends import check_redis, load, load_directory, send_signal
from dpresence.backends.partitions import url_of
from dpresence.backends.sql import tables
from dpresence.backends.tracker.partitions import PartitionedTracker
from dpresence.commands.cli import main
from dpresence.errors import SettingError
from dpresence.model import GrantSet
from dpresence.settings import RedisSettings, Settings, StorageSettings
from dpresence.settings.allowed import redis_name
from dpresence.tests.support import FakeClock

from .partitioned import users_of
from .redis import running
from .tracker_values import SignalListener


@pytest.fixture(scope="module")
def second(cooperative_redis):
    with running() as server:
        yield server


@pytest.fixture
def settings(tmp_path, redis_server, second):
    """Four partitions on two servers."""
    second.client.flushall()
    redis = RedisSettings(redis_server.url, urls=(redis_server.url, second.url), partitions=4)
    return Settings(storage=StorageSettings(f"sqlite:///{tmp_path}/presence.db", tracker="redis", mailbox="redis"), redis=redis)


def test_partitions_are_spread_over_the_servers_in_turn(settings, redis_server, second):
    backends = load(settings, FakeClock())
    assert isinstance(backends.tracker, PartitionedTracker)
    assert backends.ping() == {"directory": True, "tracker": True, "mailbox": True}
    assert backends.redis_state() == "ok"
    assert backends.redis_servers() == {redis_name(server.url): "ok" for server in (redis_server, second)}
    for some in users_of(1, 4):
        backends.tracker.connect(some[0], "phone", "c1", "online", GrantSet(0, ()), 20, 0)
    found = [[key.decode() for key in sorted(server.client.keys("dpresence:*")) if b":user:" in key] for server in (redis_server, second)]
    assert [[key[: len("dpresence:{0}t:")] for key in keys] for keys in found] == [
        ["dpresence:{0}t:", "dpresence:{2}t:"],
        ["dpresence:{1}t:", "dpresence:{3}t:"],
    ]
    backends.close()


def test_a_single_server_of_several_partitions_has_no_name_in_the_heartbeat(settings):
    backends = load(replace(settings, redis=replace(settings.redis, urls=())), FakeClock())
    assert backends.redis_servers() == {}
    backends.close()


def test_the_server_that_is_away_is_named(settings, second, caplog):
    backends = load(settings, FakeClock())
    second.kill()
    try:
        assert backends.ping() == {"directory": True, "tracker": False, "mailbox": True}
        assert backends.redis_servers()[redis_name(second.url)] == backends.redis_state() == "unreachable"
        gauges = {
            key: value for measures in (*backends.tracker.measures, backends.mailbox.measures) for key, value in measures.gauges().items()
        }
        assert {key: value for key, value in gauges.items() if "redis_server_up" in key} == {
            f"redis_server_up {redis_name(settings.redis.url)}": 1.0,
            f"redis_server_up {redis_name(second.url)}": 0.0,
        }
        assert any(line.startswith(f"redis {redis_name(second.url)}: ConnectionError") for line in caplog.messages)
    finally:
        backends.close()
        second.start()


def test_another_number_of_partitions_stops_a_start(settings):
    load(settings, FakeClock()).close()
    with pytest.raises(SettingError) as caught:
        load(replace(settings, redis=replace(settings.redis, partitions=8)), FakeClock())
    assert str(caught.value) == "redis.partitions = 8: must be 4, as at the first start with this database"


def test_an_ini_of_before_the_split_of_the_tracker_is_accepted_with_a_warning(settings, redis_server, second, caplog):
    load(settings, FakeClock()).close()
    backends = load(replace(settings, redis=replace(settings.redis, urls=(), partitions=1)), FakeClock())
    assert "redis.partitions = 1: set 4, as the tracker was split" in caplog.messages
    assert load_servers(backends) == [redis_name(server.url) for server in (redis_server, second)] * 2
    backends.close()


@pytest.mark.parametrize("urls", [(), (1, 0), (0,)], ids=["none", "another order", "one of two"])
def test_the_directory_says_where_partitions_are_whatever_the_settings_name(settings, redis_server, second, urls):
    load(settings, FakeClock()).close()
    named = tuple((redis_server.url, second.url)[number] for number in urls)
    backends = load(replace(settings, redis=replace(settings.redis, urls=named)), FakeClock())
    assert set(backends.redis_servers()) == {redis_name(server.url) for server in (redis_server, second)}
    assert load_servers(backends) == [redis_name(server.url) for server in (redis_server, second)] * 2
    backends.close()


def load_servers(backends) -> list[str]:
    """Return the server of each partition of an open tracker."""
    return [part.measures[0].server for part in backends.tracker._parts]


def test_a_service_with_one_partition_may_change_its_server_and_gets_no_other_number(settings, second):
    one = replace(settings, redis=RedisSettings(settings.redis.url))
    load(one, FakeClock()).close()
    load(replace(one, redis=RedisSettings(second.url)), FakeClock()).close()
    with pytest.raises(SettingError, match=r"^redis\.partitions = 4: must be 1"):
        load(settings, FakeClock())


ONE = r"^redis\.partitions = 4: must be 1, as this service has data of one partition in Redis \(dpresence:t:meta\)$"


@pytest.fixture
def upgraded(settings, redis_server):
    """A service of an earlier version, without stored partitions, whose database was upgraded."""
    redis_server.client.flushall()
    one = replace(settings, redis=RedisSettings(settings.redis.url))
    load(one, FakeClock()).close()
    directory = load_directory(one, FakeClock())
    directory.database.run(lambda connection: connection.execute(tables.partitions.delete()))
    directory.close()
    return one


def test_the_first_start_of_this_version_keeps_the_partition_of_a_service_that_has_run(upgraded, settings):
    with pytest.raises(SettingError, match=ONE):
        load(settings, FakeClock())
    load(upgraded, FakeClock()).close()


def test_a_service_that_has_run_gets_partitions_once_its_presence_is_deleted(upgraded, settings, redis_server):
    redis_server.client.delete(*redis_server.client.keys("dpresence:t:*"))
    load(settings, FakeClock()).close()


@pytest.mark.slow
@pytest.mark.parametrize("revision", ["0026_since_0014", "0023_since_0014"])
def test_a_check_before_an_upgrade_finds_that_the_service_has_one_partition(upgraded, settings, tmp_path, capsys, revision):
    directory = load_directory(upgraded, FakeClock())
    directory.database.run(lambda connection: connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'"))
    directory.close()
    assert main(["--ini", ini_of(settings, tmp_path), "check"]) == 1
    assert [line for line in capsys.readouterr().out.splitlines() if re.search(ONE, line)]


@pytest.mark.slow
def test_a_service_whose_presence_was_in_memory_may_begin_with_partitions(settings, redis_server):
    redis_server.client.flushall()
    load(replace(settings, storage=replace(settings.storage, tracker="memory")), FakeClock()).close()
    load(settings, FakeClock()).close()


def test_a_command_signals_to_every_service(settings):
    backends = load(settings, FakeClock())
    listener = SignalListener(backends.tracker)
    directory = load_directory(settings, FakeClock())
    send_signal(settings, directory, "changes", "7")
    directory.close()
    assert ("changes", "7") in listener.received()
    backends.close()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://a", "a:6379/0"),
        ("rediss://user:secret@A.example.org:7000/3", "a.example.org:7000/3"),
        ("redis://[2001:db8::1]:7000", "[2001:db8::1]:7000/0"),
        ("unix://:secret@/run/redis.sock?db=1", "/run/redis.sock"),
    ],
)
def test_the_name_of_a_server_has_no_secret(url, name):
    assert redis_name(url) == name


@pytest.mark.parametrize(
    ("first", "name", "url"),
    [
        ("redis://a", "b:7000/0", "redis://b:7000/0"),
        ("rediss://user:secret@a:1/3?socket_keepalive=true", "b:7000/0", "rediss://user:secret@b:7000/0?socket_keepalive=true"),
        ("redis://:secret@a", "[2001:db8::1]:7000/0", "redis://:secret@[2001:db8::1]:7000/0"),
        ("redis://:secret@a", "/run/redis.sock", "unix://:secret@/run/redis.sock"),
        ("unix:///run/redis.sock?db=1", "b:7000/2", "redis://b:7000/2"),
        ("unix:///run/redis.sock", "/run/other.sock", "unix:///run/other.sock"),
    ],
)
def test_a_server_that_no_setting_names_is_reached_like_the_first_one(first, name, url):
    assert url_of(RedisSettings(first, partitions=4), name) == url
    assert redis_name(url) == name


@pytest.mark.slow
def test_the_doctor_examines_every_server(settings, tmp_path, redis_server, second, capsys):
    ini = tmp_path / "presence.ini"
    urls = f"redis.url = {redis_server.url}\nredis.urls = {redis_server.url} {second.url}\nredis.partitions = 4\n"
    ini.write_text(
        f"[app:main]\nuse = egg:dpresence\ndirectory.url = {settings.storage.directory_url}\ntracker = redis\nmailbox = redis\n{urls}"
    )
    main(["--ini", str(ini), "--json", "doctor"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    texts = [finding["text"] for finding in found if finding["check"] == "redis"]
    for server in (redis_server, second):
        assert [text for text in texts if text.startswith(f"{redis_name(server.url)}: version")]


def ini_of(settings: Settings, folder: Path) -> str:
    redis = settings.redis
    lines = [
        *("[app:main]", "use = egg:dpresence", f"directory.url = {settings.storage.directory_url}", "tracker = redis"),
        *("mailbox = redis", f"redis.url = {redis.url}", f"redis.urls = {' '.join(redis.urls)}", f"redis.partitions = {redis.partitions}"),
        *("redis.timeout_seconds = 0.5", "[server:main]", "use = egg:dpresence", "port = 0"),
    ]
    ini = folder / "presence.ini"
    ini.write_text("\n".join(lines))
    return str(ini)


@pytest.mark.slow
def test_a_check_finds_partitions_that_do_not_fit_those_of_the_database(settings, tmp_path, capsys):
    load(settings, FakeClock()).close()
    assert main(["--ini", ini_of(settings, tmp_path), "check"]) == 0, capsys.readouterr()
    other = replace(settings, redis=replace(settings.redis, partitions=8))
    assert main(["--ini", ini_of(other, tmp_path), "check"]) == 1
    assert "redis.partitions = 8: must be 4, as at the first start with this database" in capsys.readouterr().out.splitlines()
    load(settings, FakeClock()).close()


@pytest.mark.slow
def test_a_check_before_the_first_start_stores_no_partitions(settings, tmp_path):
    load_directory(settings, FakeClock()).close()
    assert main(["--ini", ini_of(replace(settings, redis=replace(settings.redis, partitions=8)), tmp_path), "check"]) == 0
    load(settings, FakeClock()).close()


@pytest.mark.slow
def test_every_server_that_does_not_answer_is_named_with_its_setting(settings, tmp_path, second, capsys):
    urls = (*settings.redis.urls, "redis://127.0.0.1:1/0", "redis://:Canary7x@127.0.0.1:2/0")
    ini = ini_of(replace(settings, redis=replace(settings.redis, urls=urls)), tmp_path)
    assert main(["--ini", ini, "check"]) == 1
    lines = [f"redis.urls: the Redis 127.0.0.1:{port}/0 does not answer" for port in (1, 2)]
    assert capsys.readouterr().out.splitlines() == lines
    assert main(["--ini", ini, "--json", "doctor"]) == 1
    written = capsys.readouterr().out
    found = [json.loads(line) for line in written.splitlines()]
    errors = [each["text"] for each in found if (each["check"], each["level"]) == ("redis", "error")]
    assert errors == [f"127.0.0.1:{port}/0: this Redis does not answer" for port in (1, 2)] and "Canary7x" not in written
    assert any(each["text"].startswith(f"{redis_name(second.url)}: version") for each in found)


@pytest.mark.slow
def test_a_check_examines_the_servers_that_the_directory_names(settings, tmp_path, second, capsys):
    load(settings, FakeClock()).close()
    ini = ini_of(replace(settings, redis=replace(settings.redis, urls=())), tmp_path)
    second.kill()
    try:
        assert main(["--ini", ini, "check"]) == 1
        assert capsys.readouterr().out.splitlines() == [f"redis.urls: the Redis {redis_name(second.url)} does not answer"]
        main(["--ini", ini, "--json", "doctor"])
        found = [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]
        assert f"{redis_name(second.url)}: this Redis does not answer" in found
    finally:
        second.start()


def test_an_unknown_option_is_named_with_its_setting(settings):
    wrong = replace(settings, redis=replace(settings.redis, urls=(settings.redis.url, "redis://127.0.0.1:2/0?foo=1")))
    with pytest.raises(SettingError, match=r"^redis\.urls: must have no options"):
        check_redis(wrong)


@pytest.fixture
def elsewhere(settings):
    """The tracker is on the servers of ``redis.urls``, and nothing uses ``redis.url``, where no server is."""
    redis = replace(settings.redis, url="redis://127.0.0.1:1/0", timeout_seconds=0.5)
    return replace(settings, storage=replace(settings.storage, mailbox="sql"), redis=redis)


@pytest.mark.slow
def test_a_server_that_nothing_uses_is_neither_needed_nor_checked(elsewhere):
    check_redis(elsewhere)
    with closing(load(elsewhere, FakeClock())) as backends:
        assert backends.ping() == {"directory": True, "tracker": True, "mailbox": True}


def test_a_single_partition_is_on_the_server_of_the_urls(elsewhere, second):
    with closing(load(replace(elsewhere, redis=replace(elsewhere.redis, urls=(second.url,), partitions=1)), FakeClock())) as backends:
        assert second.client.exists("dpresence:t:meta")
        assert backends.redis_servers() == {}
