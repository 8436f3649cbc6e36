"""Access to the development issuer: for programs and pages of this machine only (section 8)."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable

import gevent
import pytest

from dpresence import background
from dpresence.errors import SettingError
from dpresence.tests.support import WITH_TOKEN
from dpresence.tests.waiting import eventually
from dpresence.tests.web.support import HOST, Browser, World, ko, refusal

BODY = {"email": "ann@example.org"}
UNKNOWN_PATH = (404, ko(111, "there is no such path"))


def ask(world: World, address: str = "127.0.0.1", host: str = HOST, **headers: str) -> object:
    browser = Browser(world.app, address)
    browser.web.extra_environ["HTTP_HOST"] = host
    return browser("POST", "/__dev__/assertion", BODY, **{**WITH_TOKEN, **headers})


def test_it_mints_an_assertion_for_any_email(shared: World) -> None:
    answer = shared.browser()("POST", "/__dev__/assertion", {"email": "Any.Body+1@Some.Where.example"}, **WITH_TOKEN)
    assert set(answer.json) == {"assertion"}
    login = shared.browser()("POST", "/login", {"assertion": answer.json["assertion"]})
    assert login.json["email"] == "Any.Body+1@some.where.example"


@pytest.mark.parametrize("email", ["", "ann", "ann@", "@example.org", "a b@example.org", "ann@example.org\n", "a@b@c"])
def test_an_invalid_address_is_refused(shared: World, email: str) -> None:
    refused = (400, ko(107, "email: an e-mail address in ASCII, at most 254 characters"))
    assert refusal(shared.browser()("POST", "/__dev__/assertion", {"email": email}, **WITH_TOKEN)) == refused


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "::2", ""])
def test_a_peer_that_is_not_of_this_machine_finds_no_such_path(shared: World, address: str) -> None:
    assert refusal(ask(shared, address)) == UNKNOWN_PATH  # type: ignore[arg-type]


def test_any_loopback_peer_will_do(shared: World) -> None:
    assert ask(shared, "127.0.0.9").status_int == ask(shared, "::1").status_int == 200  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "header", ["Forwarded", "X_Forwarded_For", "X_Forwarded_Host", "X_Forwarded_Proto", "X_Forwarded_Port", "X_Real_IP", "Via"]
)
def test_a_forwarded_request_finds_no_such_path(shared: World, header: str) -> None:
    assert refusal(ask(shared, **{header: "127.0.0.1"})) == UNKNOWN_PATH  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["localhost:8282", "evil.example.org", "127.0.0.1", "127.0.0.1:8283"])
def test_under_another_host_the_refusal_names_the_audience(shared: World, host: str) -> None:
    assert refusal(ask(shared, host=host)) == (403, ko(121, "Host: this is http://127.0.0.1:8282"))  # type: ignore[arg-type]


@pytest.mark.parametrize(("origin", "errno"), [("http://127.0.0.1:8282", None), ("http://evil.example.org", 121), ("null", 121), ("", 121)])
def test_the_origin_is_absent_or_our_own(shared: World, origin: str, errno: int | None) -> None:
    assert ask(shared, Origin=origin).json.get("errno") == errno  # type: ignore[attr-defined]


def test_its_answers_say_that_this_is_development(shared: World) -> None:
    assert ask(shared).headers["X-dpresence-Mode"] == "development"  # type: ignore[attr-defined]


def test_where_it_is_off_its_path_is_unknown(make_world: Callable[..., World]) -> None:
    world = make_world(identity__development="false", outbound__allow_loopback="false")
    assert refusal(ask(world)) == UNKNOWN_PATH  # type: ignore[arg-type]
    assert refusal(Browser(world.app)("GET", "/__dev__/assertion")) == UNKNOWN_PATH


@pytest.mark.parametrize(("first", "second"), [("true", "false"), ("false", "true")])
def test_a_database_of_the_other_mode_stops_the_start(make_world: Callable[..., World], tmp_path: object, first: str, second: str) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    make_world(directory__url=url, identity__development=first, outbound__allow_loopback="false").close()
    names = {"true": "development", "false": "production"}
    expected = f"directory.url: must be a {names[second]} database; this one was made by a {names[first]} service"
    with pytest.raises(SettingError) as refused:
        make_world(directory__url=url, identity__development=second, outbound__allow_loopback="false")
    assert str(refused.value) == expected


def test_the_log_says_so_at_the_start_and_at_most_once_an_hour(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert 3600 <= background.REMINDER_SECONDS * (1 - background._JITTER) <= background.REMINDER_SECONDS < 7200
    monkeypatch.setattr(background, "REMINDER_SECONDS", 0.02)

    def said() -> int:
        return sum(record.levelno == logging.WARNING and record.message == background.DEVELOPMENT for record in caplog.records)

    world = make_world()
    assert said() == 1
    caplog.clear()
    world.registry.background.start()
    eventually(lambda: said() >= 3)
    world.registry.background.stop()
    world = make_world(identity__development="false", outbound__allow_loopback="false")
    caplog.clear()
    world.registry.background.start()
    gevent.sleep(0.15)
    world.registry.background.stop()
    assert said() == 0


def test_it_takes_a_post_and_nothing_else(shared: World) -> None:
    assert refusal(shared.browser()("GET", "/__dev__/assertion?email=ann@example.org"))[1]["errno"] == 115
    assert refusal(shared.browser()("POST", "/__dev__/assertion", b"email=ann@example.org", **WITH_TOKEN))[1]["errno"] == 106


@pytest.mark.slow
@pytest.mark.parametrize(("development", "loaded"), [("true", True), ("false", False)])
def test_production_loads_neither_it_nor_pybrowserid(development: str, loaded: bool, tmp_path: object) -> None:
    ini = {"directory.url": "sqlite://", "identity.development": development}
    made = f"import sys; from dpresence.app import make_app; make_app({ini}, '{tmp_path}')"
    program = f"{made}; print(sorted({{'dpresence.identity.development', 'browserid', 'requests'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == str(["browserid", "dpresence.identity.development", "requests"] if loaded else [])


def test_no_environment_turns_it_on(make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDENTITY_DEVELOPMENT", "identity.development", "DEVELOPMENT"):
        monkeypatch.setenv(name, "true")
    world = make_world(identity__development="false", outbound__allow_loopback="false")
    assert refusal(ask(world)) == UNKNOWN_PATH  # type: ignore[arg-type]
    monkeypatch.setenv("DPRESENCE_IDENTITY_DEVELOPMENT", "true")
    with pytest.raises(SettingError, match=r"^DPRESENCE_IDENTITY_DEVELOPMENT: identity.development can be set in the ini only$"):
        make_world(identity__development="false", outbound__allow_loopback="false")
