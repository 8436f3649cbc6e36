"""Fixtures of the web tests: one proof server for all, one service for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dpresence.backends import load
from dpresence.service.delivery import Delivery
from dpresence.settings import Settings, StorageSettings
from dpresence.tests.contract.redis_fixtures import breakable_redis, cooperative_redis, lost_redis, redis_process, redis_server  # noqa: F401
from dpresence.tests.support import FakeClock
from dpresence.tests.web.support import App, Browser, ProofServer, World


@pytest.fixture(scope="session")
def proof_server() -> Iterator[ProofServer]:
    server = ProofServer()
    yield server
    server.close()


@pytest.fixture
def proof(proof_server: ProofServer) -> ProofServer:
    """The proof server, as it was at its start."""
    proof_server.forget()
    return proof_server


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what an application must not notice sent right after the answer."""
    monkeypatch.setattr(Delivery, "delay_seconds", (0, 0))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables: making them takes longer than a test."""
    file = tmp_path_factory.mktemp("migrated") / "presence.db"
    load(Settings(storage=StorageSettings(directory_url=f"sqlite:///{file}")), FakeClock()).close()
    return file


@pytest.fixture
def make_world(proof: ProofServer, tmp_path: Path) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(clock: FakeClock | None = None, **overrides: str) -> World:
        worlds.append(World(proof, str(tmp_path), clock, **overrides))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture(params=[1, pytest.param(5, marks=pytest.mark.slow)], ids=["", "5 partitions"])
def pair(
    request: pytest.FixtureRequest,
    make_world: Callable[..., World],
    tmp_path: Path,
    redis_server: Any,  # noqa: F811
    migrated: Path,
) -> tuple[World, World]:
    """Two services that share everything."""
    shutil.copy(migrated, tmp_path / "shared.db")
    shared = {"directory__url": f"sqlite:///{tmp_path}/shared.db", "tracker": "redis", "mailbox": "redis"}
    shared |= {"redis__url": redis_server.url, "redis__partitions": str(request.param)}
    return make_world(**shared), make_world(**shared)


@pytest.fixture
def one(pair: tuple[World, World]) -> World:
    return pair[0]


@pytest.fixture
def two(pair: tuple[World, World]) -> World:
    return pair[1]


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
def app(world: World) -> App:
    """An application that is active, of dev@example.org."""
    return world.application()


@pytest.fixture
def puid(world: World, app: App) -> str:
    """The PUID of ann@example.org for the application."""
    return world.grant("ann@example.org", app)


@pytest.fixture
def user(world: World, app: App) -> str:
    """The account of Ann, who is online."""
    world.device("ann@example.org")
    return world.services.hub.devices()[0][0]


@pytest.fixture(scope="session")
def shared(proof_server: ProofServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A service for tests that are only refused: nothing in it changes, and no address is limited."""
    many = {"channels__failures_per_minute": "100000", "channels__registrations_per_hour": "100000"}
    world = World(proof_server, str(tmp_path_factory.mktemp("shared")), **many)
    yield world
    world.close()


@pytest.fixture(scope="session")
def shared_app(shared: World) -> App:
    """An application of the shared service that is active, of dev@example.org."""
    return shared.application()


@pytest.fixture(scope="session")
def shared_ann(shared: World) -> Browser:
    """A browser in which ann@example.org has signed in to the shared service."""
    return shared.person("ann@example.org")
