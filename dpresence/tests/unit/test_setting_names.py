"""Settings under the names of earlier versions: they work, are warned of, and never contradict the present name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from dpresence.app import make_registry
from dpresence.clock import Clock
from dpresence.errors import SettingError
from dpresence.ini import load
from dpresence.settings.catalog import documented, former_keys
from dpresence.settings.environment import variable

FORMER, PRESENT = "channels.outbox_bytes", "channels.send_buffer_bytes"


def test_no_former_name_is_a_setting_again() -> None:
    assert former_keys() and not set(former_keys()) & set(documented())


@pytest.mark.parametrize(("former", "present"), former_keys().items())
def test_a_former_name_sets_the_renamed_setting_in_the_ini_and_as_a_variable(former: str, present: str) -> None:
    wanted = load({present: "70000"}, "/", {})
    assert wanted.deprecated == {}
    for ini, environment, deprecated in (
        ({former: "70000"}, {}, {former: present}),
        ({}, {variable(former): "70000"}, {variable(former): variable(present)}),
        ({former: "80000"}, {variable(present): "70000"}, {former: present}),
        ({present: "80000"}, {variable(former): "70000"}, {variable(former): variable(present)}),
    ):
        settings = load(ini, "/", environment)
        assert (settings, settings.deprecated) == (wanted, deprecated)


@pytest.mark.parametrize(
    ("ini", "environment", "error"),
    [
        ({FORMER: "70000", PRESENT: "70000"}, {}, f"{FORMER}: must be removed, because {PRESENT} is set, its present name"),
        ({}, {variable(FORMER): "70000", variable(PRESENT): "1"},
         f"{variable(FORMER)}: must be removed, because {variable(PRESENT)} is set, its present name"),
        ({FORMER: "5"}, {}, f"{PRESENT} = 5: must be from 65536 to 1073741824 ({FORMER} sets it)"),
        ({}, {variable(FORMER): "5"}, f"{PRESENT} = 5: must be from 65536 to 1073741824 ({variable(FORMER)} sets it)"),
    ],
)  # fmt: skip
def test_an_error_names_what_the_operator_wrote(ini: Mapping[str, str], environment: Mapping[str, str], error: str) -> None:
    with pytest.raises(SettingError) as raised:
        load(ini, "/", environment)
    assert str(raised.value) == error


def test_a_start_warns_once_of_each_former_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = load({FORMER: "70000", "directory.url": "sqlite://"}, str(tmp_path), {})
    with caplog.at_level(logging.WARNING):
        make_registry(settings, Clock(), tmp_path / "token")
    assert [message for message in caplog.messages if "deprecated" in message] == [f"{FORMER} is deprecated: write {PRESENT}"]
