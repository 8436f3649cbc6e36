"""The document of a person and the list of their grants, when there is very much of it: read in pages, one reader at a time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from dpresence.backends.mailbox import QueuedNotification
from dpresence.errors import BackendUnavailable
from dpresence.model import ApiKey, Application, Grant, Notification
from dpresence.tests.web.calls import count_calls
from dpresence.tests.web.support import App, Browser, World, ko, refusal

ANN = "ann@example.org"
LARGE = "\U0001f600" * 500


class Answer:
    """An answer of the WSGI application whose client reads on request."""

    def __init__(self, world: World, browser: Browser) -> None:
        cookie = "; ".join(f"{name}={value}" for name, value in browser.web.cookies.items())
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/account", "HTTP_COOKIE": cookie, "wsgi.url_scheme": "http"}
        environ |= {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8282", "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "127.0.0.1:8282"}
        self.status = ""
        self.body: Any = world.app(environ, self._start)
        self.pieces: Iterator[bytes] = iter(self.body)

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        self.status = status

    def rest(self) -> Any:
        text = b"".join(self.pieces)
        self.body.close()
        return json.loads(text)


def granted(world: World, app: App, count: int) -> str:
    """Let ann grant so many applications; return ann's account."""
    directory = world.registry.backends.directory
    puid = world.grant(ANN, app)
    [mine] = directory.grants_by_puid(app.id, [puid]).values()
    owner = directory.application(app.id).owner
    for n in range(count):
        directory.add_application(Application(f"app-{n:03}", owner, f"A{n}", "a.example.org", "", "key", 0), 1000)
        directory.add_key(ApiKey(f"key-{n}", f"app-{n:03}", b"", 0), 0)
        directory.touch_key(f"key-{n}", "2026-11-20")
        directory.add_grant(Grant(f"app-{n:03}", f"puid-{n}", mine.user, 0, 0))
    return str(mine.user)


def test_a_page_of_grants_is_one_query(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    granted(world, app, 120)
    ann = world.person(ANN)
    calls = count_calls(world, monkeypatch, "directory")
    page = ann("GET", "/grants?limit=100").json
    assert len(page["grants"]) == 100 and page["grants"][5]["last_looked"] == "2026-11-20"
    assert calls == Counter({"session": 1, "grants_with_applications": 1})
    rest = ann("GET", f"/grants?limit=100&after={page['next']}").json
    assert len(rest["grants"]) == 21 and "next" not in rest


def fill(world: World, user: str, count: int) -> None:
    for start in range(0, count, 100):
        items = [Notification(f"n{n}", "app-000", "puid-0", LARGE, LARGE, LARGE, 0) for n in range(start, start + 100)]
        world.registry.backends.mailbox.enqueue([QueuedNotification(user, item, 86_400_000) for item in items], 10_000)


@pytest.mark.slow
def test_the_document_is_read_as_its_client_takes_it(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    user = granted(world, app, 120)
    fill(world, user, 1000)
    ann = world.person(ANN)
    calls = count_calls(world, monkeypatch, "directory", "mailbox")
    answer = Answer(world, ann)
    next(answer.pieces)
    assert answer.status == "200 OK" and calls["grants_with_applications"] == calls["pending"] == 0
    largest, text = 0, b"{"
    for piece in answer.pieces:
        largest, text = max(largest, len(piece)), text + piece
    answer.body.close()
    document = json.loads(text)
    assert [len(document[key]) for key in ("grants", "notifications", "applications")] == [121, 1000, 0]
    assert document["complete"] is True and len(text) > 6_000_000 and largest < 700_000
    assert (calls["grants_with_applications"], calls["pending"], calls["application"]) == (2, 11, 0)


def test_one_reads_at_a_time_and_the_next_when_the_first_is_done_or_gone(world: World, app: App) -> None:
    ann, bob = world.person(ANN), world.person("bob@example.org")
    first = Answer(world, ann)
    next(first.pieces)
    busy = (429, ko(117, "account: one answer at a time", retry_after=2))
    assert refusal(ann("GET", "/account")) == busy
    assert bob("GET", "/account").status_int == 200
    first.body.close()
    assert ann("GET", "/account").json["complete"] is True
    assert ann("GET", "/account").status_int == 200


def test_a_backend_that_goes_away_in_between_is_said_at_the_end(world: World, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    user = granted(world, app, 3)
    fill(world, user, 200)
    ann, mailbox = world.person(ANN), world.registry.backends.mailbox
    real = mailbox.pending

    def pending(user: str, after: int, limit: int) -> Any:
        if after:
            raise BackendUnavailable
        return real(user, after, limit)

    with monkeypatch.context() as patch:
        patch.setattr(mailbox, "pending", pending)
        document = Answer(world, ann).rest()
    assert document["complete"] is False and len(document["notifications"]) == 100 and len(document["grants"]) == 4
    assert ann("GET", "/account").json["complete"] is True


def test_one_that_is_away_from_the_start_refuses_the_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = world.person(ANN)

    def away(*arguments: object) -> Any:
        raise BackendUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(world.registry.backends.tracker, "devices", away)
        assert refusal(ann("GET", "/account"))[0] == 503
    assert ann("GET", "/account").status_int == 200
