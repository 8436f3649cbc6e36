"""A process that is cut off from Redis answers a change with OK and ends; another one tells the applications and the devices."""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack, suppress
from threading import Thread

import pytest
import requests

from dpresence.tests.waiting import PATIENCE_SECONDS

from ..live.clients import Person, activate
from ..live.service import Site
from .cluster import LEASE, SWEEP, Cluster, stores
from .proxy import Proxy, to_unix
from .stored import redis_values

pytestmark = pytest.mark.faults

PUBLISHED_SECONDS = LEASE + SWEEP
"""Maximum seconds for which an application sees a user who revoked at a process that died."""
REPEATED_SECONDS = 2 * SWEEP + 1
"""Seconds after an update within which it may be repeated."""
DELAY_SECONDS = 1.0
"""Seconds that the slow Redis takes for each answer; less than ``redis.timeout_seconds``."""
ENDS = {"kill -9": lambda process: process.kill(), "SIGTERM": lambda process: process.stop()}


@pytest.fixture(scope="module")
def servers():
    with stores(fsync="always") as servers:
        yield servers


@pytest.fixture
def cluster(servers):
    with Cluster(servers) as cluster:
        yield cluster


@pytest.fixture
def proxy(servers):
    with Proxy(to_unix(servers.redis.socket)) as proxy:
        yield proxy


@pytest.fixture
def dying(cluster, proxy):
    return cluster.start({"redis.url": f"redis://127.0.0.1:{proxy.port}"})


@pytest.fixture
def staying(cluster):
    return cluster.start()


@pytest.fixture
def application(staying):
    with Site() as site:
        yield activate(staying.origin, site)


@pytest.fixture(params=list(ENDS))
def end(request):
    """The way in which a process with unapplied effects ends. A stop by SIGTERM has exit status 0."""

    def end(process):
        assert ENDS[request.param](process) in (None, 0)

    end.name = request.param
    return end


class Changes:
    """People who are online at one process and change what applications may see of them at another one."""

    def __init__(self, application, staying, dying):
        self._application, self._staying, self._dying = application, staying, dying
        self._open = ExitStack()
        self._puids = {name: self._at(staying, name).grant(application) for name in ("revoker", "pauser", "eraser", "leaver")}

    def __enter__(self):
        names = [*self._puids, "granter"]
        self._devices = {name: self._open.enter_context(self._at(self._staying, name).device()) for name in names}
        self.service = self._open.enter_context(self._application.service())
        assert [self.service.statuses[puid] for puid in self._puids.values()] == ["online"] * 4
        self._session = requests.Session()
        proof = {"assertion": self._at(self._dying, "leaver").assertion()}
        self._session.headers["X-CSRF-Token"] = self._session.post(
            f"{self._dying.origin}/login", json=proof, timeout=PATIENCE_SECONDS
        ).json()["csrf"]
        return self

    def __exit__(self, *_):
        self._session.close()
        self._open.close()

    @staticmethod
    def _at(process, name):
        return Person(process.origin, f"{name}@example.org")

    def make(self):
        """Make each change at the process that cannot reach Redis; all of them are answered as if it could."""
        path = f"/grant/{self._application.appid}"
        self._at(self._dying, "revoker").call("DELETE", path, status=204)
        self._at(self._dying, "pauser").call("PATCH", path, {"paused": True}, status=200)
        self._at(self._dying, "eraser").call("DELETE", "/account", status=204)
        self._session.post(f"{self._dying.origin}/logout", json={"everywhere": True}, timeout=PATIENCE_SECONDS).raise_for_status()
        self._puids["granter"] = self._at(self._dying, "granter").grant(self._application)

    def await_truth(self, seconds):
        """Wait until the application has received all changes; return how long that took."""
        start = time.monotonic()
        wanted = dict.fromkeys(self._puids.values(), "offline") | {self._puids["granter"]: "online"}
        while self.service.statuses != wanted:
            try:
                self.service.next_updates(1, start + seconds - time.monotonic())
            except TimeoutError:
                wrong = {name: self.service.statuses.get(puid) for name, puid in self._puids.items()}
                raise AssertionError(f"after {seconds} s the application believes {wrong}") from None
        return time.monotonic() - start

    def _await_repetitions(self):
        """Wait for updates that come twice, as section 6 permits here; they change nothing of what the application knows."""
        known = dict(self.service.statuses)
        with suppress(TimeoutError):
            while True:
                self.service.next_updates(1, REPEATED_SECONDS)
                assert self.service.statuses == known

    def check_devices(self):
        """Check that signed-out users' channels are closed, and that the others are hidden from applications that must not see them."""
        for name in ("eraser", "leaver"):
            assert self._devices[name].wait_closed()[0] == 4009, name
        self._await_repetitions()
        for name in ("revoker", "pauser"):
            self._devices[name].say("unavailable")
        self._devices["granter"].say("unavailable")
        said, seen = (self._puids["granter"], "unavailable", "explicit"), set()
        while said not in seen:
            seen |= set(self.service.next_updates())
        with suppress(TimeoutError):
            seen |= set(self.service.next_updates(1, 2))
        assert {puid for puid, *_ in seen} == {self._puids["granter"]}, (seen, self._puids)


