"""The log: one line a record, nothing a client sent can forge one, and no secret stays in it."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from dpresence import logs, sentry
from dpresence.errors import SettingError
from dpresence.logs import JsonFormatter, LineFormatter, begin_request, clean, context, enter_session, spawn
from dpresence.settings import SentrySettings

KEY = "dpk_AbCdEfGhIjKl_" + "s" * 43
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJlbWFpbCI6ImFubiJ9.c2lnbmF0dXJl"


def line(message: str, *arguments: object, exc_info: object = None) -> str:
    record = logging.LogRecord("dpresence", logging.INFO, "file", 1, message, arguments, exc_info)  # type: ignore[arg-type]
    return LineFormatter("%(levelname)s %(name)s %(message)s").format(record)


@pytest.fixture(autouse=True)
def _outside_of_requests() -> Iterator[None]:
    """Forget the request that a test in this process has made before."""
    variables = (logs._request, logs._session)
    tokens = [variable.set("") for variable in variables]
    yield
    for variable, token in zip(variables, tokens, strict=True):
        variable.reset(token)


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


def json_line(message: str, *arguments: object, exc_info: object = None, **extra: object) -> dict[str, Any]:
    record = logging.LogRecord("dpresence.x", logging.WARNING, "file", 1, message, arguments, exc_info)  # type: ignore[arg-type]
    vars(record).update(extra)
    text = JsonFormatter().format(record)
    assert len(text.splitlines()) == 1
    return dict(json.loads(text))


def test_a_json_line_has_the_shape_of_mozlog_and_its_values_as_fields() -> None:
    line = json_line("%d left", 3, code=1006)
    assert line["EnvVersion"] == "2.0"
    assert (line["Type"], line["Logger"], line["Severity"], line["Pid"]) == ("dpresence.x", "dpresence", 4, os.getpid())
    assert isinstance(line["Timestamp"], int)
    assert line["Fields"] == {"msg": "3 left", "code": 1006}


def test_a_json_line_has_no_secret_and_keeps_a_message_that_looks_like_json() -> None:
    assert json_line("%s", '{"key": "' + KEY + '"}', path=f"/{KEY}\x1b")["Fields"] == {
        "msg": '{"key": "dpk_AbCdEfGhIjKl_***"}',
        "path": "/dpk_AbCdEfGhIjKl_***\\x1b",
    }


def test_a_json_line_has_the_traceback_with_its_causes_and_without_secrets() -> None:
    try:
        try:
            raise KeyError(KEY)
        except KeyError as error:
            raise ValueError(f"no {TOKEN}") from error
    except ValueError:
        fields = json_line("failed", exc_info=sys.exc_info())["Fields"]
    assert fields["error"] == "ValueError('no ***')"
    assert "KeyError: 'dpk_AbCdEfGhIjKl_***'" in fields["traceback"]
    assert "sss" not in json.dumps(fields) and "eyJ" not in json.dumps(fields)


def test_lines_of_a_greenlet_have_the_ids_of_its_request_and_channel() -> None:
    def work() -> None:
        first = begin_request()
        enter_session("1-c0ffee")
        seen.append((first, json_line("x")["Fields"]))
        seen.append((begin_request(), context()))

    seen: list[tuple[str, dict[str, str]]] = []
    gevent.spawn(work).join()
    (first, fields), (second, ids) = seen
    assert fields == {"rid": first, "session": "1-c0ffee", "msg": "x"}
    assert ids == {"rid": second} and second != first
    assert context() == {}


def test_lines_of_a_greenlet_that_works_for_a_request_have_its_ids() -> None:
    def serve() -> None:
        rid = begin_request()
        enter_session("1-c0ffee")
        helper = spawn(work)
        seen.append({"rid": rid, "session": "1-c0ffee"})
        begin_request()  # the next one on this connection
        helper.join()

    def work() -> None:
        gevent.sleep(0)
        seen.append(context())

    seen: list[dict[str, str]] = []
    gevent.spawn(serve).join()
    assert len(seen) == 2 and seen[0] == seen[1]


def test_a_missing_sdk_of_sentry_is_named_only_if_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sentry_sdk", "sentry_sdk.utils"):
        monkeypatch.setitem(sys.modules, name, None)
    sentry.check(SentrySettings())
    with pytest.raises(SettingError) as caught:
        sentry.check(SentrySettings(dsn="https://key@sentry.example.org/1"))
    assert str(caught.value) == "sentry.dsn: needs sentry-sdk: install dpresence[sentry]"
