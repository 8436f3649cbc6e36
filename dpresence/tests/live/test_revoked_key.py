"""An API key that a deactivation revoked: its channel is closed, and it opens no other."""

from __future__ import annotations

import time

import pytest
import requests

from dpresence.tests.waiting import PATIENCE_SECONDS

from .clients import activate
from .service import Site
from .warm import running

pytestmark = pytest.mark.slow


def test_a_revoked_key_loses_its_channel_within_two_seconds_and_opens_no_other(tmp_path):
    with running(tmp_path) as service, Site() as site:
        application = activate(service.origin, site)
        with application.service() as channel:
            application.owner.call("POST", f"/myapps/{application.appid}/deactivate")
            started = time.monotonic()
            assert channel.wait_closed() == (4003, "the application is not active")
            assert time.monotonic() - started < 10
        application.owner.call("POST", f"/myapps/{application.appid}/activate")  # with another key
        headers = {"Authorization": f"Bearer {application.key}"}
        answer = requests.get(f"{service.origin}/myapps/{application.appid}/presence", headers=headers, timeout=PATIENCE_SECONDS)
        assert (answer.status_code, answer.json()["errno"]) == (401, 105)
