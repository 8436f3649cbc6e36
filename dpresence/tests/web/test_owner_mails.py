"""Mails to owners of applications, through a real mail server (docs/protocol.md, section 6, Webhooks)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from dpresence.clock import Clock
from dpresence.errors import BackendUnavailable, SettingError
from dpresence.mail import MailRefused, MailServer
from dpresence.service.owner_mails import ATTEMPTS_PER_DAY
from dpresence.settings import MailSettings
from dpresence.tests import mail_server as real
from dpresence.tests.web.support import AUDIENCE, World
from dpresence.tests.web.webhook_endpoint import ANN, Endpoint, long_leases

__all__ = ["long_leases"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real.MailServer]:
    server = real.MailServer(tmp_path_factory.mktemp("mail"))
    server.start()
    yield server
    server.stop()


def mail(server: real.MailServer, **changes: object) -> MailServer:
    return MailServer(replace(MailSettings(**server.settings), **changes), Clock())  # type: ignore[arg-type]


def gone(world: World, owner: str = "dev@example.org") -> Endpoint:
    """Have an endpoint answer that it is gone."""
    app = world.application(world.person(owner))
    endpoint = Endpoint(world, app, owner=owner)
    endpoint.take()
    endpoint.proof.answer = (410, "")
    world.grant(ANN, app)
    endpoint.take()
    assert endpoint.state["reason"] == "gone"
    return endpoint


def make(make_world: Callable[..., World], server: real.MailServer, **options: Any) -> World:
    return make_world(**{f"mail__{name}": str(value) for name, value in server.settings.items()}, **options)


def test_the_owner_is_told_once_that_a_webhook_is_turned_off(make_world: Callable[..., World], server: real.MailServer) -> None:
    world, before = make(make_world, server), len(server.mails)
    endpoint = gone(world)
    world.services.owner_mails.run()
    endpoint.take(86_400)
    world.services.owner_mails.run()
    [sent] = server.mails[before:]
    assert (sent["recipients"], sent["from"], sent["encrypted"]) == (["dev@example.org"], "presence@example.org", True)
    assert sent["subject"] == "The webhook of Chess is turned off" and sent["auto-submitted"] == "auto-generated"
    for part in (endpoint.url, "status 410", f"/myapps/{endpoint.app.id}"):
        assert part in sent["text"]
    assert endpoint.secret not in str(sent) and endpoint.app.key not in str(sent)
    endpoint.call("PUT", "", {"url": endpoint.url})
    endpoint.take()
    world.services.owner_mails.run()
    assert len(server.mails[before:]) == 2, "turned off again"


def test_the_page_that_a_mail_names_is_below_the_path_of_the_service(make_world: Callable[..., World], server: real.MailServer) -> None:
    world, before = make(make_world, server, identity__path="/_presence"), len(server.mails)
    endpoint = gone(world)
    world.services.owner_mails.run()
    assert f"{AUDIENCE}/_presence/myapps/{endpoint.app.id}" in server.mails[before]["text"]


@pytest.mark.slow
def test_a_developer_who_turns_a_webhook_on_again_and_again_causes_ten_mails_a_day(
    make_world: Callable[..., World], server: real.MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    world, before = make(make_world, server), len(server.mails)
    endpoint = gone(world)
    for _ in range(ATTEMPTS_PER_DAY + 2):
        world.services.owner_mails.run()
        endpoint.call("PUT", "", {"url": endpoint.url})
        endpoint.take()
        assert endpoint.state["reason"] == "gone"
    assert len(server.mails[before:]) == ATTEMPTS_PER_DAY
    assert "was not sent: too many mails to their owner" in caplog.text
    endpoint.take(9000)
    endpoint.call("PUT", "", {"url": endpoint.url})
    endpoint.take()
    world.services.owner_mails.run()
    assert len(server.mails[before:]) == ATTEMPTS_PER_DAY + 1, "one more after a tenth of a day"


@pytest.mark.slow
@pytest.mark.parametrize("mailbox", ["full", "slow"])
@pytest.mark.usefixtures("impatient")
def test_developers_whose_mailboxes_take_no_mail_now_delay_no_mail_to_others(
    make_world: Callable[..., World], server: real.MailServer, mailbox: str
) -> None:
    world, before = make(make_world, server), len(server.mails)
    for owner in (f"{mailbox}@example.org", f"{mailbox}@example.net", "dev@example.org"):
        gone(world, owner)
    world.services.owner_mails.run()
    assert [mail["recipients"] for mail in server.mails[before:]] == [["dev@example.org"]]


def test_attempts_to_send_a_mail_count_as_well_as_mails(
    make_world: Callable[..., World], server: real.MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    world = make(make_world, server)
    gone(world, "full@example.org")
    for _ in range(ATTEMPTS_PER_DAY + 3):
        world.services.owner_mails.run()
        world.advance(901)
    assert caplog.text.count("was not sent: too many mails to their owner") == 1


ENCODED = "=?utf-8?q?a=0D=0ABcc:_joe=40x=0D=0A=0D=0ABuy?="
"""An encoded word (RFC 2047) with line breaks, which would end the header, add another, and begin the text."""


@pytest.mark.parametrize("name", [ENCODED, f"{ENCODED} Chess", "=?utf-8?b?/////w==?=", "=?utf-8?q?=00?=", "\u00e9" + ENCODED])
def test_a_developer_whose_application_is_named_like_encoded_headers_adds_none(
    make_world: Callable[..., World], server: real.MailServer, name: str
) -> None:
    world, before = make(make_world, server), len(server.mails)
    endpoint = gone(world)
    renamed = world.browser()("PATCH", f"/myapps/{endpoint.app.id}", {"name": name}, **world.authorization("dev@example.org"))
    assert renamed.status_int == 200, renamed.json
    world.services.owner_mails.run()
    [sent] = server.mails[before:]
    assert sent["subject"].strip() == f"The webhook of {name.replace('=?', '= ?')} is turned off"
    assert sent["text"].startswith("Hello,") and "bcc" not in sent


def test_an_owner_whose_address_is_an_encoded_word_is_sent_nothing(server: real.MailServer) -> None:
    with pytest.raises(MailRefused, match="cannot be written"):
        mail(server).send("=?utf-8?q?=0Ajoe?=@example.org", "Subject", "Text", "id")


@pytest.mark.slow
def test_a_mail_waits_until_the_mail_server_answers(
    make_world: Callable[..., World], server: real.MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    world, before = make(make_world, server), len(server.mails)
    gone(world)
    server.stop()
    world.services.owner_mails.run()
    server.start()
    world.services.owner_mails.run()
    assert len(server.mails) == before, "less than a minute later"
    world.advance(61)
    world.services.owner_mails.run()
    assert len(server.mails) == before + 1
    gone(world)
    server.stop()
    world.services.owner_mails.run()
    world.advance(86_000)
    with caplog.at_level(logging.WARNING):
        world.services.owner_mails.run()
    assert "is discarded: the mail server: Connection refused" in caplog.text
    server.start()
    world.advance(1000)
    world.services.owner_mails.run()
    assert len(server.mails) == before + 1


@pytest.mark.slow
def test_attempts_get_rarer_while_the_mail_server_is_down(make_world: Callable[..., World], server: real.MailServer) -> None:
    world = make(make_world, server)
    gone(world)
    with patch.object(MailServer, "send", side_effect=BackendUnavailable) as send:
        for _ in range(86_400 // 60):
            world.services.owner_mails.run()
            world.advance(60)
    assert 90 < send.call_count < 110, "every 15 minutes at last"


@pytest.mark.parametrize("sent", [False, True])
def test_a_process_that_is_killed_leaves_its_mail_to_the_next_one(
    make_world: Callable[..., World], server: real.MailServer, tmp_path: Path, sent: bool
) -> None:
    url, before = f"sqlite:///{tmp_path}/killed.db", len(server.mails)
    world = make(make_world, server, directory__url=url)
    endpoint = gone(world)
    with patch.object(MailServer, "send", killed(sent)), pytest.raises(Killed):
        world.services.owner_mails.run()
    world.close()
    world = make(make_world, server, clock=world.clock, directory__url=url)
    world.services.owner_mails.run()
    assert len(server.mails) == before + sent, "another process may be sending it"
    for _ in range(2):
        world.advance(301)
        world.services.owner_mails.run()
    mails = server.mails[before:]
    assert len(mails) == 1 + sent and endpoint.url in mails[-1]["text"]
    assert len({one["message-id"] for one in mails}) == 1, "a mail system can recognise the second one"


class Killed(BaseException):
    """The process was killed."""


def killed(sent: bool) -> Callable[..., None]:
    """Return a ``MailServer.send`` that kills the process, before or after it has sent the mail."""
    real_send = MailServer.send

    def send(self: MailServer, *arguments: str) -> None:
        if sent:
            real_send(self, *arguments)
        raise Killed

    return send


def test_nobody_is_told_of_a_webhook_that_is_on_again(make_world: Callable[..., World], server: real.MailServer) -> None:
    world, before = make(make_world, server), len(server.mails)
    endpoint = gone(world)
    endpoint.call("POST", "/replay", {"since": None})
    world.services.owner_mails.run()
    assert len(server.mails) == before


def test_the_mail_server_may_be_set_after_the_event(make_world: Callable[..., World], server: real.MailServer, tmp_path: Path) -> None:
    url, before = f"sqlite:///{tmp_path}/later.db", len(server.mails)
    world = make_world(directory__url=url)
    gone(world)
    world.services.owner_mails.run()
    world.close()
    make(make_world, server, clock=world.clock, directory__url=url).services.owner_mails.run()
    assert len(server.mails) == before + 1


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a mail server that says nothing be given up soon."""
    monkeypatch.setattr("dpresence.mail.SECONDS", 0.5)


