"""Floods of notifications, in a process that gevent has patched, on SQLite and PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PATCHED = "from gevent import monkey; monkey.patch_all(); import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))"
SUITE = Path(__file__).parent / "patched_floods.py"


def test_one_developers_notifications_hold_up_nobody_else():
    run = subprocess.run([sys.executable, "-c", PATCHED, "-q", "--tb=short", str(SUITE)], capture_output=True, text=True, timeout=400)
    assert run.returncode == 0, run.stdout[-10000:] + run.stderr[-2000:]
