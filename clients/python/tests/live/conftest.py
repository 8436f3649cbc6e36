"""A running service of the project, an application and a person."""

from __future__ import annotations

import signal
import threading

import pytest
from dpresence.tests.checked_client import check_frames
from dpresence.tests.live.clients import Person, activate
from dpresence.tests.live.service import Site
from dpresence.tests.live.warm import running

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a background job of a shell; the programs that the tests end inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(tmp_path_factory.mktemp("service"), presence__grace_seconds=1, presence__sweep_seconds=1) as service:
        yield service


@pytest.fixture
def application(service):
    """One for each test, so that it receives nothing about devices of other tests."""
    with Site() as site:
        yield activate(service.origin, site)


@pytest.fixture
def person(service, request):
    name = request.node.name[:60].translate(str.maketrans("[]", "--"))
    return Person(service.origin, f"{name}@example.org")


WRONG_FRAMES: list[str] = []
check_frames(WRONG_FRAMES)


@pytest.fixture(autouse=True)
def every_frame_is_in_the_document():
    """Check after each test that the AsyncAPI document has every frame that the client received."""
    WRONG_FRAMES.clear()  # of unit tests, whose frames are not those of the service
    yield
    wrong, WRONG_FRAMES[:] = [*WRONG_FRAMES], []
    assert wrong == []


@pytest.fixture(autouse=True)
def no_thread_is_left():
    """No thread of a client outlives its ``close``."""
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("dpresence")] == []
