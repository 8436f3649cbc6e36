"""An app service that does not read delays no one; it is disconnected, and resumes with its cursor (docs/protocol.md, section 5)."""

from __future__ import annotations

import re
import time

import pytest

from bench.load import Load
from bench.seed import seed
from dpresence.tests.waiting import eventually

from .clients import activate
from .service import Site
from .warm import running

pytestmark = pytest.mark.slow

PEOPLE = 100
SECONDS = 4


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    settings = {"presence__status_rate": 1000, "presence__status_burst": 10000, "presence__feed_entries": 1000}
    settings |= {"channels__device_frame_rate": 10000, "channels__device_frame_burst": 10000}
    settings |= {"channels__send_buffer_frames": 20, "channels__send_buffer_bytes": 65536, "channels__send_seconds": 4}
    with running(tmp_path_factory.mktemp("slow"), **settings) as service:
        yield service


def test_a_slow_reader_is_dropped_nobody_waits_for_it_and_it_finds_its_place_again(service):
    """T5 in small."""
    with Site() as site, Load(checked=True) as load:
        application = activate(service.origin, site)
        people = seed(service.ini.with_name("live.db"), [application.appid], PEOPLE)
        assert load.do("devices", port=service.port, people=people)["signed_in"] == PEOPLE
        with application.slow_reader() as slow:
            load.do("watch", port=service.port, appid=application.appid, key=application.key)
            load.start("update", seconds=SECONDS, under_way=50)
            worst = most_patience(service, SECONDS)
            healthy = load.result()
            assert healthy["delivered"] == healthy["answered"] > 0
            dropped = rf"app service session ended: application {application.appid}, code 4102"
            eventually(lambda: re.search(dropped, service.log()))
            assert slow.wait_closed()[0] in (4102, 1006)  # the frame arrives where there is room for it
        with application.service() as truth, application.service(slow.cursor) as resumed:
            assert resumed.recovery == "replayed"
            assert resumed.catch_up() == truth.statuses
            assert resumed.cursor == truth.cursor
        assert worst < 5.0, worst


def most_patience(service, seconds):
    """Ask for the heartbeat for a while; return the longest it took."""
    end, worst = time.monotonic() + seconds, 0.0
    while time.monotonic() < end:
        worst = max(worst, service.alive_within(5))
        time.sleep(0.02)
    return worst
