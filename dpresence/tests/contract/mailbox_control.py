"""Contract of every mailbox for topics, idempotency keys and cancels. A part of the contract of its own; see ``mailbox``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpresence.backends.mailbox import Mailbox, QueuedNotification, Stored, TopicAndKey
from dpresence.backends.mailbox.control import MAX_NAMES
from dpresence.errors import Conflict

from .mailbox import NOW, SHORT, grant, kept, one, push, settle, waiting
from .mailbox_inbox import held, shown, unread

PUID = "puid-of-app-1"


def on(topic: str, name: str, **more: object) -> QueuedNotification:
    return replace(one(name, **more), control=TopicAndKey(topic))


def keyed(key: str, name: str, digest: str = "d", **more: object) -> QueuedNotification:
    return replace(one(name, **more), control=TopicAndKey("", key, digest))


def send(backend: Mailbox, *items: QueuedNotification) -> list[Stored]:
    return list(backend.enqueue(items, 100))


class MailboxControlContract:
    def test_a_notification_replaces_the_waiting_one_of_its_topic(self, backend):
        first = send(backend, on("score", "a"), one("b"))
        then = send(backend, one("c"), on("score", "d"))
        assert kept(backend) == ["b", "c", "d"] and unread(backend) == ["d", "c", "b"]
        assert [(each.size, each.replaced) for each in first + then] == [(1, ""), (2, ""), (2, ""), (3, "a")]

    def test_a_topic_belongs_to_one_grant(self, backend):
        send(backend, on("score", "a"), on("score", "b", appid="app-2"), on("score", "c", user="joe"), on("other", "d"))
        assert kept(backend) == ["a", "b", "d"] and kept(backend, "joe") == ["c"]

    def test_a_replaced_notification_is_no_longer_counted_whether_or_not_the_user_has_received_it(self, backend):
        for user in ("jane", "joe"):
            send(backend, one(f"{user}-1", user), on("score", f"{user}-2", user=user))
        settle(backend, "joe", ["joe-1", "joe-2"], offline_to=None)
        sizes = [send(backend, on("score", f"{user}-3", user=user, shown_until=NOW))[0].size for user in ("jane", "joe")]
        assert sizes == [2, 2]
        assert kept(backend) == ["jane-1", "jane-3"] and kept(backend, "joe") == ["joe-3"]

    def test_the_person_keeps_what_they_have_read(self, backend):
        send(backend, on("score", "a"), one("b"))
        backend.mark_read("jane", ["a", "b"])
        [again] = send(backend, on("score", "c"))
        assert again.replaced == "a" and not backend.cancel("jane", PUID, "none")
        assert backend.cancel("jane", PUID, "b")
        assert kept(backend) == ["c"] and shown(backend) == ["c", "b", "a"]

    def test_a_read_or_deleted_notification_is_no_longer_unread(self, backend):
        push(backend, "a", "b", "c", held("d"), one("e", "joe"))
        backend.mark_read("jane", ["a"])
        backend.remove_entry("jane", "b")
        assert backend.unread_ids("jane", ["a", "b", "c", "d", "e", "none"]) == {"c", "d"}

    def test_a_topic_ends_with_the_time_to_live(self, backend, pass_by):
        send(backend, on("score", "a", ttl_ms=SHORT))
        pass_by(SHORT + 1)
        [again] = send(backend, on("score", "b"))
        assert again.replaced == "" and shown(backend) == ["b", "a"]

    def test_a_cancelled_notification_is_gone_from_the_queue_and_from_the_inbox(self, backend):
        push(backend, "a", "b", held("c"))
        assert [backend.cancel("jane", PUID, name) for name in ("a", "c", "a")] == [True, True, False]
        backend.release([("jane", PUID)])
        assert kept(backend) == ["b"] and unread(backend) == ["b"] and waiting(backend) == 1

    def test_a_cancel_names_the_grant(self, backend):
        push(backend, "a", one("b", appid="app-2"))
        assert not backend.cancel("jane", PUID, "b") and not backend.cancel("joe", PUID, "a")
        assert kept(backend) == ["a", "b"] and unread(backend) == ["b", "a"]

    def test_a_cancelled_notification_is_counted_no_more_also_after_the_user_has_received_it_unseen(self, backend):
        push(backend, "a", "b")
        settle(backend, "jane", ["a"], offline_to=None)
        assert waiting(backend, shown_until=NOW) == 2 and backend.cancel("jane", PUID, "a")
        assert waiting(backend, shown_until=NOW) == 1

    def test_a_repeated_key_is_the_same_notification_also_after_its_delivery(self, backend):
        [first] = send(backend, keyed("k", "a"))
        [second, other] = send(backend, keyed("k", "b"), one("c"))
        settle(backend, "jane", ["a"])
        [third] = send(backend, keyed("k", "d"))
        assert [(each.position, each.repeated) for each in (second, third)] == [(first.position, "a")] * 2
        assert other.repeated == "" and other.position > first.position and third.size == 1
        assert kept(backend) == ["c"] and shown(backend) == ["c", "a"]

    def test_a_key_that_is_used_for_another_content_stores_nothing(self, backend):
        send(backend, keyed("k", "a"))
        with pytest.raises(Conflict, match="idempotency: k was used for another notification"):
            send(backend, one("b"), keyed("k", "c", "other"))
        assert kept(backend) == ["a"]
        send(backend, keyed("k", "d", "other", appid="app-2"))

    def test_nothing_of_a_large_push_is_stored_when_its_last_key_was_used_for_another_content(self, backend):
        send(backend, keyed("k", "a"), on("score", "b"))
        with pytest.raises(Conflict, match="idempotency: k was used for another notification"):
            send(backend, on("score", "c"), *[keyed(f"k{n}", f"n{n}") for n in range(98)], keyed("k", "d", "other"))
        assert kept(backend) == ["a", "b"]

    def test_a_large_push_repeats_replaces_and_counts_each_notification(self, backend):
        users = ["jane", "joe"]
        first = [replace(one(f"a{n}", users[n % 2]), control=TopicAndKey(f"t{n}", f"k{n}", "d")) for n in range(100)]
        then = [replace(each, control=TopicAndKey(f"t{n}", f"k{n if n % 3 else 100 + n}", "d")) for n, each in enumerate(first)]
        then = [replace(each, notification=replace(each.notification, id=f"b{n}")) for n, each in enumerate(then)]
        assert [each.size for each in send(backend, *first)] == [1 + n // 2 for n in range(100)]
        again = send(backend, *then)
        assert [each.repeated for each in again] == [f"a{n}" if n % 3 else "" for n in range(100)]
        assert [each.replaced for each in again] == ["" if n % 3 else f"a{n}" for n in range(100)]
        for offset, user in enumerate(users):
            mine = range(offset, 100, 2)
            assert kept(backend, user) == [f"a{n}" for n in mine if n % 3] + [f"b{n}" for n in mine if not n % 3]

    @pytest.mark.slow
    def test_the_newest_names_are_remembered(self, backend):
        count = MAX_NAMES + 101
        for start in range(0, count, 50):
            send(backend, *[keyed(f"k{n}", f"n{n}") for n in range(start, min(start + 50, count))])
        assert send(backend, keyed(f"k{count - 1}", "z"))[0].repeated == f"n{count - 1}"
        assert send(backend, keyed("k0", "y"))[0].repeated == ""

    def test_the_end_of_a_grant_ends_its_names(self, backend):
        send(backend, on("score", "a"), keyed("k", "b"))
        backend.purge_grants([grant()])
        assert [(each.repeated, each.replaced) for each in send(backend, on("score", "c"), keyed("k", "d"))] == [("", "")] * 2
