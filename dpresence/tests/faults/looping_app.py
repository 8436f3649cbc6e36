"""An app factory whose process can be made to loop for ever, which no greenlet of it survives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gevent

from dpresence import main as make_app


def main(global_config: dict[str, str], **ini: str) -> Any:
    """Return the service; the first process that finds the file ``loop`` beside its ini removes it and loops."""
    application = make_app(global_config, **ini)
    gevent.spawn(_wait_for, Path(global_config["here"]) / "loop")
    return application


def _wait_for(file: Path) -> None:
    while True:
        gevent.sleep(0.1)
        try:
            file.unlink()
        except FileNotFoundError:
            continue
        loop_for_ever()


def loop_for_ever() -> None:
    """Let nobody else run."""
    while True:
        pass
