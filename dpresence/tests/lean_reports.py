"""Fewer messages from the workers of pytest-xdist: per passed test two in place of six, which cost as much CPU time as a short test."""

from __future__ import annotations

from typing import Any

import pytest


def send_fewer(config: pytest.Config) -> None:
    """Have this worker send a report of each call, and of other phases only where they did not pass.

    The controller shows nothing else. With ``--durations`` it does, and everything is sent.
    """
    if not hasattr(config, "workerinput") or config.option.durations:
        return
    manager = config.pluginmanager
    interactor: Any = next(plugin for plugin in manager.get_plugins() if type(plugin).__name__ == "WorkerInteractor")
    manager.unregister(interactor)
    send = interactor.pytest_runtest_logreport

    @pytest.hookimpl
    def pytest_runtest_logreport(report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            send(report)

    interactor.pytest_runtest_logreport = pytest_runtest_logreport
    interactor.pytest_runtest_logstart = interactor.pytest_runtest_logfinish = None  # no hooks any more
    manager.register(interactor)
