"""Several processes behind one port (docs/scaling.md): presence-cluster.ini as shipped, on a real Redis and PostgreSQL."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import ExitStack

import pytest
import requests

from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from . import warm
from .clients import AppService, Device
from .cluster import Citizen, Cluster, activate, answers, issuer, stores
from .worker_clients import Caller, Patient, alive, elsewhere, read_updates


@pytest.fixture(scope="module")
def urls():
    with stores() as urls:
        yield urls


@pytest.fixture(scope="module")
def cluster(urls, tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    cluster = Cluster(folder, urls | issuer(folder))
    cluster.start()
    try:
        yield cluster
        assert cluster.stop() == 0
    finally:
        cluster.kill()
    cluster.assert_clean()


@pytest.fixture(scope="module")
def application(cluster):
    return activate(Citizen(cluster.origin, "dev@example.org"), cluster.database)


@pytest.fixture
def person(cluster, request):
    return Citizen(cluster.origin, f"{request.node.name[:60]}@example.org")


@pytest.fixture
def alone(urls, tmp_path):
    """A service for one test, which may end it as it likes."""
    cluster = Cluster(tmp_path, urls)
    yield cluster
    cluster.kill()
    cluster.assert_clean()


# -- as shipped


@pytest.mark.slow
def test_it_starts_as_shipped_but_for_the_urls_and_a_mistake_made_later_harms_nobody(alone):
    alone.start()
    assert answers(alone.origin)
    assert "sign-in is closed" in alone.log()
    workers = alone.workers()
    assert len(workers) == 2
    assert all(f"[{pid}] dpresence.server Listening on {alone.origin}" in alone.log() for pid in workers)
    # a mistake in the ini: who is there stays
    alone.ini.write_text(alone.ini.read_text().replace("presence.grace_seconds = 15", "presence.grace_seconds = soon"))
    alone.send_signal(signal.SIGHUP)
    eventually(lambda: "ended before it was ready (exit status 1); the running workers are not replaced" in alone.log())
    assert alone.workers() == workers
    assert alone.log().count("dpresence does not start: presence.grace_seconds: must be a whole number") == 1
    assert answers(alone.origin)
    assert alone.stop(signal.SIGINT) == 0
    assert not any(map(alive, workers))


def test_the_supervisor_holds_no_thread_and_no_connection(cluster):
    assert os.listdir(f"/proc/{cluster.pid}/task") == [str(cluster.pid)]
    links = [os.readlink(f"/proc/{cluster.pid}/fd/{name}") for name in os.listdir(f"/proc/{cluster.pid}/fd")]
    assert len([link for link in links if link.startswith("socket:")]) == 1
    assert len([link for link in links if link.startswith("pipe:")]) == 4


def test_a_device_at_one_worker_is_seen_by_an_application_at_the_other(cluster, application, person):
    puid = person.grant(application)
    with person.device() as device, elsewhere(cluster, cluster.worker_of(device), application.service) as app_service:
        assert app_service.statuses[puid] == "online"
        device.say("unavailable")
        assert app_service.next_updates() == [(puid, "unavailable", "explicit")]
        (answer,) = app_service.notify({"puid": puid, "message": "Your move"})
        assert answer["result"] == "OK"
        assert device.notifications(1)[0]["message"] == "Your move"


def test_a_ticket_and_a_session_of_one_worker_are_good_at_the_other(cluster, person):
    with person.device(ticket=True) as device, elsewhere(cluster, cluster.worker_of(device), lambda: Device(person)) as other:
        other.sign_in("online", assertion=device.ticket)
    session = requests.post(f"{cluster.origin}/login", json={"assertion": person.assertion()}, timeout=PATIENCE_SECONDS)
    for _ in range(20):  # each call is a connection of its own
        headers = {"X-CSRF-Token": session.json()["csrf"]}
        answer = requests.post(f"{cluster.origin}/ticket", headers=headers, cookies=session.cookies, timeout=PATIENCE_SECONDS)
        assert answer.ok, answer.text


# -- one dies


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_the_port_never_refuses(cluster, application, person):
    puid = person.grant(application)
    with person.device(device="phone", ticket=True) as device:
        killed = cluster.worker_of(device)
        with elsewhere(cluster, killed, application.service) as app_service, Caller(cluster.port) as caller:
            os.kill(killed, signal.SIGKILL)
            eventually(lambda: killed not in cluster.workers() and len(cluster.ready()) == 2)
            with person.device(device="phone"):
                app_service.assert_no_updates()
            assert app_service.statuses[puid] == "online"
    assert caller.calls and not caller.failures
    assert f"Worker {killed} died (signal 9); its replacement starts in " in cluster.log()


# -- all are replaced


@pytest.mark.slow
def test_a_rolling_restart_is_seen_by_nobody(cluster, application):
    people = [Citizen(cluster.origin, f"rolling-{number}@example.org") for number in range(8)]
    puids = {person.grant(application) for person in people}
    devices = [Patient(person, person.assertion()) for person in people]
    for device in devices:
        device.start()
    assert all(device.there.wait(PATIENCE_SECONDS) for device in devices)
    before, seen, (_, cursor) = set(cluster.workers()), [], read_updates(application, None)
    with Caller(cluster.port) as caller:
        cluster.send_signal(signal.SIGHUP)
        until = time.monotonic() + PATIENCE_SECONDS
        while len(cluster.ready() - before) < 2 or before & set(cluster.workers()):
            assert time.monotonic() < until, cluster.log()
            updates, cursor = read_updates(application, cursor)
            seen += updates
    seen += read_updates(application, cursor)[0]
    for device in devices:
        device.over.set()
    for device in devices:
        device.join(PATIENCE_SECONDS)
    assert not caller.failures
    assert [update for update in seen if update[0] in puids] == []
    assert {code for device in devices for code in device.codes} == {4200}
    assert all(len(device.codes) in (1, 2) for device in devices)


# -- the end


@pytest.mark.slow
def test_a_stop_drains_every_worker(urls, tmp_path):
    cluster = Cluster(tmp_path, urls | issuer(tmp_path))
    cluster.start()
    workers, ann = cluster.workers(), Citizen(cluster.origin, "ann@example.org")
    with ExitStack() as stack:
        devices = [stack.enter_context(ann.device(device=f"device-{number}")) for number in range(6)]
        assert cluster.stop() == 0
        assert {device.wait_closed()[0] for device in devices} == {4200}
    assert not any(map(alive, workers))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", cluster.port), 2)
    cluster.assert_clean()


@pytest.mark.slow
def test_a_stop_while_workers_start_leaves_nobody_behind(alone):
    alone.launch()
    (worker,) = eventually(alone.workers)
    assert alone.stop() == 0
    assert not alive(worker)


@pytest.mark.slow
def test_workers_whose_supervisor_was_killed_drain_and_end(urls, tmp_path):
    cluster = Cluster(tmp_path, urls | issuer(tmp_path))
    cluster.start()
    workers = cluster.workers()
    with Citizen(cluster.origin, "ann@example.org").device() as device:
        cluster.kill()
        assert device.wait_closed()[0] == 4200
    eventually(lambda: not any(map(alive, workers)))
    assert "the supervisor has ended" in cluster.log()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", cluster.port), 2)


# -- on one machine the database may be SQLite


@pytest.mark.slow
def test_workers_of_one_machine_may_share_an_sqlite_file(urls, tmp_path):
    directory = next(line for line in urls if line.startswith("directory"))
    file = {directory: f"directory.url = sqlite:///{tmp_path}/shared.db", "mailbox = redis": "mailbox = sql"}
    prefix = {"redis.prefix = dpresence:": "redis.prefix = file:"}  # the module's cluster uses the other with another directory
    cluster = Cluster(tmp_path, urls | issuer(tmp_path) | file | prefix)
    cluster.start()
    try:
        application = activate(Citizen(cluster.origin, "dev@example.org"), cluster.database)
        ann = Citizen(cluster.origin, "ann@example.org")
        puid = ann.grant(application)
        with ann.device(ack=True) as device, elsewhere(cluster, cluster.worker_of(device), lambda: AppService(application)) as app_service:
            app_service.authenticate()
            assert app_service.statuses[puid] == "online"
            for number in range(50):
                app_service.notify({"puid": puid, "message": str(number)})
            assert [item["message"] for item in device.notifications(50)] == [str(number) for number in range(50)]
        assert cluster.stop() == 0
        cluster.assert_clean()
    finally:
        cluster.kill()


def test_a_block_by_the_operator_ends_the_devices_at_every_worker(cluster, application, person):
    with ExitStack() as stack:
        devices, workers = [], set()
        while len(workers) < cluster.count and len(devices) < 20:
            devices.append(stack.enter_context(person.device(device=f"d{len(devices)}")))
            workers.add(cluster.worker_of(devices[-1]))
        assert len(workers) == cluster.count
        puid = person.grant(application)
        with application.service() as service:
            assert service.statuses[puid] == "online"
            arguments = ["dpresence", "--ini", str(cluster.ini), "accounts", "block", person.email]
            log = cluster.ini.with_name("said")
            assert warm.run(arguments, log, 60, "dpresence.commands.cli") == 0, log.read_text()
            assert log.read_text().endswith(f"{person.email}: blocked\n")
            assert {device.wait_closed() for device in devices} == {(4009, "signed out")}
            assert service.next_updates()[0][:2] == (puid, "offline")
    answer = requests.get(
        f"{cluster.origin}/devices", headers={"Authorization": f"BrowserID {person.assertion()}"}, timeout=PATIENCE_SECONDS
    )
    assert answer.json()["errno"] == 34
