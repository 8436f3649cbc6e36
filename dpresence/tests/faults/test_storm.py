"""T19: 5,000 devices lose their server at once and reconnect; no application sees a user offline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from bench.load import Load
from bench.seed import seed

from ..live.clients import activate
from ..live.service import Site, running
from .support import PATIENCE

pytestmark = pytest.mark.faults

DEVICES = 5000
BACK_SECONDS = 60
RATE = 150
"""New devices a second before the storm."""


@dataclass
class Storm:
    """Measurements of a reconnection storm; times are seconds since the new server's start."""

    all_in_seconds: float
    back: dict[str, Any]
    after: dict[str, Any]
    cpu_seconds: float


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    """With the settings as shipped: bring everybody, kill, restart, and have everybody back."""
    with running(tmp_path_factory.mktemp("storm")) as service, Site() as site, Load(checked=True) as load:
        application = activate(service.origin, site)
        people = seed(service.ini.with_name("live.db"), [application.appid], DEVICES)
        came = load.do("devices", port=service.port, people=people, rate=RATE, tickets=True, returns=True, seconds=300)
        assert came["signed_in"] == DEVICES, came
        load.do("watch", port=service.port, appid=application.appid, key=application.key, returns=True)
        before = load.do("wait", seconds=1)
        assert before["view"] == {"online": DEVICES}, before
        service.kill()
        started_at = service.start()
        back = load.do("settle", seconds=BACK_SECONDS * PATIENCE)
        cpu = service.cpu_seconds()
        load.do("await_snapshots", count=2, seconds=60)
        after = load.do("wait", seconds=20)
        yield Storm(back["all_in_at"] - started_at, back, after, cpu)


def test_t19_everybody_is_back_in_time(storm, figures):
    figures.count("T19", "devices that did not come back", DEVICES - storm.back["signed_in"], 0)
    figures.time("T19", f"all {DEVICES} are signed in after the start", storm.all_in_seconds, BACK_SECONDS)
    figures.tell("T19", "server CPU ms per return", f"{storm.cpu_seconds / DEVICES * 1000:.2f}")
    figures.tell("T19", "refusals by errno", storm.back["refused"])
    figures.tell("T19", "ends by close code or HTTP status", storm.back["ends"])
    assert storm.after["view"] == {"online": DEVICES}


def test_t19_a_first_frame_is_answered_within_a_second(storm, figures):
    figures.time("T19", "answer to the first frame, p99", storm.back["sign_in"]["p99_ms"] / 1000, 1)


def test_t19_no_device_needs_a_new_assertion(storm, figures):
    figures.count("T19", "tickets that were refused", storm.back["refused"].get("34", 0), 0)


def test_t19_no_application_sees_a_false_offline(storm, figures):
    offline = sum(count for what, count in storm.after["watched"].items() if what.startswith("offline"))
    figures.count("T19", "false offline in updates", offline, 0)
    figures.count("T19", "false offline in the snapshot after the restart", storm.after["snapshot"].get("offline", 0), 0)
