"""The order and the end of every test run."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling


class Scheduling(LoadFileScheduling):
    """Gives a worker one file after another, in the order of the folders. Two workers get half of the browser tests each, and a Chromium.

    These come first: they mostly wait, and other workers use the processors meanwhile. Tests that sleep for a minute run side by side.
    """

    def _split_scope(self, nodeid: str) -> str:
        """Return the name of the tests that share a worker."""
        file: str = super()._split_scope(nodeid)
        folder, _, name = file.rpartition("/")
        if folder.endswith("/browser"):
            return f"{folder}, {'first' if name < 'test_h' else 'second'} half"
        return nodeid if name == "test_clocks.py" else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Scheduling | None:
    """Use this order with ``--dist loadfile``."""
    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # or long files of few tests come last, when nothing is left to run beside them
    return Scheduling(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say once why tests were skipped, and what they need."""
    for why in sorted({report.longrepr[2] for report in terminalreporter.stats.get("skipped", ())}):
        terminalreporter.write_line(why[0].lower() + why[1:])
