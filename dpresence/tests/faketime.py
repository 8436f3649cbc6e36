"""Processes of a wrong time of day: libfaketime, preloaded, with a clock that is set while they run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


class FakeTime:
    """The clock of some processes, beside which the monotonic one stays true.

    :param folder: for the file that they read the time from.
    :param cached: they read it at most once in ``CACHED_SECONDS``: without, a start of Python takes 20 s.
    """

    CACHED_SECONDS = 2.5
    """libfaketime compares whole seconds: with a cache of 1 s it reads the file again when their difference is 2."""

    def __init__(self, folder: Path, cached: bool = False) -> None:
        self._cached = cached
        self._file = folder / "offset"
        self.set(0)

    def set(self, seconds: int) -> None:
        """Let the clock be so many seconds ahead of the true one from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of a process that goes by this clock."""
        variables = {"LD_PRELOAD": library(), "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        return variables | ({"FAKETIME_CACHE_DURATION": "1"} if self._cached else {"FAKETIME_NO_CACHE": "1"})


def library() -> str:
    """Return the path of libfaketime, empty where it is not installed."""
    return next(map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), "")


def needed() -> None:
    """Skip a test without libfaketime; in CI it must be there."""
    if not library():
        assert os.environ.get("CI") != "true", "faketime is not installed"
        pytest.skip("needs libfaketime: apt-get install faketime")
