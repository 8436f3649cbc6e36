"""The pytest plugin: the fixture ``dpresence_service``."""

from __future__ import annotations

from typing import Iterator

import pytest

from .service import DevelopmentService


@pytest.fixture(scope="session")
def dpresence_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevelopmentService]:
    """A running development service with a grace of a second, for all tests of a session."""
    settings = {"presence.grace_seconds": "1", "presence.sweep_seconds": "1"}
    with DevelopmentService(tmp_path_factory.mktemp("dpresence"), settings) as service:
        yield service
