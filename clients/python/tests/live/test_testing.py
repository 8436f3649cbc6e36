"""The fixture for the tests of a program: a service with people and applications."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2]
# as an integrator writes it
TEST = """
def test_the_club_sees_a_member(dpresence_service):
    club, ann = dpresence_service.application("Chess club"), dpresence_service.person("ann@example.org")
    puid = ann.grant(club)
    assert [(grant.puid, grant.sees) for grant in ann.account().grants()] == [(puid, "offline")]
    with club.service() as app, ann.device(status="unavailable"):
        changes = iter(app)
        assert next(change.status for change in changes if change.status != "offline") == "unavailable"
        ann.pause(club)
        assert next(changes)[:2] == (puid, "offline")
        ann.revoke(club)
        assert next(changes).reason == "revoked"


def test_the_service_can_crash(dpresence_service):
    club, ann = dpresence_service.application(), dpresence_service.person("bob@example.org")
    ann.grant(club)
    with ann.device() as device, club.service() as app:
        changes = iter(app)
        assert next(changes).status == "online"
        dpresence_service.kill()
        dpresence_service.start()
        assert app.notify(next(iter(app.table)), "Your move").id
"""


@pytest.mark.slow
def test_the_test_of_an_integrator_passes(tmp_path):
    (tmp_path / "test_club.py").write_text(TEST)
    # `make wheel` leaves metadata there that would load the plugin a second time; and the options of this run are not those of that one
    env = {**os.environ, "PYTHONPATH": str(PACKAGE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "dpresence_client.testing.plugin", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert "2 passed" in ran.stdout
