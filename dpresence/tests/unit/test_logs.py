"""The log: one line a record, nothing a client sent can forge one, and no secret stays in it."""

from __future__ import annotations

import logging
import sys

import pytest

from dpresence.logs import LineFormatter, clean

KEY = "dpk_AbCdEfGhIjKl_" + "s" * 43
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJlbWFpbCI6ImFubiJ9.c2lnbmF0dXJl"


def line(message: str, *arguments: object, exc_info: object = None) -> str:
    record = logging.LogRecord("dpresence", logging.INFO, "file", 1, message, arguments, exc_info)  # type: ignore[arg-type]
    return LineFormatter("%(levelname)s %(name)s %(message)s").format(record)


def test_a_record_is_one_line() -> None:
    assert line("a\nb") == "INFO dpresence a\\nb"
    assert line("%s", "x\r\nERROR dpresence forged") == "INFO dpresence x\\x0d\\nERROR dpresence forged"


@pytest.mark.parametrize("char", ["\0", "\x08", "\x0b", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029"])
def test_control_characters_are_escaped(char: str) -> None:
    assert line(f"a{char}b") == f"INFO dpresence a\\x{ord(char):02x}b"


def test_tabs_and_letters_of_any_script_stay() -> None:
    assert clean("a\tb \u00e4 \u5c07 \U0001f600") == "a\tb \u00e4 \u5c07 \U0001f600"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"key {KEY}!", "key dpk_AbCdEfGhIjKl_***!"),
        ("ticket:" + "t" * 43, "ticket:***"),
        (f"Authorization: BrowserID {TOKEN}~{TOKEN}", "Authorization: BrowserID ***"),
        (f"Authorization: Bearer {KEY}", "Authorization: Bearer ***"),
        (f"'{TOKEN}~{TOKEN}'", "'***'"),
        (f"got {TOKEN}", "got ***"),
    ],
)
def test_secrets_are_masked(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_traceback_keeps_its_lines_and_loses_its_secrets() -> None:
    try:
        raise ValueError(f"no\x1b {KEY}")
    except ValueError:
        text = line("failed", exc_info=sys.exc_info())
    assert text.startswith("INFO dpresence failed\nTraceback (most recent call last):\n")
    assert text.endswith("ValueError: no\\x1b dpk_AbCdEfGhIjKl_***")
    assert "sss" not in text and "\x1b" not in text
