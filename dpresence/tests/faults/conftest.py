"""The figures of all fault tests: printed as one table at the end and appended to ``build/faults.md``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ..contract.postgresql import Server as PostgreSQL
from .client_process import CLIENTS, COMMANDS
from .support import Figures, table

FIGURES = pytest.StashKey[Figures]()
PROPERTY = "figures"
"""Name of the property of a test with its figures, which goes to the controller of pytest-xdist with the test's report."""
REPORT = Path(__file__).parents[3] / "build" / "faults.md"


@pytest.fixture
def figures(request):
    figures = request.config.stash.setdefault(FIGURES, Figures())
    request.node.user_properties.append((PROPERTY, figures.begin()))
    return figures


@pytest.fixture(scope="module")
def postgresql():
    server = PostgreSQL()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def kinds():
    """The clients that run here."""
    if shutil.which("node") is None:
        assert os.environ.get("CI") != "true", "node is not installed"
        return [kind for kind in COMMANDS if kind != "Node"]
    subprocess.run(["node", "scripts/copy-device.mjs"], cwd=CLIENTS / "js", check=True, timeout=60)
    return list(COMMANDS)


def pytest_terminal_summary(terminalreporter):
    reports = [report for kind in terminalreporter.stats.values() for report in kind if getattr(report, "when", "") == "call"]
    rows = [row for report in reports for row in dict(report.user_properties).get(PROPERTY, ())]
    if rows:
        REPORT.parent.mkdir(exist_ok=True)
        with REPORT.open("a", encoding="utf-8") as report:
            report.write(table(rows) + "\n")
        terminalreporter.section("faults")
        terminalreporter.write(table(rows))
