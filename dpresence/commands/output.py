"""Output of a command: text for people, or one JSON object per line."""

from __future__ import annotations

import json
import sys
from typing import Any, Literal, TextIO

Level = Literal["ok", "warning", "error"]
Finding = tuple[Level, str, str]
"""What a check of ``doctor`` has found, and what to do; "" if there is nothing to do."""


class Output:
    """Writes the results of a command.

    :param as_json: write objects instead of text.
    """

    def __init__(self, stream: TextIO, as_json: bool) -> None:
        self._stream = stream
        self.as_json = as_json

    def write(self, text: str, /, **values: Any) -> None:
        """Write one result.

        :param text: the line for people.
        :param values: the object for programs.
        """
        self._stream.write(f"{json.dumps(values, ensure_ascii=False) if self.as_json else printable(text)}\n")
        self._stream.flush()

    def note(self, text: str) -> None:
        """Write a remark to standard error."""
        sys.stderr.write(f"dpresence: {printable(text)}\n")

    def show(self, **values: Any) -> None:
        """Write one object, for people as lines of name and value."""
        width = max(map(len, values)) + 2
        self.write("\n".join(f"{name + ':':{width}}{_shown(value)}" for name, value in values.items()), **values)


def printable(text: str) -> str:
    """Return a text without control characters, which a terminal would execute: names and descriptions come from users."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value).replace("\n", " ") if value not in (None, "") else "none"