@pytest.mark.slow
@pytest.mark.parametrize(("security", "encrypted"), [("tls", True), ("none", False)])
def test_mail_is_sent_by_tls_and_without_encryption(tmp_path: Path, security: str, encrypted: bool, request: pytest.FixtureRequest) -> None:
    server = real.MailServer(tmp_path, security)
    server.start()
    try:
        mail(server).check()
        mail(server).send("dev@example.org", "Subject", "Text", "1")
        [sent] = server.mails
        assert (sent["encrypted"], sent["message-id"]) == (encrypted, "<1@example.org>")
        if encrypted:
            with pytest.raises(BackendUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                mail(server, ca_file="").check()
            request.getfixturevalue("impatient")
            with pytest.raises(BackendUnavailable, match="the mail server: "):
                mail(server, security="none", user="", password="").check()
    finally:
        server.stop()


def test_a_mailbox_that_is_refused_is_not_tried_again(server: real.MailServer) -> None:
    for recipient, text in (("refused@example.org", "status 550"), ("ä@example.org", "the address cannot be written")):
        with pytest.raises(MailRefused, match=text):
            mail(server).send(recipient, "Subject", "Text", "1")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"password": "wrong"}, "the mail server refuses mail.user and mail.password"),
        ({"ca_file": ""}, "the mail server: TLS: CERTIFICATE_VERIFY_FAILED"),
        ({"host": "127.0.0.1"}, "the mail server: TLS: CERTIFICATE_VERIFY_FAILED"),
        ({"host": "nowhere.invalid"}, "the mail server: "),
        ({"port": 1}, "the mail server: Connection refused"),
    ],
)
def test_wrong_settings_are_named(server: real.MailServer, changes: dict[str, object], text: str, request: pytest.FixtureRequest) -> None:
    mail(server).check()
    request.getfixturevalue("impatient")
    with pytest.raises(BackendUnavailable) as raised:
        mail(server, **changes).check()
    assert str(raised.value).startswith(text) and real.PASSWORD not in str(raised.value)


def test_settings_that_do_not_fit_stop_the_start(server: real.MailServer) -> None:
    for changes, text in (
        ({"sender": ""}, "mail.sender: must be an e-mail address"),
        ({"ca_file": "/nowhere"}, "mail.ca_file: must be a file"),
    ):
        with pytest.raises(SettingError, match=text):
            mail(server, **changes)
