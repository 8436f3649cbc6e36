"""The queue between the event loop and the program: bounded, and a waiting program always gets what is added."""

from __future__ import annotations

import asyncio
import queue
import threading

import pytest

from dpresence_client.inbox import MAX_ITEMS, Inbox


async def fill(inbox: Inbox, count: int) -> None:
    for number in range(count):
        await inbox.may_read()
        inbox.put(number)
    inbox.end()


def test_a_slow_thread_gets_everything_in_order_and_no_more_than_the_limit_waits() -> None:
    most, seen = [0], []

    async def run() -> None:
        inbox = Inbox(lambda: False)

        def take() -> None:
            while (item := inbox.get(None)) is not None:
                most[0] = max(most[0], inbox._items.qsize())
                seen.append(item)

        filling = asyncio.ensure_future(fill(inbox, 20 * MAX_ITEMS))
        while inbox._items.qsize() < MAX_ITEMS:
            await asyncio.sleep(0)
        thread = threading.Thread(target=take)
        thread.start()
        await asyncio.wait_for(filling, 30)
        await asyncio.get_running_loop().run_in_executor(None, thread.join)

    asyncio.run(run())
    assert seen == list(range(20 * MAX_ITEMS)) and most[0] <= MAX_ITEMS + 1  # and the end


def test_the_same_within_the_event_loop() -> None:
    async def run() -> list:
        inbox = Inbox(lambda: False)
        filling = asyncio.ensure_future(fill(inbox, 3 * MAX_ITEMS))
        seen = []
        while (item := await inbox.get_soon(30)) is not None:
            seen.append(item)
        await filling
        assert await inbox.get_soon(None) is None  # the end stays
        return seen

    assert asyncio.run(run()) == list(range(3 * MAX_ITEMS))


def test_a_full_inbox_is_read_on_while_an_answer_is_awaited() -> None:
    async def run() -> None:
        hurried = [False]
        inbox = Inbox(lambda: hurried[0])
        for number in range(MAX_ITEMS):
            inbox.put(number)
        waiting = asyncio.ensure_future(inbox.may_read())
        await asyncio.sleep(0)
        assert not waiting.done()
        hurried[0] = True
        inbox.hurry()
        await asyncio.wait_for(waiting, 30)

    asyncio.run(run())


def test_an_empty_inbox_says_so_in_time() -> None:
    async def run() -> None:
        inbox = Inbox(lambda: False)
        with pytest.raises(queue.Empty):
            await inbox.get_soon(0.01)
        with pytest.raises(queue.Empty):
            inbox.get(0.01)

    asyncio.run(run())
