"""The feed without a websocket over real sockets: an event stream, a long poll, and what a stop does to both."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from dpresence.tests.waiting import PATIENCE_SECONDS, eventually

from .clients import Person, activate
from .events import Events, poll
from .service import Site
from .warm import running


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("feed"), presence__grace_seconds=0) as service:
        yield service


@pytest.mark.slow
def test_a_stream_and_a_poll_get_an_update_at_once(service, application, person):
    puid = person.grant(application)
    with Events(application) as events, ThreadPoolExecutor() as pool:
        events.until("current")
        assert events.statuses == {puid: "offline"}
        polled = pool.submit(poll, application, f"since={events.cursor}&wait=50")
        eventually(lambda: _now(application)["sockets"] == 2)
        with person.device("unavailable"):
            events.follow({puid: "unavailable"})
            status, frame = polled.result(PATIENCE_SECONDS)
        assert (status, [entry["status"] for entry in frame["updates"]], frame["cursor"]) == (200, ["unavailable"], events.cursor)
        with Events(application, events.cursor) as again:
            assert again.recovery == "replayed"
            again.follow({puid: "offline"})
    eventually(lambda: _now(application)["sockets"] == 0)


def _now(application):
    return application.owner.call("GET", f"/myapps/{application.appid}/now")


def test_a_client_that_disconnects_leaves_at_once(service, application):
    answer = requests.get(
        f"{service.origin}/myapps/{application.appid}/feed",
        headers={"Authorization": f"Bearer {application.key}"},
        stream=True,
        timeout=PATIENCE_SECONDS,
    )
    eventually(lambda: _now(application)["sockets"] == 1)
    answer.close()
    eventually(lambda: _now(application)["sockets"] == 0)
    eventually(lambda: re.search(rf"event stream session ended: application {application.appid}, code 1006", service.log()))


@pytest.mark.slow
def test_a_stop_ends_streams_with_the_time_to_return_and_polls_with_an_error(tmp_path):
    with running(tmp_path) as service, Site() as site:
        application = activate(service.origin, site)
        person = Person(service.origin, "ann@example.org")
        person.grant(application)
        with Events(application) as events:
            events.until("current")
            answers = []
            waiting = threading.Thread(target=lambda: answers.append(poll(application, f"since={events.cursor}&wait=50")))
            waiting.start()
            eventually(lambda: _now(application)["sockets"] == 2)
            assert service.stop() == 0
            end = events.until("close")
            assert end["code"] == 4200
            assert events.retry == 1000 * int(re.search(r"retry_after=(\d+)$", end["reason"])[1])
            waiting.join()
        ((status, refusal),) = answers
        assert (status, refusal["errno"], refusal["error"]) == (503, 201, "the server is stopping")
        assert refusal["retry_after"] >= 1
        service.start()
