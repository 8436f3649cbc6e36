"""A device against a running dpresence."""

from __future__ import annotations

import asyncio
import threading

import pytest

from dpresence_client import ClientClosed, Device, FileTickets, InvalidCredentials, Replaced, SignedOut, aio

from .support import Follower, device_of, issuer, wait_until


def statuses(person):
    return {device["device"]: device["status"] for device in person.call("GET", "/devices")["devices"]}


def test_it_sets_its_status(person):
    with device_of(person) as device:
        assert statuses(person) == {"desk": "online"} and device.connected
        device.status = "unavailable"
        wait_until(lambda: statuses(person) == {"desk": "unavailable"})
        with pytest.raises(ValueError, match="status: one of online, unavailable, offline"):
            device.status = "busy"
        device.status = "offline"
    wait_until(lambda: statuses(person) == {})


@pytest.mark.slow
def test_many_changes_at_once_end_in_the_latest_one_and_close_nothing(person):
    with device_of(person) as device:
        for number in range(300):
            device.status = ("unavailable", "online")[number % 2]
        device.status = "unavailable"
        wait_until(lambda: statuses(person) == {"desk": "unavailable"})
        assert device.connected


def test_it_calls_a_function_for_each_notification_and_acknowledges_it(application, person):
    puid, seen = person.grant(application), []
    with application.service() as app:
        app.notify({"puid": puid, "message": "first"})
        with device_of(person) as device:
            device.on_notification(seen.append)
            wait_until(lambda: len(seen) == 1)
            app.notify({"puid": puid, "message": "second"})
            wait_until(lambda: len(seen) == 2)
    assert [(one.message, one.domain, one.source) for one in seen] == [
        ("first", application.domain, "Chess club"),
        ("second", application.domain, "Chess club"),
    ]
    with device_of(person, "phone") as device:
        follower = Follower(device)
        device.status = "unavailable"
        wait_until(lambda: statuses(person).get("phone") == "unavailable")
    follower.join()
    assert follower.seen == []


def test_a_function_that_fails_gets_the_notification_again_with_the_next_connection(application, person, caplog):
    puid, seen = person.grant(application), []

    def fail_once(notification):
        seen.append(notification.message)
        if len(seen) == 1:
            raise RuntimeError("the disk is full")

    with application.service() as app, device_of(person) as device:
        device.on_notification(fail_once)
        app.notify({"puid": puid, "message": "Your move"})
        wait_until(lambda: seen == ["Your move"])
        person.device("online", device="desk", ack=True).close()  # replaces it
        with pytest.raises(Replaced):
            device.wait_closed()
    with device_of(person) as device:
        device.on_notification(fail_once)
        wait_until(lambda: seen == ["Your move", "Your move"])
    assert "a notification could not be processed" in caplog.text


def test_its_ticket_survives_its_end(person, tmp_path):
    path, asked = tmp_path / "ticket", []

    def credentials():
        asked.append(1)
        return issuer(person)()

    for _ in range(3):
        with Device(person.origin, person.email, credentials, device="desk", tickets=FileTickets(path)) as device:
            assert device.connected
    assert len(asked) == 1 and path.read_text().startswith("ticket:")
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_stops_when_it_is_signed_out_or_replaced(person, tmp_path):
    with device_of(person, tickets=FileTickets(tmp_path / "ticket")) as device:
        follower = Follower(device)
        person.call("DELETE", "/devices/desk")
        follower.join()
        assert isinstance(follower.error, SignedOut)
        with pytest.raises(SignedOut):
            device.status = "offline"
        assert (tmp_path / "ticket").read_text() == ""
    with device_of(person) as first, device_of(person), pytest.raises(Replaced, match="4010"):
        first.wait_closed()


@pytest.mark.slow
def test_wrong_credentials_stop_it(person):
    with pytest.raises(InvalidCredentials, match="errno 34") as refused:
        Device(person.origin, person.email, lambda: "wrong~secret").start()
    assert "secret" not in str(refused.value)
    with pytest.raises(SignedOut):
        Device(person.origin, person.email, lambda: None).start()


def test_it_can_be_closed_from_its_own_function_and_twice(application, person):
    puid, closed = person.grant(application), threading.Event()
    with application.service() as app:
        device = device_of(person)
        device.start()

        def close(_):
            device.close()
            closed.set()

        device.on_notification(close)
        app.notify({"puid": puid})
        assert closed.wait(30)
        device.close()
        with pytest.raises(ClientClosed):
            device.status = "online"
        with pytest.raises(ClientClosed):
            device.start()


def test_the_same_for_asyncio_with_credentials_that_are_a_coroutine_function(application, person):
    puid = person.grant(application)

    async def credentials():
        return await asyncio.to_thread(issuer(person))

    async def run():
        seen = []
        async with aio.Device(person.origin, person.email, credentials, device="desk") as device:
            with application.service() as app:
                device.status = "unavailable"
                app.notify({"puid": puid, "message": "one"})
                async for notification in device:
                    seen.append(notification.message)
                    if len(seen) == 2:
                        break
                    app.notify({"puid": puid, "message": "two"})
        async with aio.Device(person.origin, person.email, credentials) as device:
            done = asyncio.Event()

            async def show(notification):
                seen.append(notification.message)
                done.set()

            device.on_notification(show)
            await asyncio.wait_for(done.wait(), 30)
        return seen

    assert asyncio.run(run()) == ["one", "two", "two"]  # the second was being processed at the end


def test_a_notification_at_which_the_loop_was_left_comes_again(application, person):
    puid = person.grant(application)
    with application.service() as app, device_of(person) as device:
        app.notify({"puid": puid, "message": "one"})
        for notification in device:
            assert notification.message == "one"
            break
        person.device("online", device="desk", ack=True).close()
        with pytest.raises(Replaced):
            device.wait_closed()
        with device_of(person) as again:
            assert next(iter(again)).message == "one"
