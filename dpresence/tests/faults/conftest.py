"""The figures of all fault tests: printed as one table at the end and written to ``build/faults.md``."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..contract.postgresql import Server as PostgreSQL
from .support import Figures

FIGURES = pytest.StashKey[Figures]()
REPORT = Path(__file__).parents[3] / "build" / "faults.md"


@pytest.fixture
def figures(request):
    figures = request.config.stash.setdefault(FIGURES, Figures())
    figures.begin()
    return figures


@pytest.fixture(scope="module")
def postgresql():
    server = PostgreSQL()
    yield server
    server.remove()


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash.get(FIGURES, None)
    if figures and figures.rows:
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(figures.table(), encoding="utf-8")
        terminalreporter.section("faults")
        terminalreporter.write(figures.table())
