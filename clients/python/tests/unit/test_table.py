"""The table of an application's users, against a plain model of random snapshots and updates."""

from __future__ import annotations

import random

import pytest

from dpresence_client.table import MAX_REVOKED, Table
from dpresence_client.values import Batch, Entry, Update


def test_the_changes_lead_from_any_table_to_the_next_one() -> None:
    chance = random.Random(7)
    table, copy, truth = Table(), {}, {}
    for number in range(500):
        snapshot = chance.random() < 0.1
        updates = []
        for _ in range(chance.randrange(4)):
            puid = f"p{chance.randrange(6)}-{number // 100}"
            status = chance.choice(("online", "unavailable", "offline"))
            truth[puid] = Entry(status, number)
            updates.append(Update(puid, status, "explicit", number))
        if snapshot:
            truth = {puid: entry for puid, entry in truth.items() if chance.random() < 0.8}
            updates = [Update(puid, entry.status, "snapshot", entry.at) for puid, entry in truth.items()]
        for change in table.apply(Batch(updates, f"e:{number}", "snapshot" if snapshot else "update")):
            copy[change.puid] = Entry(change.status, change.at)
            if change.reason == "revoked":
                del copy[change.puid]
        truth = {puid: entry for puid, entry in truth.items() if puid in table or not table.is_revoked(puid)}
        assert dict(table) == table.copy() == copy == truth
        assert table.cursor == f"e:{number}"


def test_the_memory_of_revoked_puids_is_bounded() -> None:
    table = Table()
    table.apply(Batch([Update(f"p{number}", "offline", "revoked", 1) for number in range(MAX_REVOKED + 5)], "e:1", "update"))
    assert not table.is_revoked("p4") and table.is_revoked("p5")
    assert len(table) == 0


def test_its_representation_has_no_puid() -> None:
    assert repr(Table({"secret": Entry("online", 1)})) == "<Table of 1 users>"


def test_a_missing_puid_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        Table()["p1"]
