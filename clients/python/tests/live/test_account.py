"""A user's account against a running dpresence."""

from __future__ import annotations

import asyncio
import time

import pytest

from dpresence_client import (
    Account,
    Hours,
    InboxNotification,
    Interval,
    InvalidCredentials,
    InvalidField,
    Link,
    NotFound,
    QuietHours,
    Rest,
    UserStatus,
    aio,
)

from .support import device_of, issuer, wait_until

NIGHT = Hours("Europe/Berlin", [Interval(["sat", "sun"], "03:00", "03:01")])


@pytest.fixture
def account(person):
    return Account(person.origin, issuer(person))


def in_an_hour():
    return int(time.time() * 1000) + 3_600_000


def test_the_status_of_the_person_is_set_by_a_call_and_ended_by_a_device(person, account):
    assert account.status() == UserStatus("offline", "offline", None, None)
    with device_of(person) as device:
        until = in_an_hour()
        assert account.set_override("unavailable", until) == UserStatus("unavailable", "online", "unavailable", until)
        device.set_override(None)
        wait_until(lambda: account.status() == UserStatus("online", "online", None, None))
        device.set_override("offline")
        wait_until(lambda: account.status().override == "offline")
        account.end_override()
        assert account.status() == UserStatus("online", "online", None, None)
    with pytest.raises(InvalidField) as refused:
        account.set_override("online", 1)
    assert refused.value.field == "until"


def test_quiet_hours_are_set_and_removed(account):
    assert account.hours() == QuietHours(None, False)
    assert account.set_hours(NIGHT)[0] == NIGHT == account.hours().hours
    with pytest.raises(InvalidField) as refused:
        account.set_hours(NIGHT._replace(weekly=[Interval(["mon"], "25:00", "03:00")]))
    assert refused.value.field == "weekly[0].from"
    account.remove_hours()
    assert account.hours() == QuietHours(None, False)


@pytest.mark.slow
def test_a_grant_is_listed_with_what_its_application_sees_and_why_and_when_it_looked(application, person, account):
    puid = person.grant(application)
    application.service().close()
    with device_of(person):
        account.change_grant(application.appid, paused=True)
        [grant] = wait_until(lambda: [one for one in account.grants() if one.looks and one.sees == "offline"])
    assert grant[:2] == (application.appid, puid)
    assert (grant.name, grant.domain) == ("Chess club", application.domain)
    assert grant.why == [Link("devices", "online"), Link("pause", "offline")]
    assert [(looks.day, looks.channel, looks.rest, looks.webhook) for looks in grant.looks] == [(grant.last_looked, 1, 0, 0)]


def test_a_change_of_a_grant_leaves_the_rest_of_it(application, person, account):
    puid = person.grant(application)
    until = in_an_hour()
    first = account.change_grant(application.appid, shows="reachable", until=until, hours=NIGHT, push=True)
    assert (first.puid, first.paused, first.shows, first.until, first.hours, first.push) == (puid, False, "reachable", until, NIGHT, True)
    assert account.change_grant(application.appid, until=None, paused=True) == first._replace(until=None, paused=True)
    assert account.change_grant(application.appid, hours=None) == first._replace(until=None, paused=True, hours=None)
    assert account.grants()[0][:9] == tuple(first._replace(until=None, paused=True, hours=None))
    with pytest.raises(NotFound):
        account.change_grant("../hours", paused=True)


def test_the_inbox_is_listed_read_and_cleared(application, person, account):
    puid = person.grant(application)
    cleared: list[str] = []
    with application.service() as app, device_of(person, inbox=True, on_cleared=cleared.extend) as device:
        app.notify(*({"puid": puid, "message": message} for message in ("one", "two", "three")))
        wait_until(lambda: device.unread == 3)
        inbox = account.notifications()
        three, two, one = inbox.notifications
        assert (inbox.unread, three.message, one.message) == (3, "three", "one")
        site = application.domain
        assert one == InboxNotification(one.id, application.appid, site, one.site, "Chess club", "one", "", one.sent, False)
        assert account.mark_read(three) == 2
        wait_until(lambda: cleared == [three.id])
        wait_until(lambda: device.unread == 2)
        assert account.mark_read(until=two) == 0
        device.mark_read(one)
        pages = list(Rest(person.origin).signed_in(issuer(person)()).pages("/notifications", limit=1))
        assert [entry["id"] for page in pages for entry in page["notifications"]] == [three.id, two.id, one.id]
        account.delete_notification(two)
        with pytest.raises(NotFound):
            account.delete_notification(two)
        assert account.notifications() == ([three._replace(read=True), one._replace(read=True)], 0)
        account.clear_notifications()
        assert account.notifications() == ([], 0)


def test_a_user_who_is_signed_out_or_has_no_valid_proof_is_refused(person):
    for assertion, errno in ((None, 104), ("wrong~proof", 34)):
        with pytest.raises(InvalidCredentials) as refused:
            Account(person.origin, lambda proof=assertion: proof).status()
        assert refused.value.errno == errno


def test_a_device_says_what_its_user_sees_of_it(person):
    with device_of(person, "lamp", label="Kitchen lamp", kind="other"):
        [known] = person.call("GET", "/devices")["known"]
    assert (known["device"], known["label"], known["kind"]) == ("lamp", "Kitchen lamp", "other")


def test_the_same_for_asyncio_with_credentials_that_are_a_coroutine_function(application, person):
    puid = person.grant(application)

    async def credentials():
        return await asyncio.to_thread(issuer(person))

    async def run():
        account = aio.Account(person.origin, credentials)
        assert (await account.set_override("unavailable")).override == (await account.status()).override == "unavailable"
        await account.end_override()
        assert (await account.set_hours(NIGHT)).hours == NIGHT
        await account.remove_hours()
        assert (await account.hours()).hours is None
        assert (await account.change_grant(application.appid, shows="reachable")).puid == puid
        assert [grant.shows for grant in await account.grants()] == ["reachable"]
        with application.service() as app:
            app.notify({"puid": puid, "message": "one"}, {"puid": puid, "message": "two"})
        two, one = (await account.notifications()).notifications
        assert await account.mark_read(one) == 1
        await account.delete_notification(two)
        await account.clear_notifications()
        assert await account.notifications() == ([], 0)

    asyncio.run(run())
