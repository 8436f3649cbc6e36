"""The outbox of a process: sweeps that overlap, entries that are deleted once all of a batch are applied, and entries that fail."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

import gevent
import pytest

from dpresence.backends.directory import OutboxEntry
from dpresence.errors import BackendUnavailable
from dpresence.service.outbox import Outbox


class Entries:
    """The part of the directory that stores entries; deleting them lets other greenlets run, as a real one does."""

    def __init__(self, *kinds: str) -> None:
        self.stored = [OutboxEntry(number, "ann", kind, "ann", "", "", 0) for number, kind in enumerate(kinds, 1)]
        self.deleted: list[list[int]] = []

    def outbox(self, owners: Collection[str] | None, after: int, limit: int) -> Sequence[OutboxEntry]:
        return [entry for entry in self.stored if entry.id > after and (owners is None or entry.owner in owners)][:limit]

    def clear_outbox(self, entries: Sequence[OutboxEntry]) -> None:
        self.deleted.append([entry.id for entry in entries])
        gevent.sleep(0)
        self.stored = [entry for entry in self.stored if entry not in entries]


@pytest.fixture
def applied() -> list[int]:
    return []


def outbox(entries: Entries, applied: list[int]) -> Outbox:
    def apply(some: Sequence[OutboxEntry]) -> None:
        applied.extend(entry.id for entry in some)
        gevent.sleep(0)

    made = Outbox(entries)  # type: ignore[arg-type]
    made.handlers = dict.fromkeys(("account", "revoked", "erased"), apply)
    return made


def test_two_sweeps_at_once_apply_each_entry_once(applied: list[int]) -> None:
    entries = Entries("account", "revoked", "erased")
    made = outbox(entries, applied)
    made.sweep()  # sees them
    gevent.joinall([gevent.spawn(made.sweep), gevent.spawn(made.sweep)], raise_error=True)
    assert applied == [1, 2, 3] and entries.stored == []


def test_applied_entries_are_deleted_together_at_the_end(applied: list[int]) -> None:
    entries = Entries("account", "revoked", "revoked", "erased")
    outbox(entries, applied).apply_now("ann")
    assert applied == [1, 2, 3, 4] and entries.deleted == [[1, 2, 3, 4]]


def test_the_entries_of_many_owners_are_applied_in_a_few_batches(applied: list[int]) -> None:
    entries, batches = Entries(), list[int]()
    entries.stored = [OutboxEntry(number, f"user{number % 90}", "revoked") for number in range(1, 541)]
    made = outbox(entries, applied)
    made.handlers["revoked"] = lambda some: batches.append(len(some))
    made.apply_now(*(f"user{number}" for number in range(60)))
    assert batches == [200, 160] == [len(ids) for ids in entries.deleted]
    assert {entry.owner for entry in entries.stored} == {f"user{number}" for number in range(60, 90)}


def test_changes_of_the_operator_are_applied_without_a_sweep(applied: list[int]) -> None:
    entries = Entries("account", "revoked", "revoked", "erased")
    outbox(entries, applied).apply_all()
    assert applied == [1, 2, 3, 4] and entries.stored == []


BUG = ValueError("a bug")


def revocations(*users: str) -> Entries:
    entries = Entries()
    entries.stored = [OutboxEntry(number, "app", "revoked", user, "app", f"puid-{number}") for number, user in enumerate(users, 1)]
    return entries


def failing(entries: Entries, applied: list[int], user: str, error: Exception) -> Outbox:
    """Return an outbox whose handler fails for a user, after it was called for those before them."""

    def apply(some: Sequence[OutboxEntry]) -> None:
        for entry in some:
            if entry.user == user:
                raise error
            applied.append(entry.id)

    made = outbox(entries, applied)
    made.handlers["revoked"] = apply
    return made


@pytest.mark.parametrize("error", [BUG, BackendUnavailable()])
def test_an_entry_that_fails_keeps_none_of_another_user_from_being_applied(applied: list[int], error: Exception) -> None:
    entries = revocations("ann", "joe", "jim", "joe", "ann")
    made = failing(entries, applied, "joe", error)
    with suppress(BackendUnavailable):
        made.apply_all()
    assert [entry.id for entry in entries.stored] == [2, 4] and set(applied) == {1, 3, 5}


def test_entries_of_one_user_that_fail_are_applied_again_in_order_and_without_the_others(applied: list[int]) -> None:
    entries = revocations("ann", "joe", "joe")
    made = failing(entries, applied, "joe", BUG)
    made.apply_all()
    applied.clear()
    made.handlers["revoked"] = lambda some: applied.extend(entry.id for entry in some)
    made.apply_all()
    assert applied == [2, 3] and entries.stored == []


def test_a_bug_is_logged_once_for_the_entry_that_has_it(applied: list[int], caplog: pytest.LogCaptureFixture) -> None:
    made = failing(revocations("ann", "joe", "jim"), applied, "joe", BUG)
    made.apply_all()
    made.apply_all()
    assert caplog.messages == ["an outbox entry cannot be applied: revoked, number 2"]


def test_a_sweep_ends_after_three_groups_of_entries_that_fail(applied: list[int]) -> None:
    entries = revocations(*(f"user{number}" for number in range(1000)))
    calls = list[int]()

    def fail(some: Sequence[OutboxEntry]) -> None:
        calls.append(len(some))
        raise BackendUnavailable

    made = outbox(entries, applied)
    made.handlers["revoked"] = fail
    made.sweep()  # sees them
    with pytest.raises(BackendUnavailable):
        made.sweep()
    assert calls.count(200) == 3 and len(entries.stored) == 1000
