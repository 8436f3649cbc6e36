"""The development token of a running service: its file, its link, and who may not have it."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
import requests

from .clients import ANSWER_SECONDS
from .service import Service
from .warm import WarmService, running

EMPTY = {"identity__development_token": ""}


def ask(service: Service, **headers: str) -> requests.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{service.origin}/__dev__/assertion"
    return requests.post(url, json={"email": "ada@example.org"}, headers=given, timeout=ANSWER_SECONDS)


def link(service: Service) -> str:
    """Return the link that the last start printed."""
    return re.findall(rf"{service.origin}/\?token=[\w-]{{43}}$", service.log(), re.MULTILINE)[-1]


@pytest.mark.slow
def test_a_reader_of_the_file_gets_an_assertion_and_nobody_else(tmp_path: Path) -> None:
    with running(tmp_path, **EMPTY) as service:
        service.alive_within(ANSWER_SECONDS)
        file = tmp_path / "live.token"  # beside live.ini
        assert stat.S_IMODE(file.lstat().st_mode) == 0o600
        assert ask(service, X_Development_Token=file.read_text()).status_code == 200
        refused = ask(service)
        assert (refused.status_code, refused.json()["errno"]) == (403, 121)
        assert "live.token" in refused.json()["error"] and file.read_text() not in refused.text


@pytest.mark.slow
def test_the_link_of_the_start_signs_a_browser_in_and_is_in_no_later_line_of_the_log(tmp_path: Path) -> None:
    with running(tmp_path, **EMPTY) as service, requests.Session() as browser:
        service.alive_within(ANSWER_SECONDS)
        answer = browser.get(link(service), headers={"Accept": "text/html"}, timeout=ANSWER_SECONDS)
        assert (answer.status_code, answer.url) == (200, f"{service.origin}/")
        made = browser.post(f"{service.origin}/__dev__/assertion", json={"email": "ada@example.org"}, timeout=ANSWER_SECONDS)
        assert made.status_code == 200
        assert service.log().count((tmp_path / "live.token").read_text()) == 1


@pytest.mark.slow
def test_another_start_makes_another_token(tmp_path: Path) -> None:
    with running(tmp_path, **EMPTY) as service:
        service.alive_within(ANSWER_SECONDS)
        old = (tmp_path / "live.token").read_text()
        service.crash()
        service.alive_within(ANSWER_SECONDS)
        assert ask(service, X_Development_Token=old).status_code == 403
        assert ask(service, X_Development_Token=(tmp_path / "live.token").read_text()).status_code == 200


def test_a_start_that_finds_its_port_taken_leaves_the_token_of_who_has_it(tmp_path: Path) -> None:
    with running(tmp_path, **EMPTY) as service:
        service.alive_within(ANSWER_SECONDS)
        token = (tmp_path / "live.token").read_text()
        second = WarmService(tmp_path, {"identity.development_token": ""}, service.port)
        second.launch()
        assert second.wait() != 0
        assert (tmp_path / "live.token").read_text() == token
        assert ask(service, X_Development_Token=token).status_code == 200


@pytest.mark.parametrize("token", ["guessable", "x" * 15])
def test_a_token_of_the_ini_that_could_be_guessed_stops_the_start(tmp_path: Path, token: str) -> None:
    service = WarmService(tmp_path, {"identity.development_token": token})
    service.launch()
    assert service.wait() != 0
    assert "identity.development_token" in service.log() and not (tmp_path / "live.token").exists()
