"""Partitions on three real servers, of which one is killed under load and comes back."""

from __future__ import annotations

import time
from contextlib import ExitStack
from zlib import crc32

import pytest
from sqlalchemy import select

from dpresence.backends.sql.engine import Database
from dpresence.backends.sql.tables import accounts

from ..contract.redis import RedisServer
from ..contract.redis import running as running_redis
from ..live.clients import activate
from ..live.service import Site
from .beside import Meanwhile, Probe, backends
from .cluster import GONE_SECONDS, GRACE, Cluster, Stores
from .crowd import crowd

pytestmark = pytest.mark.faults

PARTITIONS, DEVICES, RATE = 8, 200, 100
AWAY_SECONDS = 4.0


@pytest.fixture
def servers():
    with ExitStack() as started:
        yield [started.enter_context(running_redis(fsync="always")) for _ in range(3)]


def is_away(user: str) -> bool:
    """Return whether a user's partition is on the last server."""
    return crc32(user.encode()) % PARTITIONS % 3 == 2


def emails_away(url: str) -> set[str]:
    """Return the e-mails of the users whose partition is on the last server."""
    database = Database(url)
    try:
        found = database.read(lambda connection: connection.execute(select(accounts.c.id, accounts.c.email)).all())
    finally:
        database.close()
    return {email for user, email in found if is_away(user)}


class Outage:
    """Kills a server, leaves it away for a while, and starts it again, with its data or without."""

    def __init__(self, server: RedisServer, keeps_data: bool) -> None:
        self._server = server
        self._keeps_data = keeps_data

    def run(self) -> None:
        time.sleep(2)
        self._server.kill()
        time.sleep(AWAY_SECONDS)
        if not self._keeps_data:
            self._server.forget()
        self._server.start()


@pytest.mark.parametrize("keeps_data", [True, False], ids=["with its data", "without its data"])
def test_users_of_the_other_partitions_notice_nothing_of_a_server_that_dies(postgresql, servers, figures, keeps_data):
    name = f"one of three servers dies and returns {'with' if keeps_data else 'without'} its data"
    settings = {"redis.urls": " ".join(server.url for server in servers), "redis.partitions": PARTITIONS}
    with Site() as site, Cluster(Stores(servers[0], postgresql), settings) as cluster:
        one, two = cluster.start(), cluster.start()
        application = activate(one.origin, site)
        with crowd(cluster.seed(application.appid, DEVICES)) as all_, Probe(one) as probe:
            away = emails_away(cluster.url)
            all_.bring(one.port, two.port)
            for process in (one, two):
                all_.audit(process.port, application.appid, application.key)
            with Meanwhile(Outage(servers[2], keeps_data).run):
                all_.rate(2 + AWAY_SECONDS + 4, RATE)
            assert all_.all_in(60), all_.report()
            all_.loop.run(lambda: backends(one)[0] == backends(two)[0] == 200, 30)
            others = len(all_.fleet.refused_people - away)
            assert not others, [line for process in (one, two) for line in process.log().splitlines() if "redis" in line]
            figures.count(name, "people refused whose server stayed", others, 0)
            assert all_.fleet.refused_people & away, "the load reached the server that was away"
            assert set(all_.fleet.refused) <= {201}, all_.fleet.refused
            all_.say_again()
            figures.time(name, "applications are right about everybody after", all_.agree(GONE_SECONDS * 2), GONE_SECONDS)
            all_.loop.run(lambda: False, GRACE + 2)
            figures.count(name, "devices an application is wrong about", sum(len(all_.wrong(one)) for one in all_.auditors), 0)
            if keeps_data:
                figures.count(name, "snapshots after the first", sum(each.counts["snapshots"] - 1 for each in all_.auditors), 0)
                figures.count(name, "holes", sum(each.holes for each in all_.auditors), 0)
        probe.tell(figures, name)
