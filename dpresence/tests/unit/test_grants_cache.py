"""Grants are read once and kept until somebody says that they changed."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from dpresence.model import Grant, GrantSet
from dpresence.service.grant_cache import GrantCache
from dpresence.tests.waiting import PATIENCE_SECONDS


class SlowDirectory:
    """A directory that takes two turns of the loop to answer, with what was true at the first."""

    def __init__(self) -> None:
        self.reads = 0
        self.puid = "first"

    def grants_of_user(self, user: str) -> GrantSet:
        self.reads += 1
        found = GrantSet(0, (Grant("chess", self.puid, user, 0, 0),))
        gevent.sleep(0)
        gevent.sleep(0)
        return found


@pytest.fixture
def directory() -> SlowDirectory:
    return SlowDirectory()


@pytest.fixture
def cache(directory: SlowDirectory) -> Any:
    return GrantCache(directory)  # type: ignore[arg-type]


def load(cache: Any, count: int) -> list[Any]:
    """Start so many loads one turn after the other."""
    loads = []
    for _ in range(count):
        loads.append(gevent.spawn(cache.load, "ann"))
        gevent.sleep(0)
    return loads


def finish(loads: list[Any]) -> list[str]:
    with gevent.Timeout(PATIENCE_SECONDS):
        gevent.joinall(loads, raise_error=True)
    return [one.value.grants[0].puid for one in loads]


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_loads_at_once_all_end(cache: Any, directory: SlowDirectory, count: int) -> None:
    assert finish(load(cache, count)) == ["first"] * count
    assert directory.reads <= count
    assert cache.get("ann").grants[0].puid == "first"


@pytest.mark.parametrize("invalidate", [lambda cache: cache.invalidate("ann"), lambda cache: cache.clear()])
def test_a_load_that_was_overtaken_reads_again(cache: Any, directory: SlowDirectory, invalidate: Any) -> None:
    loads = load(cache, 2)
    directory.puid = "second"
    invalidate(cache)
    assert finish(loads) == ["second"] * 2
    assert cache.get("ann").grants[0].puid == "second"


def test_a_newer_load_stands(cache: Any, directory: SlowDirectory) -> None:
    loads = load(cache, 1)
    directory.puid = "second"
    cache.invalidate("ann")
    loads += load(cache, 1)
    assert finish(loads) == ["second"] * 2


def test_a_full_cache_discards_the_oldest_tenth(cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpresence.service.grant_cache._MAX_USERS", 20)
    users = [f"user-{n}" for n in range(21)]
    for user in users:
        cache.load(user)
    assert [user for user in users if cache.get(user) is None] == users[:2]


def test_grants_that_were_read_with_a_ticket_are_stored_unless_any_were_invalidated_since(cache: Any, directory: SlowDirectory) -> None:
    offered = GrantSet(3, ())
    before = cache.invalidations
    cache.offer("ann", offered, before)
    assert cache.get("ann") is offered and directory.reads == 0
    for invalidate in (lambda: cache.invalidate("joe"), cache.clear):
        before = cache.invalidations
        invalidate()
        cache.offer("sue", offered, before)
        assert cache.get("sue") is None
