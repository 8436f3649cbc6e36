"""An application's service against a running dpresence."""

from __future__ import annotations

import asyncio

import pytest

from dpresence_client import (
    Change,
    Deactivated,
    FileStore,
    InvalidField,
    InvalidKey,
    NotActive,
    NotFound,
    Outgoing,
    aio,
)

from .support import Follower, device_of, service_of, wait_until


@pytest.mark.slow
def test_it_sees_a_snapshot_and_then_each_update(application, person):
    puid = person.grant(application)
    with service_of(application) as app:
        changes = iter(app)
        first = next(changes)
        assert (first.puid, first.status, first.reason, first.origin) == (puid, "offline", "snapshot", "snapshot")
        with device_of(person) as device:
            assert next(changes)[:3] == (puid, "online", "explicit")
            device.status = "unavailable"
            change = next(changes)
            assert change[:3] == (puid, "unavailable", "explicit") and change.origin == "update"
            assert app.table[puid].status == "unavailable" and list(app.table) == [puid]
        assert next(changes)[:3] == (puid, "offline", "lost")
        person.call("DELETE", f"/grant/{application.appid}")
        assert next(changes)[:3] == (puid, "offline", "revoked")
        assert dict(app.table) == {}


@pytest.mark.slow
def test_the_same_for_asyncio(application, person):
    puid = person.grant(application)

    async def follow():
        async with aio.AppService(application.origin, application.appid, application.key) as app:
            seen = []
            async for change in app:
                seen.append(change)
                if len(seen) == 1:
                    device = await asyncio.to_thread(person.device, "online", ack=True)
                    result = await app.notify(puid, "Your move")
                    received = await asyncio.to_thread(device.receive)
                    assert received["notifications"][0]["id"] == result.id
                    device.close()
                if change.reason == "lost":
                    return seen

    assert [change.status for change in asyncio.run(follow())] == ["offline", "online", "offline"]


def test_its_table_and_cursor_survive_its_end(application, person, tmp_path):
    puid, store = person.grant(application), tmp_path / "table.json"
    with service_of(application, store=FileStore(store)) as app:
        assert next(iter(app)).origin == "snapshot"
        follower = Follower(app)
        with person.device("online"):
            assert follower.next().status == "online"
            person.call("PATCH", f"/grant/{application.appid}", {"paused": True})
            assert follower.next().status == "offline"
        wait_until(lambda: '"offline"' in store.read_text())
    follower.join()
    assert store.stat().st_mode & 0o777 == 0o600
    with person.device("unavailable"):
        person.call("PATCH", f"/grant/{application.appid}", {"paused": False})
        with service_of(application, store=FileStore(store)) as app:
            assert app.table[puid].status == "offline"
            assert next(iter(app)) == Change(puid, "unavailable", "explicit", app.table[puid].at, "replay")
            wait_until_current(app)


def wait_until_current(app):
    """Iterate until the table is current; nothing more may come before."""
    follower = Follower(app)
    wait_until(lambda: app.current)
    assert follower.seen == []


def test_it_notifies_and_gets_results_or_typed_errors(application, person):
    puid = person.grant(application)
    with service_of(application) as app:
        result = app.notify(puid, "Your move", action=f"http://{application.domain}/g/7", source="Chess", ttl=60)
        assert (result.puid, result.queue_size, result.delivered) == (puid, 1, False) and result.id
        with pytest.raises(NotFound) as unknown:
            app.notify("nobody")
        assert unknown.value.errno == 110
        with pytest.raises(InvalidField, match="errno 156") as action:
            app.notify(puid, action="https://elsewhere.example/")
        assert action.value.field == "notifications[0].action"
        with pytest.raises(InvalidField, match="errno 153"):
            app.notify(puid, ttl=-1)
        with pytest.raises(InvalidField, match="errno 151"):
            app.notify(puid, "é" * 600)
        with pytest.raises(InvalidField, match="too many"):
            app.notify(puid, "x" * 200_000)
        with pytest.raises(InvalidField, match="errno 107"):
            app.notify(puid, "a lone surrogate: \ud800")
        assert app.connected


def test_it_notifies_many_in_as_many_frames_as_they_need(application, person):
    puid = person.grant(application)
    many = [Outgoing(puid, "\N{GRINNING FACE}" * 500 + str(number)) for number in range(150)]
    with service_of(application) as app:
        results = app.notify_many([*many, Outgoing("nobody")])
    assert [type(result).__name__ for result in results] == ["Delivery"] * 150 + ["NotFound"]
    assert len({result.id for result in results[:150]}) == 150
    with device_of(person) as device:
        notifications = iter(device)
        assert [next(notifications).message for _ in range(100)] == [one.message for one in many[50:]]  # 100 wait


@pytest.mark.parametrize(("appid", "key", "error"), [("", "dpk_wrong_key", InvalidKey), ("nothing", "", NotFound)])
def test_it_stops_at_once_where_it_cannot_sign_in(application, appid, key, error):
    app = aio.AppService(application.origin, appid or application.appid, key or application.key)
    with pytest.raises(error) as refused:
        asyncio.run(app.start())
    assert application.key not in str(refused.value)


def test_it_stops_when_the_application_is_deactivated(application, person):
    puid = person.grant(application)
    with service_of(application) as app:
        follower = Follower(app)
        follower.next()
        application.owner.call("POST", f"/myapps/{application.appid}/deactivate")
        follower.join()
        assert isinstance(follower.error, Deactivated)
        with pytest.raises(Deactivated):
            app.notify(puid)
    with pytest.raises(NotActive), service_of(application):
        pass
