"""``dpresence doctor`` through a real nginx: that of docs/operations.md, and ones in which a line is missing or wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from time import time

import pytest

from dpresence.backends.directory.sql import SqlDirectory
from dpresence.backends.sql.engine import Database
from dpresence.commands.cli import main
from dpresence.demo import free_port
from dpresence.model import Identity

from .proxies import installed, nginx
from .service import Process, Service, kept_running
from .test_proxies import ROOT, make_certificate

pytestmark = pytest.mark.slow

PROXY = "127.0.0.3"
"""Address from which nginx connects to the service, so that this machine has another one."""
NAMES = ("public URL", "channel", "event stream")
Examine = Callable[..., list[tuple[str, str, str]]]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, int]]:
    """A service and the port of the proxy in front of it, which each test starts."""
    port = free_port()
    settings = {
        "identity.audience": f"https://127.0.0.1:{port}",
        "identity.development": "false",
        "outbound.allow_loopback": "false",
        "channels.trusted_proxies": PROXY,
        "presence.ping_seconds": 5,
        "presence.pong_seconds": 2,
    }
    service = Service(tmp_path_factory.mktemp("service"), settings)
    with kept_running(service):
        directory = SqlDirectory(Database(f"sqlite:///{service.ini.parent}/live.db"))
        directory.sign_in(Identity("ann@example.org", "https://id.example.org", "ann", 2**42), int(time() * 1000))
        directory.close()
        yield service, port


@pytest.fixture
def examine(service: tuple[Service, int], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Return a function that runs nginx, with some lines changed, and returns what the doctor finds of it: level, text and advice."""
    installed("nginx")
    certificate, (behind, port) = make_certificate(tmp_path), service
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```nginx\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for name in ("/etc/ssl/presence.example.org.pem", "/etc/ssl/private/presence.example.org.key"):
        block = block.replace(name, str(certificate))
    block = block.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    block = block.replace("proxy_pass http://127.0.0.1:8282;", f"proxy_pass http://127.0.0.1:{behind.port}; proxy_bind {PROXY};")

    def run(changes: dict[str, str] | None = None, *options: str) -> list[tuple[str, str, str]]:
        changed = block
        for old, new in (changes or {}).items():
            assert old in changed
            changed = changed.replace(old, new)
        proxy = Process(nginx(tmp_path, changed), tmp_path / "nginx.log", port)
        proxy.start()
        try:
            main(["--ini", str(behind.ini), "--json", "doctor", *options])
        finally:
            proxy.kill()
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [(each["level"], each["text"], each["advice"]) for each in found if each["check"] in NAMES]

    return run


def test_the_doctor_finds_nothing_to_change_behind_the_proxy_of_the_documents(examine: Examine) -> None:
    loopback, *found = examine({}, "--account", "ann@example.org")
    assert loopback[1].endswith("only this machine reaches it")
    assert [level for level, _, _ in found] == ["ok"] * 6, found
    assert found[2][1] == "the service sees this machine as 127.0.0.1, by https, also if a client sends forwarding headers of its own"
    assert re.fullmatch(r"a channel stayed open for \d+ s; the ping of the service came after [4-7]\.\d s of silence", found[4][1])
    assert re.fullmatch(r"the events of a feed came after \d\.\d s, the comment of the service after [4-7]\.\d s", found[5][1])


def test_a_proxy_that_buffers_event_streams_is_found(examine: Examine) -> None:
    buffers = "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"
    *_, (level, text, advice) = examine({"proxy_buffering off;": buffers}, "--account", "ann@example.org")
    assert level == "error" and re.fullmatch(r"the feed of an application gave no event within \d+ s \(\w+\)", text), text
    assert advice.startswith("turn off buffering and compression of text/event-stream in each proxy") and "above 7 s" in advice


def test_nginx_passes_events_on_as_the_service_tells_it_to(examine: Examine) -> None:
    *_, (level, text, _) = examine({"proxy_buffering off;": "proxy_buffering on; gzip on; gzip_types *;"}, "--account", "ann@example.org")
    assert level == "ok", text


def test_a_proxy_that_closes_silent_channels_is_found(examine: Examine) -> None:
    *_, (level, text, advice), (stream, _, _) = examine(
        {"proxy_read_timeout 120s": "proxy_read_timeout 1s"}, "--account", "ann@example.org"
    )
    assert stream == "error"
    assert level == "error" and re.fullmatch(r"the channel was closed with 1006 after \d s of silence; no ping had come", text), text
    assert advice == "raise the timeouts of each proxy in between, for reading and sending, above 7 s"


@pytest.mark.parametrize(
    ("line", "instead", "level", "text", "advice"),
    [
        (
            "proxy_set_header Upgrade $http_upgrade;",
            "",
            "error",
            "a websocket does not open: HTTP 4",
            "have the proxy pass Upgrade and Conn",
        ),
        ("proxy_set_header X-Forwarded-Proto $scheme;", "", "error", "the service takes requests for http", "have the proxy send X-Forw"),
        (
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
            "proxy_set_header X-Forwarded-For '';",
            "warning",
            f"the service sees this machine as {PROXY}, which is a trusted proxy",
            "run curl https://127.0.0.1:",
        ),
        (
            'proxy_set_header Forwarded "";',
            "",
            "error",
            f"the service believes the Forwarded of a client: it sees {PROXY} instead of 127.0.0.1",
            "have the proxy replace or remove Forwarded",
        ),
        (
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
            "proxy_set_header X-Real-IP $remote_addr; set $passed $http_x_forwarded_for; if ($passed = '') { set $passed $remote_addr; }\n"
            "proxy_set_header X-Forwarded-For $passed;",
            "error",
            "the service believes the X-Forwarded-For of a client: it sees 203.0.113.9 instead of 127.0.0.1",
            "have the proxy replace or remove X-Forwarded-For",
        ),
    ],
)
def test_a_line_that_is_missing_or_wrong_is_found(examine: Examine, line: str, instead: str, level: str, text: str, advice: str) -> None:
    wrong = [finding for finding in examine({line: instead})[1:] if finding[0] != "ok"]
    assert len(wrong) == 1, wrong
    assert wrong[0][0] == level and wrong[0][1].startswith(text) and wrong[0][2].startswith(advice), wrong


def test_an_account_that_does_not_exist_is_named(
    examine: Examine, service: tuple[Service, int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--ini", str(service[0].ini), "doctor", "--account", "nobody@example.org"]) == 1
    assert "nobody@example.org" in capsys.readouterr().err


def test_the_doctor_leaves_no_device_behind(service: tuple[Service, int], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--ini", str(service[0].ini), "--json", "accounts", "export", "ann@example.org"]) == 0
    assert "dpresence-doctor" not in capsys.readouterr().out
    assert main(["--ini", str(service[0].ini), "--json", "apps", "list"]) == 0
    assert "dpresence doctor" not in capsys.readouterr().out
