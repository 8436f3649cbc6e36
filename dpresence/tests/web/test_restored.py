"""A directory that was restored from a backup, beside a Redis that has seen what came after it (docs/decisions/0015)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from dpresence.tests.support import FakeClock
from dpresence.tests.web.support import App, World

ANN, BOB, EVE = "ann@example.org", "bob@example.org", "eve@example.org"


class Site:
    """A database file with a backup, and a service on it and on one Redis that can be stopped and started again."""

    def __init__(self, make: Callable[[], World], file: Path) -> None:
        self._make, self._file = make, file
        self.world = make()

    def back_up(self) -> None:
        with sqlite3.connect(self._file) as connection:
            connection.execute(f"VACUUM INTO '{self._file}.backup'")
        connection.close()

    def restart(self, restore: bool = True) -> World:
        self.sweep()
        self.world.close()
        if restore:
            for suffix in ("-wal", "-shm"):
                Path(f"{self._file}{suffix}").unlink(missing_ok=True)
            Path(f"{self._file}.backup").replace(self._file)
        self.world = self._make()
        return self.world

    def sweep(self) -> None:
        for _ in range(4):
            self.world.advance(10)
            self.world.services.reconciliation.sweep()
            self.world.settle()


@pytest.fixture
def site(make_world, tmp_path, redis_server, migrated):
    file, clock = tmp_path / "restored.db", FakeClock()
    file.write_bytes(migrated.read_bytes())
    shared = {"directory__url": f"sqlite:///{file}", "tracker": "redis", "mailbox": "redis", "redis__url": redis_server.url}
    return Site(lambda: make_world(clock, **shared), file)


@pytest.fixture
def app(site: Site) -> App:
    return site.world.application()


def present(world: World, app: App) -> dict[str, str]:
    answer = world.browser()("GET", f"/myapps/{app.id}/presence", Authorization=f"Bearer {app.key}")
    return {entry["puid"]: entry["status"] for entry in answer.json["presence"]}


def test_revocations_since_the_backup_are_undone_and_grants_since_are_lost(site: Site, app: App) -> None:
    puid = site.world.grant(ANN, app)
    site.world.device(ANN, device="phone")
    site.back_up()
    site.world.person(ANN)("DELETE", f"/grant/{app.id}")
    site.world.grant(BOB, app)
    site.world.device(BOB, device="phone")
    site.world.settle()
    world = site.restart()
    site.sweep()
    world.device(ANN, device="phone")
    world.settle()
    assert present(world, app) == {puid: "online"}


def test_a_cursor_from_before_the_restoration_leads_to_a_snapshot(site: Site, app: App) -> None:
    site.world.grant(ANN, app)
    site.back_up()
    site.world.grant(BOB, app)
    cursor = site.world.service(app).sent[1]["cursor"]
    world = site.restart()
    site.sweep()
    channel = world.service_channel(app)
    channel.receive({"action": "auth", "key": app.key, "since": cursor})
    assert channel.sent[0]["recovery"] == "snapshot"


def test_a_restart_without_a_restoration_goes_on_where_it_was(site: Site, app: App) -> None:
    site.world.grant(ANN, app)
    site.sweep()
    cursor = site.world.service(app).sent[1]["cursor"]
    world = site.restart(restore=False)
    world.grant(BOB, app)
    site.sweep()
    channel = world.service_channel(app)
    channel.receive({"action": "auth", "key": app.key, "since": cursor})
    assert channel.sent[0]["recovery"] == "replayed"


def test_a_sign_out_reaches_a_device_that_signed_in_after_the_restoration(site: Site, app: App) -> None:
    site.back_up()
    for _ in range(3):
        site.world.person(EVE)("POST", "/logout", {"everywhere": True})
    world = site.restart()
    site.sweep()
    device = world.device(EVE, device="phone")
    world.person(EVE)("POST", "/logout", {"everywhere": True})
    world.settle()
    assert device.code == 4009


def test_a_newer_version_that_another_process_reported_meanwhile_is_no_restoration(
    site: Site, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    world = site.world
    directory, reconciliation = world.registry.backends.directory, world.services.reconciliation
    old = directory.version()
    world.grant(ANN, app)
    reconciliation.sweep()
    answers = iter((old, directory.version()))
    cursor = world.service(app).sent[1]["cursor"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directory, "version", lambda: next(answers))
        reconciliation.sweep()
    assert world.registry.backends.tracker.offset(app.id, cursor) is not None
    assert "restored" not in caplog.text


def test_a_restoration_under_running_processes_is_put_right_too(site: Site, app: App) -> None:
    puid, device = site.world.grant(ANN, app), site.world.device(ANN, device="phone")
    site.sweep()
    site.world.registry.backends.tracker.record_version(site.world.registry.backends.directory.version()._replace(revision=1000))
    site.sweep()
    assert present(site.world, app) == {puid: "online"}
    assert device.code is None
