"""The output of the command: what others wrote stays in its line and cannot control the terminal."""

from __future__ import annotations

import io

import pytest

from dpresence_client.cli.output import Output


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\x0b", "\x85"])
def test_a_message_does_not_begin_another_line(end: str) -> None:
    stream = io.StringIO()
    Output(stream, as_json=False).result({}, f"chess.example.org: Chess club: Your move{end}bank.example: Sign in again", "Next: \x1b[2J")
    assert stream.getvalue() == "chess.example.org: Chess club: Your move bank.example: Sign in again\nNext: ?[2J\n"
