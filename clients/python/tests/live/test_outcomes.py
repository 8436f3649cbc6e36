"""Outcomes of notifications: an application's service is told what becomes of them, and can cancel them."""

from __future__ import annotations

import asyncio

import pytest

from dpresence_client import FileStore, NotFound, aio

from .support import Follower, device_of, service_of, wait_until


def told(outcomes):
    return [(one.id, one.outcome) for one in outcomes]


def test_it_is_told_what_becomes_of_notifications_and_continues_after_a_restart(application, person, tmp_path):
    puid, store, outcomes = person.grant(application), FileStore(tmp_path / "table.json"), []
    with service_of(application, store=store, on_outcome=outcomes.append) as app:
        follower = Follower(app)
        with device_of(person) as device:
            wait_until(lambda: puid in app.table and app.table[puid].status == "online")
            first, plain = app.notify(puid, "one", outcome=True), app.notify(puid, "two")
            assert first.id.startswith("o_") and not plain.id.startswith("o_")
            notifications = iter(device)
            received = [next(notifications), next(notifications)]
            device.report("shown", *received)
            wait_until(lambda: told(outcomes) == [(first.id, "delivered"), (first.id, "shown")])
            device.report("opened", *received)
            wait_until(lambda: told(outcomes)[2:] == [(first.id, "opened")])
            with pytest.raises(ValueError, match="shown or opened"):
                device.report("expired", *received)
    follower.join()
    assert outcomes[0].puid == puid and outcomes[0].at % 1000 == 0 and store.load(application.appid).outcomes
    with service_of(application) as app:
        second = app.notify(puid, "three", outcome=True)
        app.cancel(second)
    with service_of(application, store=store, on_outcome=outcomes.append) as app:
        follower = Follower(app)
        wait_until(lambda: told(outcomes)[3:] == [(second.id, "cancelled")])
    follower.join()


def test_an_outcome_whose_processing_failed_comes_again(application, person, tmp_path):
    puid, store, seen = person.grant(application), FileStore(tmp_path / "table.json"), []

    def fail(outcome):
        seen.append(outcome)
        raise ValueError("the database is away")

    with service_of(application, store=store, on_outcome=fail) as app:
        app.cancel(app.notify(puid, "one", outcome=True))
        with pytest.raises(ValueError, match="away"):
            list(app)
    with service_of(application, store=store, on_outcome=seen.append) as app:
        follower = Follower(app)
        wait_until(lambda: len(seen) == 2)
    follower.join()
    assert seen[0] == seen[1] and seen[0].outcome == "cancelled"


def test_the_same_for_asyncio(application, person):
    puid = person.grant(application)

    async def follow():
        outcomes: asyncio.Queue = asyncio.Queue()
        current: asyncio.Queue = asyncio.Queue()
        told = {"on_outcome": outcomes.put, "on_current": current.put}
        async with aio.AppService(application.origin, application.appid, application.key, **told) as app:

            async def iterate():
                async for _ in app:
                    pass

            task = asyncio.ensure_future(iterate())
            sent = await app.notify(puid, "Your move", outcome=True)
            await app.cancel(sent)
            outcome = await asyncio.wait_for(outcomes.get(), 60)
            assert await asyncio.wait_for(current.get(), 60) is True
            with pytest.raises(NotFound):
                await app.cancel(sent._replace(puid="nobody"))
        await task
        return (outcome.id, outcome.outcome) == (sent.id, "cancelled")

    assert asyncio.run(follow())
