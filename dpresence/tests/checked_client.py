"""Compares what the Python client receives in any test with the AsyncAPI document."""

from __future__ import annotations

import json
from typing import Any

from dpresence_client import websocket

from .contract_check import check_frame


def check_frames(errors: list[str]) -> None:
    """Compare every frame that the client of this process receives from now on.

    :param errors: gets a line for each frame that is not in the document.
    """
    report = websocket.Websocket._report

    def checked(self: Any, event: str, *values: Any) -> None:
        if event == "received":
            try:
                check_frame(self._url, json.loads(values[0]))
            except AssertionError as error:
                errors.append(str(error))
        report(self, event, *values)

    websocket.Websocket._report = checked  # type: ignore[method-assign]
