"""The output of the command: text for people, or JSON for programs."""

from __future__ import annotations

import json
from typing import Any, Dict, Sequence, TextIO

_CLEAR = "\x1b[H\x1b[2J"


def printable(text: str) -> str:
    """Return a text in one line, without characters that control a terminal."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.splitlines()))


class Output:
    """Writes results.

    :param stream: where to.
    :param as_json: write each result as one line of JSON.
    """

    def __init__(self, stream: TextIO, as_json: bool) -> None:
        self._stream = stream
        self.as_json = as_json

    def result(self, value: Dict[str, Any], *lines: str) -> None:
        """Write one result.

        :param lines: the same for people; text of others in a line is made printable, and cannot begin another line.
        """
        self._write(json.dumps(value) if self.as_json else "\n".join(map(printable, lines)))

    def hint(self, text: str) -> None:
        """Write a line for people only."""
        if not self.as_json:
            self._write(text)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table, in place of the earlier one if this is a terminal."""
        widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
        lines = ["  ".join(printable(cell).ljust(width) for cell, width in zip(row, widths)).rstrip() for row in (header, *rows)]
        self._write((_CLEAR if self.is_terminal else "") + "\n".join(lines))

    @property
    def is_terminal(self) -> bool:
        """True if a person watches."""
        return not self.as_json and self._stream.isatty()

    def _write(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()