def test_a_change_answered_ok_by_a_process_without_redis_is_reported_by_another_one(application, staying, dying, proxy, end, figures):
    name = f"changes at a process cut off from Redis, then {end.name}"
    with Changes(application, staying, dying) as changes:
        proxy.cut()
        changes.make()
        end(dying)
        figures.time(
            name, "the application at the other knows all of them after", changes.await_truth(5 * PUBLISHED_SECONDS), PUBLISHED_SECONDS
        )
        changes.check_devices()


def test_changes_answered_ok_while_redis_was_away_for_all_are_reported_when_it_is_back(application, staying, dying, servers, end, figures):
    name = f"changes while Redis is away for all, then {end.name}"
    with Changes(application, staying, dying) as changes:
        servers.redis.kill()
        try:
            changes.make()
            end(dying)
        finally:
            servers.redis.start()
        figures.time(
            name, "the application at the other knows all of them after", changes.await_truth(5 * PUBLISHED_SECONDS), PUBLISHED_SECONDS
        )
        changes.check_devices()


@pytest.mark.parametrize("seconds", [0.05, 0.25, 0.75])
def test_a_revoke_that_a_killed_process_had_begun_is_completed(application, staying, dying, proxy, figures, seconds):
    name = f"kill -9 {seconds:g} s into a revoke with a slow Redis"
    ann, path = Person(staying.origin, "ann@example.org"), f"/grant/{application.appid}"
    puid = ann.grant(application)
    with ann.device() as device, application.service() as service:
        assert service.statuses == {puid: "online"}
        headers = {"Authorization": f"BrowserID {Person(dying.origin, ann.email).assertion()}"}
        proxy.delay = DELAY_SECONDS
        call = Thread(target=_abandoned, args=(f"{dying.origin}{path}", headers))
        call.start()
        time.sleep(seconds)
        dying.kill()
        call.join(10)
        start = time.monotonic()
        ann.call("DELETE", path, status=204)
        assert service.next_updates(1, 5 * PUBLISHED_SECONDS) == [(puid, "offline", "revoked")]
        figures.time(name, "the application receives it after", time.monotonic() - start, PUBLISHED_SECONDS)
        ann.call("DELETE", path, status=404)
        device.say("unavailable")
        service.assert_no_updates()


def _abandoned(url, headers):
    try:
        requests.delete(url, headers=headers, timeout=PATIENCE_SECONDS)
    except requests.ConnectionError:
        return


def test_a_waiting_notification_of_an_erased_person_leaves_redis(application, staying, dying, proxy, cluster, end, figures):
    ann, text = Person(staying.origin, "ann@example.org"), f"secret-{secrets.token_hex(8)}"
    puid = ann.grant(application)
    with application.service() as service:
        assert service.notify({"puid": puid, "message": text})[0]["queue_size"] == 1
        assert any(text.encode() in value for value in redis_values(cluster))
        proxy.cut()
        Person(dying.origin, ann.email).call("DELETE", "/account", status=204)
        end(dying)
        start = time.monotonic()
        while any(text.encode() in value for value in redis_values(cluster)):
            assert time.monotonic() - start < 5 * PUBLISHED_SECONDS, "it is still there"
            time.sleep(0.2)
        name = f"erasure at a process cut off from Redis, then {end.name}"
        figures.time(name, "no key of Redis holds the notification after", time.monotonic() - start, PUBLISHED_SECONDS)
