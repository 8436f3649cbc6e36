"""Contract of every mailbox for the inboxes. A part of the contract of its own; see ``mailbox``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.backends.mailbox import InboxLimits, Mailbox

from .mailbox import DAY, NOW, SHORT, grant, kept, note, one, push, settle, waiting

PUID = "puid-of-app-1"
JANE = [("jane", PUID)]


def held(name, **more):
    return replace(one(name, **more), held=True)


def shown(backend: Mailbox, user: str = "jane") -> list[str]:
    return [each.notification.id for each in backend.inbox(user, None, 10_000)]


def unread(backend: Mailbox, user: str = "jane") -> list[str]:
    found = [each.notification.id for each in backend.inbox(user, None, 10_000) if not each.read]
    assert len(found) == backend.unread(user)
    return found


class MailboxInboxContract:
    def test_a_push_is_in_the_inbox_of_its_user_unread(self, backend):
        push(backend, replace(one("a"), domain="chess.example.org"), one("b", "joe"))
        [entry] = backend.inbox("jane", None, 10)
        assert (entry.notification, entry.domain, entry.read) == (note("a"), "chess.example.org", False)
        assert backend.unread("jane") == 1 and shown(backend, "joe") == ["b"] and shown(backend, "jim") == []

    def test_the_newest_come_first_in_pages(self, backend):
        push(backend, *[f"{n}" for n in range(5)])
        push(backend, "5", "6")
        found, before = [], None
        for size in (3, 3, 1):
            page = backend.inbox("jane", before, 3)
            assert len(page) == size
            found, before = found + [each.notification.id for each in page], page[-1].position
        assert found == ["6", "5", "4", "3", "2", "1", "0"] and list(backend.inbox("jane", before, 3)) == []

    def test_a_receipt_an_expiry_and_the_end_of_a_grant_leave_it_unread_in_the_inbox(self, backend, pass_by):
        push(backend, "a", one("b", ttl_ms=SHORT), "c")
        settle(backend, "jane", ["a"])
        pass_by(SHORT)
        backend.sweep()
        backend.purge_grants([grant()])
        assert kept(backend) == [] and unread(backend) == ["c", "b", "a"]

    def test_entries_are_moved_to_another_inbox_with_their_places_and_states_once(self, backend):
        push(backend, "a", one("b", "joe"), "c", held("d"))
        backend.mark_read("jane", ["a"])
        assert [backend.move_inbox("jane", "joe") for _ in range(2)] == [2, 0]
        backend.purge("jane")
        assert unread(backend, "joe") == ["c", "b"] and shown(backend) == []
        assert shown(backend, "joe") == ["c", "b", "a"]

    def test_entries_of_the_same_moment_are_moved_beside_each_other(self, backend):
        push(backend, "a")
        [record] = backend.inbox_records()
        backend.restore_inbox([{**record, "user": "joe", "notification": {**record["notification"], "id": "b"}}])
        assert backend.move_inbox("jane", "joe") == 1
        assert sorted(shown(backend, "joe")) == ["a", "b"] and backend.unread("joe") == 2

    def test_a_moved_inbox_remains_within_the_limits(self, backend):
        most = backend.limits.entries
        for user in ("jane", "joe"):
            for start in range(0, most, 100):
                push(backend, *(one(f"{user}{number}", user) for number in range(start, start + 100)))
        backend.move_inbox("jane", "joe")
        backend.purge("jane")
        assert len(shown(backend, "joe")) == most == len(list(backend.inbox_records()))

    def test_reading_changes_nothing_for_the_application_and_no_delivery(self, backend):
        push(backend, "a", "b")
        assert backend.mark_read("jane", ["a"]) == 1
        backend.clear_inbox("jane")
        assert kept(backend) == ["a", "b"] and waiting(backend) == 2

    def test_entries_are_marked_as_read_by_their_ids(self, backend):
        push(backend, "a", "b", "c", one("d", "joe"))
        assert backend.mark_read("jane", ["a", "c", "d", "unknown"]) == 2
        assert backend.mark_read("jane", ["a"]) == backend.mark_read("jane", []) == 0
        assert unread(backend) == ["b"] and unread(backend, "joe") == ["d"]
        assert backend.mark_read("jane", [f"unknown-{n}" for n in range(250)] + ["b"]) == 1

    def test_entries_are_marked_as_read_up_to_one_of_them(self, backend):
        push(backend, "a", "b", "c", one("d", "joe"))
        assert backend.mark_read_until("jane", "d") == 0
        assert backend.mark_read_until("jane", "b") == 2
        assert unread(backend) == ["c"]

    def test_an_entry_is_deleted_and_all_of_them_are(self, backend):
        push(backend, *[f"{n}" for n in range(250)], one("d", "joe"), limit=1000)
        assert backend.remove_entry("jane", "249") and not backend.remove_entry("jane", "249") and not backend.remove_entry("jane", "d")
        assert backend.unread("jane") == 200 and shown(backend)[0] == "248"
        assert backend.clear_inbox("jane") == 249 and backend.clear_inbox("jane") == 0
        assert shown(backend) == [] and shown(backend, "joe") == ["d"]
        push(backend, "e")
        assert unread(backend) == ["e"]

    def test_no_more_than_the_limit_is_shown_and_the_rest_is_trimmed(self, backend):
        push(backend, *[f"{n}" for n in range(120)], limit=1000)
        push(backend, *[f"{n}" for n in range(120, 350)], limit=1000)
        assert shown(backend) == [f"{n}" for n in reversed(range(150, 350))] == unread(backend)
        backend.trim(JANE)
        assert len(list(backend.inbox_records())) == 200
        assert shown(backend) == [f"{n}" for n in reversed(range(150, 350))] == unread(backend)

    def test_a_held_notification_is_not_shown_before_its_release(self, backend):
        push(backend, held("a"), "b", held("c"), held("d", appid="app-2"))
        assert backend.mark_read("jane", ["a"]) == 0 and backend.mark_read_until("jane", "c") == 0 and not backend.remove_entry("jane", "a")
        assert backend.mark_read_until("jane", "b") == 1
        assert shown(backend) == ["b"] and unread(backend) == [] and kept(backend) == ["a", "b", "c", "d"]
        assert backend.clear_inbox("jane") == 1
        push(backend, "e")
        backend.release([("jane", PUID)])
        assert unread(backend) == ["c", "a", "e"]
        backend.release([("jane", PUID)])
        assert shown(backend) == ["c", "a", "e"]

    def test_a_notification_that_would_not_have_been_delivered_is_never_shown(self, backend, pass_by):
        push(backend, held("a", ttl_ms=SHORT), *[held(f"{n}") for n in range(130)], limit=100)
        pass_by(SHORT)
        assert kept(backend) == [f"{n}" for n in range(30, 130)]
        backend.release([("jane", PUID)])
        assert shown(backend) == [f"{n}" for n in reversed(range(30, 130))]

    def test_a_notification_received_before_its_release_is_shown_after_it(self, backend):
        push(backend, held("a"))
        settle(backend, "jane", ["a"])
        backend.release([("jane", PUID)])
        assert unread(backend) == ["a"]

    def test_held_entries_are_trimmed_without_those_that_are_shown(self, backend):
        push(backend, "a", *[held(f"{n}") for n in range(230)], held("other", appid="app-2"))
        backend.trim([*JANE, ("jane", "puid-of-app-2")])
        assert len(list(backend.inbox_records())) == 102 and shown(backend) == ["a"]

    def test_a_sweep_deletes_held_entries_that_have_expired(self, backend, pass_by):
        push(backend, held("a", ttl_ms=SHORT), held("b"))
        pass_by(SHORT)
        backend.sweep()
        assert [record["notification"]["id"] for record in backend.inbox_records()] == ["b"]

    def test_the_end_of_a_grant_deletes_what_is_held(self, backend):
        push(backend, "a", held("b"), held("c", appid="app-2"))
        backend.purge_grants([grant()])
        backend.release([("jane", PUID)])
        assert shown(backend) == ["a"]
        backend.release([("jane", "puid-of-app-2")])
        assert shown(backend) == ["c", "a"]

    def test_a_purge_deletes_the_whole_inbox(self, backend):
        push(backend, *[f"{n}" for n in range(130)], *[held(f"held-{n}") for n in range(130)], one("z", "joe"))
        backend.purge("jane")
        assert [record["user"] for record in backend.inbox_records()] == ["joe"]

    @pytest.mark.slow
    def test_too_old_entries_are_neither_shown_nor_counted_and_a_sweep_deletes_them(self, backend, pass_by):
        push(backend, "a", one("b", "joe"))
        pass_by(5 * SHORT)
        push(backend, "c")
        backend.limits = InboxLimits(days=4 * SHORT / DAY)  # so many milliseconds
        assert shown(backend) == ["c"] and backend.unread("jane") == 1 and shown(backend, "joe") == []
        backend.sweep()
        assert [record["notification"]["id"] for record in backend.inbox_records()] == ["c"]

    def test_without_days_nothing_is_stored(self, backend):
        push(backend, "a")
        backend.limits = InboxLimits(days=0)
        push(backend, "b", held("c"))
        assert shown(backend) == [] and backend.unread("jane") == 0
        backend.sweep()
        assert list(backend.inbox_records()) == [] and kept(backend) == ["a", "b", "c"]

    def test_a_backup_contains_every_inbox_and_restores_it(self, backend):
        push(backend, "a", replace(one("b"), domain="chess.example.org"), held("c"), one("d", "joe"))
        backend.mark_read("jane", ["a"])
        before = list(backend.inbox_records())
        for user in ("jane", "joe"):
            backend.purge(user)
        assert list(backend.inbox_records()) == []
        backend.restore_inbox(before)
        assert sorted(map(str, backend.inbox_records())) == sorted(map(str, before)) and len(before) == 4
        assert shown(backend) == ["b", "a"] and unread(backend) == ["b"]
        backend.release([("jane", PUID)])
        assert unread(backend) == ["c", "b"]

    @pytest.mark.parametrize("are_held", [False, True])
    def test_a_backup_has_the_inboxes_of_all_others_while_some_are_deleted(self, backend, are_held):
        users = [f"user-{number}" for number in range(150)]
        push(backend, *(replace(one(user, user, ttl_ms=DAY + number), held=are_held) for number, user in enumerate(users)))
        records = backend.inbox_records()
        found = {next(records)["user"]}
        for user in users[:20]:
            backend.purge(user)
        found.update(record["user"] for record in records)
        assert found >= set(users[20:])

    @pytest.mark.parametrize("hours", [-1, 1])
    def test_an_application_with_a_wrong_clock_changes_no_order(self, backend, hours):
        push(backend, "a", one("b", sent_at=NOW + hours * 3_600_000), "c")
        assert shown(backend) == ["c", "b", "a"]
