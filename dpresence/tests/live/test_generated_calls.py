"""Calls that are generated from the OpenAPI document get no 500, and every answer is in the document."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .clients import Application, activate
from .service import Service, Site
from .warm import running

pytestmark = pytest.mark.slow

UNLIMITED = {
    f"channels__{name}": 100_000
    for name in ("failures_per_minute", "registrations_per_hour", "request_rate", "request_burst", "connection_request_rate")
} | {"channels__connection_request_burst": 100_000, "identity__logins_per_hour": 100_000}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("generated"), **UNLIMITED) as service:
        yield service


@pytest.fixture(scope="module")
def application(service: Service) -> Iterator[Application]:
    with Site() as site:
        yield activate(service.origin, site)


def test_every_generated_call_is_answered_as_the_document_says(application: Application) -> None:
    from .generated_calls import make_all  # its libraries take half a second to load

    assert set(make_all(application, examples=5)) >= {200, 201, 204, 400, 401, 403, 404, 405}
