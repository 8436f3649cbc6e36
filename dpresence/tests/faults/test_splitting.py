"""The tracker of two real processes is split into partitions, which then move to more servers, and the command is killed."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager

import pytest

from dpresence.settings.allowed import redis_name

from ..contract.redis import running as running_redis
from ..contract.sentinels import guarded
from ..contract.test_redis_access import certify
from ..live.clients import activate
from ..live.service import Site
from .cluster import Cluster, Stores
from .crowd import crowd
from .partition_operator import Operator
from .proxy import Proxy, to_unix
from .test_moving_partitions import DEVICES, LOCK_SECONDS, update_during

pytestmark = pytest.mark.faults

PARTITIONS, ROAMING = 8, 20
TLS = "TLS"
SETTINGS = {"presence.grace_seconds": 15}
"""The default: a device that is refused because nobody is served comes back after five seconds and more."""


@pytest.fixture
def servers(request, tmp_path):
    """Two servers, behind a password and TLS if the test says so; the service's ini names the first one."""
    behind_tls = getattr(request, "param", "") == TLS
    with ExitStack() as started:
        servers = [started.enter_context(running_redis(fsync="always", password="secret" * behind_tls)) for _ in range(2)]
        if behind_tls:
            pem, context = certify(tmp_path, "127.0.0.1")
            for server in servers:
                proxy = started.enter_context(Proxy(to_unix(server.socket), context))
                server.url = f"rediss://:secret@127.0.0.1:{proxy.port}/0?ssl_ca_certs={pem}"
        yield servers


class Splitter(Operator):
    """Splits the tracker."""

    def split(self) -> str:
        """Split, check that it succeeds, and return the output."""
        return self.succeeds("split", "--into", str(PARTITIONS), beginning=f"the tracker has {PARTITIONS} partitions")

    def killed(self, at: int) -> None:
        """Split, and be killed before a step."""
        self.is_killed("split", "--into", str(PARTITIONS), at=at)


@contextmanager
def serving(redis, postgresql, settings):
    """Run two processes with everybody online."""
    with Site() as site, Cluster(Stores(redis, postgresql), settings) as cluster:
        one, two = cluster.start(), cluster.start()
        application = activate(one.origin, site)
        with crowd(cluster.seed(application.appid, DEVICES)) as all_:
            all_.bring(one.port, two.port)
            for process in (one, two):
                all_.audit(process.port, application.appid, application.key)
            yield all_, Splitter(one.ini)


@pytest.fixture
def service(postgresql, servers):
    """Two processes and everybody online."""
    with serving(servers[0], postgresql, SETTINGS) as service:
        yield service


def assert_nobody_is_shown_as_offline(all_) -> None:
    """Check that every update arrived, that applications got one more snapshot, and that nobody was shown as offline."""
    assert all_.all_in(60), all_.report()
    all_.say_again()
    assert all_.agree(30) < 30
    for auditor in all_.auditors:
        assert (auditor.holes, auditor.offlines(), auditor.counts["snapshots"]) == (0, 0, 2), auditor.counts
        assert auditor.at_snapshot["offline"] == 0, auditor.at_snapshot
    assert set(all_.fleet.refused) <= {201}, all_.fleet.refused


@pytest.mark.parametrize("servers", ["plain", TLS], indirect=True)
def test_nobody_is_shown_as_offline_when_the_tracker_is_split_and_spread(service, servers, figures):
    all_, operator = service
    said = []

    def split() -> None:
        time.sleep(1)
        said.append(operator.split())
        for number in range(0, PARTITIONS, 2):
            done = operator.run("move", str(number), "--to", redis_name(servers[1].url))
            assert done.returncode == 0, done

    all_.loop.later(1, lambda: [device.drop() for device in all_.fleet.devices[:ROAMING]])
    update_during(all_, split)
    figures.tell("the tracker is split", "updates refused meanwhile", sum(all_.fleet.refused.values()))
    figures.tell("the tracker is split", "what the command says", said[0].strip())
    assert sum(all_.fleet.ends.values()) == ROAMING, "no other device lost its connection"
    assert_nobody_is_shown_as_offline(all_)


@pytest.mark.parametrize("at", [4, 8, 10], ids=["copying", "copied", "switched"])
def test_nobody_is_shown_as_offline_when_the_command_is_killed_and_repeated(service, at):
    all_, operator = service

    def split() -> None:
        operator.killed(at)
        time.sleep(LOCK_SECONDS)
        operator.split()

    all_.loop.later(LOCK_SECONDS - 2, lambda: [device.drop() for device in all_.fleet.devices[:ROAMING]])  # nobody is served then
    update_during(all_, split)
    assert_nobody_is_shown_as_offline(all_)


@pytest.mark.parametrize("at", [4, 10], ids=["copying", "switched"])
def test_every_table_is_right_when_the_primary_dies_after_the_command_was_killed(postgresql, at):
    with guarded() as group:
        settings = {**SETTINGS, **{key: value for key, value in group.ini.items() if key != "redis.url"}}
        with serving(group, postgresql, settings) as (all_, operator):

            def split() -> None:
                operator.killed(at)
                before = group.primary
                group.servers[before].kill()
                group.await_other_than(before)
                time.sleep(LOCK_SECONDS)
                operator.split()

            update_during(all_, split)
            assert all_.all_in(60), all_.report()
            all_.say_again()
            assert all_.agree(60) < 60
            assert [all_.wrong(one) for one in all_.auditors] == [[], []]
            assert set(all_.fleet.refused) <= {201}, all_.fleet.refused
