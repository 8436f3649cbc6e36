"""The table of goals of ``make bench``."""

from __future__ import annotations

import pytest

from bench import goals


@pytest.mark.parametrize(
    ("figure", "verdict", "passes"),
    [
        (0.45, "met, 2.00 x better", True),
        (0.9, "met, 1.00 x better", True),
        (1.0, "missed by 1.11 x", True),
        (1.2, "missed by 1.33 x, an error", False),
    ],
)
def test_a_goal_may_be_missed_by_a_quarter(capsys: pytest.CaptureFixture[str], figure: float, verdict: str, passes: bool) -> None:
    assert goals.show({goals.BUSY: figure, goals.IDLE: 0.0}) is passes
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(goals.BUSY.name))
    assert line.endswith(verdict)


def test_a_goal_without_a_figure_is_shown_as_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert goals.show({goals.BUSY: 0.5})
    shown = capsys.readouterr().out
    assert shown.count("not measured") == len(goals.GOALS) - 1 and "nan" not in shown
