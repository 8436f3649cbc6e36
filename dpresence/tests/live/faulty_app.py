"""The service with two mistakes: ``use = call:dpresence.tests.live.faulty_app:main``. Their exceptions contain what callers know."""

from __future__ import annotations

from typing import Any

import dpresence


def main(global_config: dict[str, str], **ini: str) -> Any:
    """Return the application of an ini, with mistakes at the sign-in of a device and in the list of devices."""
    app = dpresence.main(global_config, **ini)
    devices = app.registry["dpresence"].services.devices
    devices.connect = devices.list = _fail
    return app


def _fail(*arguments: object) -> None:
    try:
        raise KeyError(arguments)
    except KeyError as error:
        raise RuntimeError(f"no {arguments}") from error
