"""Calls for operators, and rules for all answers: methods, paths, sizes, internal errors (sections 6 and 7)."""

from __future__ import annotations

import io
import logging
from urllib.parse import unquote_to_bytes

import pytest
from webob import Request

from dpresence import __version__
from dpresence.errors import BackendUnavailable
from dpresence.tests.web.support import HOST, App, Browser, World, ko, refusal

UNKNOWN_PATH = (404, ko(111, "there is no such path"))
ANN = "ann@example.org"


def raw(world: World, path: str, method: str = "GET", body: bytes = b"", **environ: str) -> tuple[int, dict[str, object]]:
    """Make a call whose path or headers a careful client would not send."""
    request = Request.blank("/", method=method)
    path, _, query = path.partition("?")
    request.environ.update(PATH_INFO=unquote_to_bytes(path).decode("latin-1"), QUERY_STRING=query, REMOTE_ADDR="127.0.0.1", HTTP_HOST=HOST)
    request.environ["wsgi.input"] = io.BytesIO(body)
    request.environ.update(environ)
    answer = request.get_response(world.app)
    return answer.status_int, answer.json


# -- Dockerflow


def test_the_heartbeat_names_each_backend(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = world.browser()("GET", "/__heartbeat__")
    assert (answer.status_int, answer.json) == (200, {"directory": True, "tracker": True, "mailbox": True})

    def away() -> None:
        raise BackendUnavailable

    monkeypatch.setattr(world.registry.backends.tracker, "ping", away)
    answer = world.browser()("GET", "/__heartbeat__")
    assert (answer.status_int, answer.json) == (503, {"directory": True, "tracker": False, "mailbox": True})
    assert world.browser()("GET", "/__lbheartbeat__").status_int == 200


def test_the_load_balancer_and_the_version_need_nobody_signed_in(shared: World) -> None:
    assert shared.browser()("GET", "/__lbheartbeat__").json == {}
    version = shared.browser()("GET", "/__version__").json
    assert (version["name"], version["version"]) == ("dpresence", __version__)
    assert set(version) >= {"source", "version", "commit", "build"}


# -- methods and paths


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/myapps", {"GET", "HEAD", "POST"}),
        ("DELETE", "/logout", {"POST"}),
        ("POST", "/devices", {"GET", "HEAD"}),
        ("OPTIONS", "/account", {"GET", "HEAD", "DELETE"}),
        ("PUT", "/presence", {"GET", "POST"}),
        ("GET", "/login", {"POST"}),
        ("POST", "/myapps/x/feed", {"GET"}),
        ("POST", "/__version__", {"GET", "HEAD"}),
    ],
)
def test_a_method_that_is_not_allowed_names_those_that_are(shared: World, method: str, path: str, allowed: set[str]) -> None:
    answer = shared.browser()(method, path)
    status, body = refusal(answer)
    assert (status, body["errno"]) == (405, 115)
    assert set(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path", ["/nothing", "/myapps/", "/myapps/x/y/z", "/grant", "/GRANTS", "//myapps", "/..%2f", "/%ff", "/myapps/%ff", "/grant/%c3"]
)
def test_a_path_that_is_not_there_is_unknown(shared: World, path: str) -> None:
    assert raw(shared, path) == UNKNOWN_PATH


def test_a_query_that_is_not_utf_8_is_a_wrong_value(shared: World, shared_ann: Browser) -> None:
    for path in ("/myapps?after=%ff", "/grants?limit=%c3"):
        assert refusal(shared_ann("GET", path)) == (400, ko(107, "the query: text in UTF-8"))
    assert shared_ann("GET", "/login?next=%ff", Accept="text/html").status_int == 400


def test_a_mistake_of_ours_that_looks_like_undecodable_text_is_still_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.services.devices, "list", lambda user: b"\xff".decode())
    assert refusal(world.person(ANN)("GET", "/devices"))[1]["errno"] == 999


def test_head_answers_as_get_does_without_a_body(shared: World, shared_ann: Browser) -> None:
    for path in ("/grants", "/devices", "/account", "/myapps", "/__version__", "/__lbheartbeat__"):
        get, head = shared_ann("GET", path), shared_ann("HEAD", path)
        assert (head.status_int, head.body) == (get.status_int, b"")
        assert head.content_type == get.content_type


def test_an_answer_without_authentication_says_how_to_sign_in(shared: World) -> None:
    answer = shared.browser()("GET", "/devices")
    assert answer.status_int == 401 and answer.headers["WWW-Authenticate"] == "BrowserID, Bearer"


def test_every_answer_says_that_it_is_json_and_nothing_else(shared: World, shared_ann: Browser) -> None:
    for path in ("/grants", "/nothing", "/__heartbeat__"):
        answer = shared_ann("GET", path)
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


# -- bodies. ``channels.http`` limits their size; see ``tests/live/test_http.py``


def test_a_form_that_is_too_large_is_refused(world: World, app: App) -> None:
    answer = world.person(ANN)("POST", f"/grant/{app.id}", b"x" * 16385, Content_Type="application/x-www-form-urlencoded")
    assert refusal(answer) == (413, ko(113, "a form may have 16384 bytes"))


# -- mistakes of ours


def test_a_mistake_of_ours_is_answered_with_the_id_under_which_the_log_has_it_once(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ann = world.person(ANN)
    monkeypatch.setattr(world.services, "devices", None)
    caplog.clear()
    status, body = refusal(ann("GET", "/devices"))
    request_id = body["details"]
    assert (status, body) == (500, ko(999, f"internal error, request {request_id}", details=request_id))
    assert len(request_id) >= 8
    assert [(record.levelno, request_id in record.getMessage()) for record in caplog.records] == [(logging.ERROR, True)]
    assert caplog.records[0].exc_info is not None


def test_a_mistake_in_a_channel_reaches_whoever_keeps_the_connection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = world.device(ANN)
    monkeypatch.setattr(world.services, "devices", None)
    with pytest.raises(AttributeError):
        channel.receive({"email": ANN, "status": "offline"})
    monkeypatch.undo()


def test_mistakes_of_a_client_are_no_errors_in_the_log(world: World, app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    anybody = world.browser()
    for path in ("/nothing", "/devices", "/myapps/x"):
        anybody("GET", path, Authorization="BrowserID \u00e9~x".encode().decode("latin-1"))
    anybody("POST", "/login", b"\xff{")
    anybody("GET", f"/myapps/{app.id}/presence", Authorization="Bearer x")
    raw(world, "/%ff"), raw(world, "/myapps?after=%ff")
    channel = world.channel()
    for frame in ("x", "[" * 10000, '{"id":1e999}', '"\\ud800"'):
        channel.receive(frame)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_backend_that_is_away_says_when_to_come_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, channel = world.person(ANN), world.device(ANN)

    def away(*_: object) -> None:
        raise BackendUnavailable

    monkeypatch.setattr(world.registry.backends.tracker, "devices", away)
    monkeypatch.setattr(world.registry.backends.tracker, "update", away)
    answer = ann("GET", "/devices")
    gone = ko(201, "the service is unavailable for a moment", retry_after=5)
    assert refusal(answer) == (503, gone) and answer.headers["Retry-After"] == "5"
    assert channel.receive({"email": ANN, "status": "offline"}) == gone
    monkeypatch.undo()
    assert channel.receive({"email": ANN, "status": "offline"}) == {"result": "OK"}
