"""Goals of ``make bench``: each figure with its limit, and by how much it is met or missed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TOLERANCE = 1.25
"""Quotient of figure and limit beyond which a missed goal is an error, as figures vary by a tenth from run to run."""


@dataclass(frozen=True)
class Goal:
    """A figure that must not exceed a limit.

    :param name: what is measured, with its unit.
    """

    name: str
    limit: float


BUSY = Goal("CPU per update / Mosquitto, QoS 1", 0.90)
PACED = Goal("CPU per update at 1,000/s / Mosquitto, QoS 1", 1.6)
STOCK = Goal("CPU per update / stock gevent-websocket", 0.5)
APPLICATION = Goal("us per update of each further application", 2.5)
SIGN_IN = Goal("us per connection with a sign-in by ticket", 250)
MEMORY = Goal("KiB per idle device, PSS", 1.5)
IDLE = Goal("% of a core for 10,000 idle devices", 0.3)
SNAPSHOT = Goal("ms of CPU per snapshot of 50,000 grants", 150)
HELD = Goal("ms, longest answer during such a snapshot", 10)
SCRAPE = Goal("ms of CPU per scrape of the metrics", 20)
REDIS = Goal("Redis: CPU per update / Mosquitto, QoS 1", 1.6)
ROUND_TRIPS = Goal("Redis: round trips per update at 1,000/s", 1)
GOALS = (BUSY, PACED, STOCK, APPLICATION, SIGN_IN, MEMORY, IDLE, SNAPSHOT, HELD, SCRAPE, REDIS, ROUND_TRIPS)


def show(figures: Mapping[Goal, float]) -> bool:
    """Print the table of goals; return whether none is missed by more than ``TOLERANCE`` allows. Goals without a figure are skipped."""
    print(f"\n{'goal':48}{'figure':>10}{'limit':>8}")
    for goal in GOALS:
        figure, verdict = (f"{figures[goal]:.2f}", _verdict(figures[goal] / goal.limit)) if goal in figures else ("", "not measured")
        print(f"{goal.name:48}{figure:>10}{goal.limit:8g}  {verdict}")
    return all(figure <= goal.limit * TOLERANCE for goal, figure in figures.items())


def _verdict(quotient: float) -> str:
    """Return the text for a figure that is so many times its limit."""
    if round(quotient, 2) <= 1:
        return f"met, {1 / max(quotient, 0.01):.2f} x better"
    return f"missed by {quotient:.2f} x" + (", an error" if quotient > TOLERANCE else "")
