"""The computation of what many devices need: monotonic, and it loses nobody."""

from __future__ import annotations

from dataclasses import astuple, replace
from itertools import pairwise

import pytest

from bench.scale import ACCEPT_RATE, SETTINGS_SOCKETS, ZONES, Parameters, need, storm, storm_limits

SIZES = (10_000, 1_000_000, 10_000_000, 100_000_000)
GIVEN = Parameters.read()


def test_more_devices_need_no_less_of_anything() -> None:
    needs = [astuple(need(devices, GIVEN)) for devices in SIZES]
    for less, more in pairwise(needs):
        assert all(one <= other for one, other in zip(less, more, strict=True))


def test_two_zones_hold_the_devices_of_three() -> None:
    for devices in SIZES:
        assert need(devices, GIVEN).workers * (ZONES - 1) / ZONES * SETTINGS_SOCKETS >= devices


@pytest.mark.parametrize("devices", SIZES)
def test_in_a_storm_everybody_comes_back_once_and_no_faster_than_the_limits(devices: int) -> None:
    needed = need(devices, GIVEN)
    steps = list(storm(needed, GIVEN))
    backs = [0.0, *(back for _, back, _ in steps)]
    assert backs[-1] == pytest.approx(devices / ZONES)
    rate = min(storm_limits(needed, GIVEN).values())
    assert all(0 <= after - before <= rate + 1e-6 for before, after in pairwise(backs))
    assert all(waiting >= 0 for _, _, waiting in steps)


def test_a_faster_database_ends_a_storm_that_it_limits_sooner() -> None:
    needed = need(SIZES[-1], GIVEN)
    faster = replace(GIVEN, postgresql_transactions_per_second=10 * GIVEN.postgresql_transactions_per_second)
    assert len(list(storm(needed, faster))) < len(list(storm(needed, GIVEN)))
    assert storm_limits(needed, GIVEN)["channels.accept_rate"] == needed.workers * 2 / 3 * ACCEPT_RATE


def test_the_broadcast_of_signals_is_the_ceiling_before_a_hundred_million() -> None:
    assert need(1_000_000, GIVEN).ceilings == []
    assert need(100_000_000, GIVEN).ceilings[0].startswith("signals")
