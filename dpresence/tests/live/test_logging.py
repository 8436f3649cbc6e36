"""The log in JSON, and what a Sentry receives of it: a real service with mistakes in it, and a server in Sentry's place."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.exceptions import ConnectionClosed

from dpresence import __version__

from ..waiting import eventually
from .clients import Application, AppService, Device, Person, activate
from .http_server import HttpServer, QuietHandler
from .service import Service, Site

DEVICE = "ann-marias-telephone"


class Written(NamedTuple):
    """Output of a service: its lines of JSON, the events that it sent, the persons that they are about, and the answer to a failed call."""

    lines: list[dict[str, Any]]
    events: list[str]
    personal: list[str]
    failed: dict[str, Any]
    application: Application

    def fields(self, of: str) -> list[dict[str, Any]]:
        """Return the fields of the lines of a logger."""
        return [line["Fields"] for line in self.lines if line["Type"] == of]


class Sink(HttpServer):
    """A server in Sentry's place: it accepts events and keeps them."""

    def __init__(self) -> None:
        self.events = events = list[str]()

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                events.append((gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body).decode())
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        super().__init__(Handler)
        self.dsn = f"http://{'a' * 32}@localhost:{self.port}/7"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    folder = tmp_path_factory.mktemp("logging")
    with Sink() as sink, Site() as site:
        service = _json_service(folder, sink.dsn)
        try:
            service.start()
            yield _use(service, sink, site)
        finally:
            service.kill()


def _json_service(folder: Path, dsn: str) -> Service:
    service = Service(folder, {"use": "call:dpresence.tests.live.faulty_app:main", "sentry.dsn": dsn})
    ini = service.ini.read_text(encoding="utf-8").replace("level = WARNING\nhandlers =\n", "level = INFO\nhandlers =\n")
    service.ini.write_text(
        re.sub(r"(?s)\[formatter_line\].*", "[formatter_line]\nclass = dpresence.logs.JsonFormatter\n", ini), encoding="utf-8"
    )
    return service


def _use(service: Service, sink: Sink, site: Site) -> Written:
    """Have a device, an app service and a REST call, and stop the service."""
    application, ann = activate(service.origin, site), Person(service.origin, "ann.smith@example.org")
    puid = ann.grant(application)
    failed = ann.call("GET", "/devices", status=500)
    with AppService(application) as channel:
        channel.authenticate()
        channel.ask(action="nonsense")
    assertion = ann.assertion()
    with Device(ann) as device, suppress(ConnectionClosed):
        device.ask(email=ann.email, status="online", assertion=assertion, device=DEVICE)
    eventually(lambda: len(sink.events) >= 2)
    assert service.stop() == 0
    lines = [json.loads(line) for line in service.log().splitlines() if line.startswith("{")]
    personal = ["ann.smith", "ann%2Esmith", DEVICE, puid, assertion, application.key, application.appid, "127.0.0.1"]
    return Written(lines, sink.events, personal, failed, application)


def test_every_line_is_json(written: Written) -> None:
    assert {line["EnvVersion"] for line in written.lines} == {"2.0"}
    assert {"dpresence.server", "dpresence.access", "dpresence.views.errors"} <= {line["Type"] for line in written.lines}


def test_the_lines_of_a_request_have_its_id(written: Written) -> None:
    (error,) = written.fields("dpresence.views.errors")
    (access,) = [fields for fields in written.fields("dpresence.access") if fields["code"] == 500]
    assert error["rid"] == access["rid"] == written.failed["details"]
    assert (access["method"], access["path"]) == ("GET", "/devices")
    ids = [fields["rid"] for fields in written.fields("dpresence.access") if "rid" in fields]
    assert len(ids) == len(set(ids)) > 3


def test_the_lines_of_a_helper_of_a_request_have_its_id(written: Written) -> None:
    [validation] = [fields["rid"] for fields in written.fields("dpresence.access") if fields["path"].endswith("/validate")]
    [proof] = written.fields("dpresence.proofs")
    assert proof["msg"].startswith("the proof of ") and proof["rid"] == validation


def test_a_channel_has_one_line_at_its_end_under_the_id_of_its_other_lines(written: Written) -> None:
    (end,) = written.fields("dpresence.channels.session_log")  # nobody has signed in on the other channel
    assert (end["kind"], end["application"], end["code"], end["clean"]) == ("app service", written.application.appid, 1000, True)
    assert end["frames"] == 3  # auth, nonsense, and the close frame
    assert 0 <= end["t"] < 60_000
    (internal,) = written.fields("dpresence.channels.wire")
    assert re.fullmatch(r"internal error on connection (\S+)", internal["msg"])[1] == internal["session"] != end["session"]  # type: ignore[index]
    opened = [fields["session"] for fields in written.fields("dpresence.access") if fields["code"] == 101]
    assert sorted(opened) == sorted([internal["session"], end["session"]])


def test_internal_errors_reach_sentry_with_their_place_and_ids(written: Written) -> None:
    events = [json.loads(envelope.splitlines()[2]) for envelope in written.events]
    by_logger = {event["logger"]: event for event in events}
    assert by_logger.keys() == {"dpresence.views.errors", "dpresence.channels.wire"}
    event = by_logger["dpresence.views.errors"]
    assert event["logentry"]["message"] == "request %s: %s %s failed"
    assert (event["level"], event["release"], event["tags"]["rid"]) == ("error", f"dpresence@{__version__}", written.failed["details"])
    assert [value["type"] for value in event["exception"]["values"]] == ["KeyError", "RuntimeError"]
    frame = event["exception"]["values"][1]["stacktrace"]["frames"][-1]
    assert (frame["module"], frame["function"]) == ("dpresence.tests.live.faulty_app", "_fail")
    (channel,) = written.fields("dpresence.channels.wire")
    assert by_logger["dpresence.channels.wire"]["tags"]["session"] == channel["session"]


def test_nothing_personal_reaches_sentry(written: Written) -> None:
    log = json.dumps(written.lines)
    assert DEVICE in log and "ann.smith" in log  # the mistakes name them
    for envelope in written.events:
        assert [word for word in written.personal if word in envelope] == []
        event = json.loads(envelope.splitlines()[2])
        assert event.keys() <= {
            *("event_id", "timestamp", "level", "logger", "logentry", "tags", "exception"),
            *("release", "environment", "server_name", "sdk", "platform"),
        }
        assert "vars" not in envelope and "context_line" not in envelope and not event.get("server_name")
