"""docs/rest.md, and the examples that need no browser, against one service."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from dpresence.contract.operations import OPERATIONS
from dpresence.demo import free_port
from dpresence.tests.support import DEVELOPMENT_TOKEN
from dpresence.tests.waiting import eventually

from .rest_document import Shell, calls, steps
from .service import Service
from .warm import running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("examples"), admin__emails="admin@example.org") as service:
        yield service


def test_the_page_of_rest_has_every_call() -> None:
    assert calls() == {operation.call for subject in OPERATIONS.values() for operation in subject}


def test_the_calls_of_the_page_of_rest_are_answered_as_it_shows(service: Service, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        assert os.environ.get("CI") != "true", "curl is not installed"
        pytest.skip("needs curl")
    site = free_port()
    (tmp_path / "development.token").write_text(DEVELOPMENT_TOKEN)
    real = {"127.0.0.1:8282": f"127.0.0.1:{service.port}", "localhost:8000": f"localhost:{site}", "http.server 8000": f"http.server {site}"}
    with Shell(tmp_path, real) as shell:
        for step in steps():
            shell.run(step)
            if "http.server" in step.commands:
                eventually(lambda: requests.get(f"http://localhost:{site}/", timeout=5).ok)
