"""The operator's figures with several worker processes: each of them shows the whole service (docs/protocol.md, section 6)."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import requests

from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .cluster import Citizen, Cluster, issuer, stores

pytestmark = pytest.mark.slow

ADMIN = "admin@example.org"


def test_every_worker_shows_what_all_of_them_count(tmp_path):
    with stores() as urls, ExitStack() as stack:
        cluster = Cluster(tmp_path, urls | issuer(tmp_path) | {"admin.emails =": f"admin.emails = {ADMIN}"})
        stack.callback(cluster.kill)
        cluster.start()
        cookies = requests.post(
            f"{cluster.origin}/login", json={"assertion": Citizen(cluster.origin, ADMIN).assertion()}, timeout=PATIENCE_SECONDS
        ).cookies

        def shown():
            return requests.get(f"{cluster.origin}/admin/figures", cookies=cookies, timeout=PATIENCE_SECONDS).json()

        devices = [stack.enter_context(Citizen(cluster.origin, f"user-{n}@example.org").device()) for n in range(8)]
        assert len({cluster.worker_of(device) for device in devices}) == 2  # or there is nothing to add up
        eventually(lambda: shown()["devices"] == 8)
        for _ in range(10):  # connections of their own: either worker answers
            figures = shown()
            assert (figures["devices"], figures["users"]) == (8, 8)
            assert {one["pid"] for one in figures["processes"]} == set(cluster.workers())
            assert all(one["memory_bytes"] for one in figures["processes"])
        eventually(lambda: [(one["reached"], one["asked"]) for one in shown()["health"]] == [(2, 2)] * 3)
        assert cluster.stop() == 0
        cluster.assert_clean()
