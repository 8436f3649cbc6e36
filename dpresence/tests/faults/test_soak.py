"""T20: hours in small, on the cluster shape; at quiet points every view is compared with the truth."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bench.loop import Loop
from dpresence.errors import BackendUnavailable
from dpresence.tests.waiting import eventually

from ..live.cluster import URLS, Citizen, Cluster, activate, issuer
from ..live.service import cpu_seconds, open_files, own_bytes
from .beside import Meanwhile
from .cluster import stores
from .society import Actor, Society
from .stored import redis_keys, rows
from .support import MIB, Figures, slope, table

pytestmark = pytest.mark.faults

MINUTES = float(os.environ.get("SOAK_MINUTES", "2"))
SEED = int(os.environ.get("SOAK_SEED", "0")) or random.randrange(1, 1_000_000)
REPORT = Path(__file__).parents[3] / "build" / "soak.md"
PEOPLE, APPLICATIONS, WORKERS = 80, 3, 3
CHURN, CALLS = 15.0, 1.5
"""Things that devices and services do, and calls of each of two actors, per second."""
GRACE, SWEEP, LEASE = 5, 1, 20
CYCLE_SECONDS = min(45.0, max(15.0, MINUTES * 60 / 8))
"""From one quiet point to the next."""
SETTLED_SECONDS = 2 * (LEASE + LEASE / 4 + SWEEP + GRACE)
"""After this a view that is still wrong counts as wrong; twice what is stated, as machines are shared."""
SAMPLE_SECONDS = 5.0
LEFT_SECONDS = 240.0
"""Maximum seconds of the sweeps after all data was deleted: a used assertion is stored until it expires, 2 minutes, and the
sweep of accounts runs once a minute."""
STEADY_MINUTES = 10
"""The slope of memory is judged when the part without kills takes this long; what is shorter is noise."""
PERMANENT_KEYS = {"t:meta", "t:processes", "t:feeds", "t:dead", "t:ended", "m:count", "m:ends"}  # docs/scaling.md
PERMANENT_ROWS = {"service": 1, "partitions": 1}
SETTINGS = {
    "workers = 2": f"workers = {WORKERS}",
    "presence.grace_seconds = 15": f"presence.grace_seconds = {GRACE}",
    "presence.sweep_seconds = 5": f"presence.sweep_seconds = {SWEEP}",
    "presence.lease_seconds = 60": f"presence.lease_seconds = {LEASE}",
    "presence.refresh_seconds = 20": "presence.refresh_seconds = 5",
}


def kill_worker(soak):
    """End one worker as a power cut would; the supervisor starts another one."""
    os.kill(soak.random.choice(soak.cluster.workers()), signal.SIGKILL)


def restart_workers(soak):
    """Replace every worker, one after the other."""
    before = set(soak.cluster.workers())
    soak.cluster.send_signal(signal.SIGHUP)
    eventually(lambda: not before & set(soak.cluster.workers()) and len(soak.cluster.ready()) >= WORKERS, 240)


def kill_redis(soak):
    """Kill Redis and start it again two seconds later."""
    soak.stores.redis.kill()
    time.sleep(2)
    soak.stores.redis.start()


def restart_redis(soak):
    """Restart Redis by the book."""
    soak.stores.redis.stop()
    soak.stores.redis.start()


def restart_postgresql(soak):
    """Restart PostgreSQL by the book."""
    soak.stores.postgresql.stop()
    soak.stores.postgresql.start()


def crash_postgresql(soak):
    """End PostgreSQL without any order and start it again."""
    soak.stores.postgresql.crash()
    soak.stores.postgresql.start()


OF_PROCESSES = (kill_worker, restart_workers)
OF_STORES = (kill_redis, restart_redis, restart_postgresql, crash_postgresql)


class Soak:
    """One run of the soak test."""

    def __init__(self, stores, cluster):
        self.stores, self.cluster = stores, cluster
        self.random = random.Random(SEED)
        self.loop = Loop()
        self.society = Society(self.loop, [cluster.port], PEOPLE, SEED)
        self.faults = Counter()
        self.wrong, self.lost, self.reports = 0, 0, []
        self.samples = {}
        self.files = []
        owner = Citizen(cluster.origin, "dev@example.org")
        self.applications = [activate(owner, cluster.database) for _ in range(APPLICATIONS)]
        appids = [application.appid for application in self.applications]
        humans = self.society.humans
        self.actors = [Actor(self.society, humans[number::2], appids, CALLS, SEED + number) for number in range(2)]

    def start(self):
        """Let everybody come, and everything happen once."""
        for actor in self.actors:
            actor.grant_all()
            actor.start()
        self.society.serve(self.applications)
        for number, device in enumerate(self.society.devices):
            self.loop.later(number / 20, device.come)
        self.society.churn(CHURN)
        self._sample()
        self.check("at the start")

    def cycle(self, fault):
        """Let everything happen, make a fault meanwhile, and compare at the end."""
        self._busy(True)
        self.loop.run(lambda: False, CYCLE_SECONDS / 3)
        with Meanwhile(lambda: fault(self)) as beside:
            self.loop.run(lambda: not beside.is_alive(), 300)
        self.faults[fault.__name__] += 1
        self.loop.run(lambda: False, CYCLE_SECONDS * 2 / 3)
        self._busy(False)
        self.check(f"after {fault.__name__}")

    def check(self, when):
        """Compare every view with the truth."""
        self.loop.run(lambda: all(actor.idle.is_set() for actor in self.actors), 150)
        for actor in self.actors:
            if actor.failure is not None:
                raise actor.failure
        wrong = self.society.settle(SETTLED_SECONDS)
        lost = self.society.missing(SETTLED_SECONDS)
        self.wrong, self.lost = self.wrong + len(wrong), self.lost + len(lost)
        if wrong or lost:
            self.reports.append(f"## {time.strftime('%H:%M:%S')} {when}, seed {SEED}\n" + self.society.report(wrong + lost))
            REPORT.with_name("soak-faults.txt").write_text("\n".join(self.reports), encoding="utf-8")
        self.files.append(sum(map(open_files, self.cluster.workers())))

    def _busy(self, busy):
        self.society.busy = busy
        for actor in self.actors:
            (actor.running.set if busy else actor.running.clear)()

    def _sample(self):
        """Note the memory of each worker; one that has ended meanwhile is left out."""
        for pid in self.cluster.ready():
            try:
                self.samples.setdefault(pid, []).append((time.monotonic(), own_bytes(pid)))
            except OSError:
                continue
        self.loop.later(SAMPLE_SECONDS, self._sample)

    def cpu(self):
        """Return the CPU time of the workers that are there."""
        return {pid: cpu_seconds(pid) for pid in self.cluster.workers()}

    def end(self):
        """Delete everything."""
        for actor in self.actors:
            actor.over.set()
            actor.join()
        self.society.end()
        for actor in self.actors:
            actor.erase_all()
        self.applications[0].owner.call("DELETE", "/account", status=204)

    def left(self):
        """Return the keys and rows that are there and should not be, by kind."""
        client = self.stores.redis.client
        kinds = Counter(":".join(name.split(":")[:2]) for name in redis_keys(client, "dpresence:", lasting=True))
        client.close()
        tables = {name: count for name, count in rows(self.cluster.database).items() if count > PERMANENT_ROWS.get(name, 0)}
        return {kind: count for kind, count in kinds.items() if kind not in PERMANENT_KEYS} | tables


@contextmanager
def running(folder):
    """A cluster on a Redis and a PostgreSQL of its own, whose log is clean in the end."""
    with stores(fsync="always") as servers:
        urls = (f"directory.url = {servers.postgresql.make_database('soak')}", f"redis.url = {servers.redis.url}")
        cluster = Cluster(folder, dict(zip(URLS, urls, strict=True)) | SETTINGS | issuer(folder))
        cluster.start()
        try:
            yield Soak(servers, cluster)
            assert cluster.stop() == 0
        finally:
            cluster.kill()
    cluster.assert_clean()


def faults_of(kinds, seconds, soak):
    """Return kinds of faults in a random order, those of processes first, and all before one comes again, until the time is over."""
    end, bag = time.monotonic() + seconds, []
    while time.monotonic() < end:
        bag = bag or sorted(soak.random.sample(kinds, len(kinds)), key=OF_PROCESSES.__contains__)
        yield bag.pop()


def test_t20_a_cluster_stays_right_and_level(tmp_path, figures):
    mine = Figures()
    try:
        with running(tmp_path) as soak:
            soak.start()
            for fault in faults_of(OF_PROCESSES + OF_STORES, MINUTES * 30, soak):
                soak.cycle(fault)
            steady_at, cpu, first = time.monotonic(), soak.cpu(), len(soak.files) - 1
            for fault in faults_of(OF_STORES, MINUTES * 30, soak):
                soak.cycle(fault)
            seconds = time.monotonic() - steady_at
            used = sum(now - cpu[pid] for pid, now in soak.cpu().items() if pid in cpu)
            tell(mine, soak, first, steady_at, seconds, used)
            soak.end()
            left = settled(soak)
            mine.tell("T20", "Redis keys and database rows left when all is deleted, stated none", left or "none")
    finally:
        figures.rows += mine.rows
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(f"# Soak of {MINUTES:g} minutes, seed {SEED}\n\n{table(mine.rows)}", encoding="utf-8")
    judge(soak, left)


def settled(soak):
    """Wait until nothing is left; return what is all the same."""
    until = time.monotonic() + LEFT_SECONDS
    left = {"not looked at": 1}
    while left and time.monotonic() < until:
        with suppress(BackendUnavailable):  # this process has 2.5 s for a connection, too
            left = soak.left()
        time.sleep(2)
    return left


def tell(figures, soak, first, steady_at, seconds, used):
    """Note all that was seen."""
    society = soak.society
    ends, refused = Counter(), Counter()
    for device in society.devices:
        ends, refused = ends + device.ends, refused + device.refused
    figures.tell("T20", "minutes, seed", f"{MINUTES:g}, {SEED}")
    figures.tell("T20", "people, devices, applications, workers", f"{PEOPLE}, {len(society.devices)}, {APPLICATIONS}, {WORKERS}")
    figures.tell("T20", "faults", ", ".join(f"{name} {count}" for name, count in sorted(soak.faults.items())))
    figures.tell("T20", "calls, updates received, notifications answered OK", f"{sum(actor.calls for actor in soak.actors)}, "
                 f"{sum(service.delivered for service in society.services)}, {society.book.total}")  # fmt: skip
    figures.tell("T20", "ends of devices by code; refusals", f"{dict(ends)}; {dict(refused)}")
    figures.tell("T20", "quiet points", len(soak.files))
    figures.tell("T20", "wrong views or clients that stay away, stated 0", soak.wrong)
    figures.tell("T20", "notifications lost, doubled, stated 0", f"{soak.lost}, {society.book.doubled}")
    figures.tell("T20", "holes in feeds, updates after a revocation, stated 0", f"{sum(one.holes for one in society.services)}, "
                 f"{sum(one.after_revoke for one in society.services)}")  # fmt: skip
    figures.tell("T20", "CPU of the workers, per cent of a core", f"{used / seconds * 100:.0f}")
    for pid, samples in soak.samples.items():
        late = [sample for sample in samples if sample[0] >= steady_at]
        if len(late) > 4:
            figures.tell("T20", f"worker {pid}: MiB, MiB more per 10 minutes", f"{late[-1][1] / MIB:.1f}, {slope(late) * 600 / MIB:.1f}")
            if seconds >= STEADY_MINUTES * 60:
                figures.count("T20", f"worker {pid}: MiB more per 10 minutes", slope(late) * 600 / MIB, 1)
    figures.tell(
        "T20", "open files of the workers at the first and the last quiet point without kills", f"{soak.files[first]}, {soak.files[-1]}"
    )


def judge(soak, left):
    """Fail where a promise was broken."""
    assert not soak.reports, "\n".join(soak.reports)
    assert (soak.society.book.doubled, sum(one.holes for one in soak.society.services)) == (0, 0)
    assert sum(one.after_revoke for one in soak.society.services) == 0
    assert left == {}
