"""The event loop of the clients without asyncio."""

from __future__ import annotations

import asyncio

import pytest

from dpresence_client.loop_thread import LoopThread


def test_tasks_that_still_run_in_a_loop_are_cancelled_when_it_is_closed():
    ended = []

    async def sleep():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("sleep")

    async def begin():
        ended.append(asyncio.ensure_future(sleep()))
        await asyncio.sleep(0)

    thread = LoopThread()
    thread.call(begin())
    thread.close()
    task, *others = ended
    assert others == ["sleep"] and task.cancelled()


def test_a_call_in_the_thread_of_the_loop_is_an_error_instead_of_a_wait_for_itself():
    thread = LoopThread()

    async def call():
        with pytest.raises(RuntimeError, match="would wait for itself"):
            thread.call(asyncio.sleep(0))

    try:
        asyncio.run_coroutine_threadsafe(call(), thread.loop).result(5)
    finally:
        thread.close()
