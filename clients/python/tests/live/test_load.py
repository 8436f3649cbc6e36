"""The load that anybody can put on a development service of their own."""

from __future__ import annotations

import json
import sys

import pytest
from dpresence.tests.support import DEVELOPMENT_TOKEN

from bench import service as load


@pytest.mark.slow
def test_it_reports_what_a_development_service_took(service, tmp_path, monkeypatch, capsys):
    token = tmp_path / "token"
    token.write_text(DEVELOPMENT_TOKEN)
    options = ["--service", service.origin, "--token-file", str(token), "--devices", "5", "--rate", "5", "--seconds", "1", "--json"]
    monkeypatch.setattr(sys, "argv", ["load", *options])
    assert load.main() == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["devices"] == 5 and figures["delivered"] == figures["answered"] > 0
    assert (figures["refused"], figures["ends"]) == ({}, {})
    sessions = [line for line in service.log().splitlines() if "session ended" in line]
    assert len(sessions) == 5 + 1 and [line for line in sessions if "code 1000, " not in line or "not clean" in line] == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--service", "https://presence.example.org"], "a development service on this machine"),
        (["--rate", "300"], "--rate is not in its range"),
        (["--devices", "5001"], "--devices"),
        (["--token-file", "none"], "No such file"),
    ],
)
def test_it_loads_no_other_machine_and_has_bounds(tmp_path, monkeypatch, capsys, options, error):
    token = tmp_path / "token"
    token.write_text(DEVELOPMENT_TOKEN)
    monkeypatch.setattr(sys, "argv", ["load", "--token-file", str(token), *options])
    assert load.main() == 1
    assert error in capsys.readouterr().err
