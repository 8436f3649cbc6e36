"""Fixtures: a process that fetches, certificates, and a port that refuses connections."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpresence.tests.waiting import PATIENCE_SECONDS

from .child import DOMAIN, Fetcher
from .peers import certificate


@pytest.fixture(scope="session")
def fetch(certificates) -> Iterator[Fetcher]:
    command = [sys.executable, "-m", "gevent.monkey", "--module", "dpresence.tests.unit.outbound.child"]
    proxy = "http://127.0.0.1:9/"  # nobody is there: a fetch that minds it fails
    environment = {
        **os.environ,
        "SSL_CERT_FILE": str(certificates / "ca.pem"),
        "https_proxy": proxy,
        "http_proxy": proxy,
        "all_proxy": proxy,
    }
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Fetcher(process)
        process.stdin.close()
        assert process.wait(PATIENCE_SECONDS) == 0


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    certificate(folder, "ca", "ca")
    certificate(folder, "unknown", "unknown")
    certificate(folder, "good", "ca", names=(DOMAIN,))
    certificate(folder, "foreign", "ca", names=("www.example.org",))
    certificate(folder, "common", "ca", common=DOMAIN)
    certificate(folder, "expired", "ca", names=(DOMAIN,), days=-1)
    certificate(folder, "stranger", "unknown", names=(DOMAIN,))
    return folder


@pytest.fixture
def refused() -> Iterator[int]:
    """A port where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have failed look-ups end at once, of which there are hundreds."""
    monkeypatch.setattr("dpresence.public_fetcher.FAILED_LOOKUP_SECONDS", 0.0)
