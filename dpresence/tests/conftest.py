"""The order and the end of every test run."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from dpresence.backends.sql import engine, postgresql, sqlite
from dpresence.tests.lean_reports import send_fewer
from dpresence.tests.shared_start import shared_keys, without_certificates, without_fsync
from dpresence.tests.waiting import PATIENCE_SECONDS

SHIPPED = {module: module.DEADLINE_SECONDS for module in (engine, postgresql)}
SHIPPED_PRAGMAS = {name: getattr(sqlite, name) for name in ("_DURABLE", "_NONDURABLE")}


ONE_BY_ONE = ("test_clocks.py", "test_tracker_redis_properties.py")
"""Files of long tests, each of which may have a worker of its own."""


class Scheduling(LoadFileScheduling):
    """Gives a worker one file after another, in the order of the folders. Two workers get half of the browser tests each, and a Chromium.

    These come first: they mostly wait, and other workers use the processors meanwhile. Tests that take a minute each run side by side,
    and the tests of internal errors by kind of error.
    """

    def _split_scope(self, nodeid: str) -> str:
        """Return the name of the tests that share a worker."""
        file: str = super()._split_scope(nodeid)
        folder, _, name = file.rpartition("/")
        if folder.endswith("/browser"):
            return f"{folder}, {'first' if name < 'test_p' else 'second'} half"
        if name == "test_internal_errors.py":
            return f"{file}, {nodeid.rpartition('-')[2]}"
        return nodeid if name in ONE_BY_ONE else file


def pytest_configure(config: pytest.Config) -> None:
    """Keep the traffic of a worker small."""
    send_fewer(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Scheduling | None:
    """Use this order with ``--dist loadfile``."""
    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # or long files of few tests come last, when nothing is left to run beside them
    return Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def patient_databases() -> Iterator[None]:
    """Give the databases of this process the deadline of the tests, where a test names none: a loaded machine stands still at times."""
    with pytest.MonkeyPatch.context() as patch:
        for module in SHIPPED:
            patch.setattr(module, "DEADLINE_SECONDS", PATIENCE_SECONDS)
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_start() -> Iterator[None]:
    """Share what each application and development issuer of this process would make anew, more slowly than a test runs."""
    with without_certificates(), without_fsync(), shared_keys():
        yield


@pytest.fixture
def shipped_durability(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have SQLite write to the disk as in a service."""
    for name, pragmas in SHIPPED_PRAGMAS.items():
        monkeypatch.setattr(sqlite, name, pragmas)


@pytest.fixture
def shipped_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the databases of a test the deadlines they have in a service."""
    for module, seconds in SHIPPED.items():
        monkeypatch.setattr(module, "DEADLINE_SECONDS", seconds)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without looking for garbage, and leave what is there then out of every later look: thousands of tests, of which none goes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say once why tests were skipped, and what they need."""
    for why in sorted({report.longrepr[2] for report in terminalreporter.stats.get("skipped", ())}):
        terminalreporter.write_line(why[0].lower() + why[1:])
