"""The start: as shipped it works and lets nobody in; what is wrong stops it with one line that names the key."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from dpresence.demo import free_port
from dpresence.tests.waiting import PATIENCE_SECONDS

from .clients import Channel
from .service import PSERVE, Process
from .warm import Warm, WarmService

ROOT = Path(__file__).parents[3]
START_SECONDS = PATIENCE_SECONDS
DATABASE = "directory.url = sqlite:///%(here)s/presence.db"
DEVELOPMENT = {"identity.development = false": "identity.development = true"}
ELSEWHERE = {DATABASE: DATABASE.replace("presence.db", "elsewhere.db")}
AUDIENCE = "identity.audience = http://127.0.0.1:{port}"
ISSUERS = "browserid.issuers ="
ISSUER = {
    "identity.verifiers =": "identity.verifiers = browserid",
    ISSUERS: "browserid.issuers = login.example.org\nbrowserid.login.example.org.keys = a.json\nbrowserid.login.example.org.domains = *",
}


class Shipped(Process):
    """``pserve presence.ini``, a copy of it on another port with a database beside it; ``changes`` replace whole lines."""

    def __init__(self, folder: Path, changes: dict[str, str] | None = None) -> None:
        port = free_port()
        text = (ROOT / "presence.ini").read_text(encoding="utf-8").replace("8282", str(port))
        for line, changed in (changes or {}).items():
            line = line.format(port=port)
            assert f"\n{line}\n" in text, line
            text = text.replace(f"\n{line}\n", f"\n{changed}\n")
        ini = folder / "presence.ini"
        ini.write_text(text, encoding="utf-8")
        super().__init__([str(PSERVE), str(ini)], folder / "log", port)


class WarmShipped(Warm, Shipped):
    """The same in a fork."""

    def fail_to_start(self) -> str:
        """Expect it to end by itself with an error status, and return what it said."""
        self.launch()
        assert self.wait(START_SECONDS) != 0
        return self.log()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    service = Shipped(tmp_path_factory.mktemp("shipped"))
    service.start()
    yield service
    assert service.stop() == 0
    service.assert_clean()


def test_as_shipped_it_serves_and_says_that_sign_in_is_closed(shipped):
    assert requests.get(f"{shipped.origin}/__heartbeat__", timeout=PATIENCE_SECONDS).status_code == 200
    assert "sign-in is closed: set identity.verifiers" in shipped.log()


def test_as_shipped_sign_in_is_closed_and_the_answer_names_the_key_to_set(shipped):
    answer = requests.post(f"{shipped.origin}/login", json={"assertion": "a~b"}, timeout=PATIENCE_SECONDS)
    assert (answer.status_code, answer.json()["errno"]) == (503, 201)
    assert "identity.verifiers" in answer.json()["error"]
    with Channel(shipped.origin, "/presence") as device:
        refused = device.ask(email="a@example.org", assertion="a~b", status="online")
        assert refused["errno"] == 201
        assert "identity.verifiers" in refused["error"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_as_shipped_there_is_no_development_issuer(shipped, method):
    answer = requests.request(method, f"{shipped.origin}/__dev__/assertion", json={"email": "a@example.org"}, timeout=PATIENCE_SECONDS)
    assert (answer.status_code, answer.json()["errno"]) == (404, 111)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"presence.grace_seconds = 15": "presence.grace_seconds = soon"}, "presence.grace_seconds: must be a whole number"),
        ({"presence.grace_seconds = 15": "presence.gracious_seconds = 15"}, "presence.gracious_seconds: no such setting"),
        ({DATABASE: "directory.url = sqlite:////nowhere/x.db"}, "directory.url"),
        ({"host = 127.0.0.1": "hots = 127.0.0.1"}, "hots: no such setting"),
        ({DATABASE: f"{DATABASE}\ncertfile = a.pem"}, "certfile: must be in [server:main], not in [app:main]"),
        ({DATABASE: f"{DATABASE}\nset redis.password = x"}, "set redis.password: must be written without set"),
        (
            {"class = dpresence.logs.LineFormatter": "class = dpresence.logs.LineFormatter\nidentity.verifiers = oidc"},
            "identity.verifiers: must be in [app:main], not in [formatter_line]",
        ),
        # the development issuer, in the production ini and wherever others could reach it
        (DEVELOPMENT, "directory.url: must be a database of its own"),
        (DEVELOPMENT | ELSEWHERE | {"host = 127.0.0.1": "host = 0.0.0.0"}, "host = 0.0.0.0"),
        (DEVELOPMENT | ELSEWHERE | {"host = 127.0.0.1": "host = localhost"}, "host = localhost"),
        (DEVELOPMENT | ELSEWHERE | {"certfile =": "certfile = a.pem", "keyfile =": "keyfile = a.pem"}, "certfile: must be empty"),
        (DEVELOPMENT | ELSEWHERE | {AUDIENCE: "identity.audience = https://presence.example.org"}, "identity.audience = https:"),
        (DEVELOPMENT | ELSEWHERE | ISSUER, "identity.verifiers: must be empty"),
        (DEVELOPMENT | ELSEWHERE | {"channels.trusted_proxies =": "channels.trusted_proxies = 127.0.0.1"}, "channels.trusted_proxies"),
        # who else would let anybody in
        ({AUDIENCE: "identity.audience = *"}, "identity.audience: must be one origin"),
        ({"identity.verifiers =": "identity.verifiers = browserid"}, "browserid.issuers"),
        ({"identity.verifiers =": "identity.verifiers = persona"}, "identity.verifiers: must be one of"),
        (
            {**ISSUER, ISSUERS: ISSUER[ISSUERS].replace("login.example.org", "dev.invalid")},
            "browserid.issuers: must be a name that can be owned",
        ),
        ({"outbound.allow_loopback = false": "outbound.allow_loopback = true"}, "outbound.allow_loopback = true"),
    ],
)
def test_a_bad_setting_stops_the_start_and_is_named(tmp_path, changes, named):
    said = WarmShipped(tmp_path, changes).fail_to_start()
    assert named in said


@pytest.mark.slow
def test_a_bad_setting_is_reported_in_one_line(tmp_path):
    service = Shipped(tmp_path, {"presence.grace_seconds = 15": "presence.grace_seconds = soon"})
    service.launch()
    assert service.wait(START_SECONDS) == 1
    said = service.log()
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1, said


def test_a_production_database_is_not_opened_in_development(tmp_path):
    production = WarmShipped(tmp_path, ELSEWHERE)
    production.start()
    assert production.stop() == 0
    development = WarmShipped(tmp_path, ELSEWHERE | DEVELOPMENT)
    said = development.fail_to_start()
    assert "directory.url" in said
    assert "must be a development database; this one was made by a production service" in said


def test_a_development_database_is_not_opened_in_production(tmp_path):
    development = WarmService(tmp_path)
    development.start()
    assert development.stop() == 0
    said = WarmShipped(tmp_path, {DATABASE: DATABASE.replace("presence.db", "live.db")}).fail_to_start()
    assert "must be a production database; this one was made by a development service" in said


def test_a_port_that_is_taken_stops_the_start(shipped, tmp_path):
    second = WarmService(tmp_path, port=shipped.port)
    second.launch()
    assert second.wait(START_SECONDS) != 0
    assert "in use" in second.log()
