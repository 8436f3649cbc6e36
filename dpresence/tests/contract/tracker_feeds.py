"""Contract of every tracker: reading an application's feed, cursors, bounds."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import gevent
import pytest

from dpresence.model import FeedEntry
from dpresence.tests.support import EPOCH, view_and_head
from dpresence.tests.waiting import eventually

from .tracker_values import GO, JANE, RUBBISH, SECOND, SignalListener, changes, connect, flap, grant, head, read, seen, update


class FeedContract:
    def test_offsets_increase_and_reading_goes_on_where_it_stopped(self, backend):
        connect(backend)
        flap(backend, 6)
        pages = [read(backend, offset=offset, limit=3) for offset in (0, 3, 6, 7)]
        assert [[one.offset for one in page] for page in pages] == [[1, 2, 3], [4, 5, 6], [7], []]
        assert [one.status for one in pages[1]] == ["unavailable", "online", "unavailable"]

    def test_a_cursor_leads_back_to_its_offset(self, backend):
        connect(backend)
        for offset in (0, head(backend)):
            assert backend.offset("chess", backend.cursor(offset)) == offset

    def test_a_feed_nobody_wrote_to_stands_at_its_beginning(self, backend):
        assert view_and_head(backend, "chess") == ({}, 0)
        assert backend.offset("chess", backend.cursor(0)) == 0
        assert read(backend) == []

    @pytest.mark.parametrize("ahead", [1, 1000, 10**17])
    def test_a_cursor_ahead_of_the_feed_is_not_covered(self, backend, ahead):
        connect(backend)
        assert backend.offset("chess", backend.cursor(head(backend) + ahead)) is None
        assert backend.read("chess", head(backend) + ahead, 10) is None

    @pytest.mark.parametrize("rubbish", RUBBISH)
    def test_rubbish_is_no_cursor(self, backend, rubbish):
        connect(backend)
        flap(backend, 20)
        epoch = backend.cursor(0).rpartition(":")[0]
        assert backend.offset("chess", rubbish.replace("{}", epoch)) is None

    def test_entries_are_kept_for_their_time(self, backend, clock):
        connect(backend)
        clock.advance(30)
        flap(backend, 1)
        clock.advance(30)
        assert backend.offset("chess", backend.cursor(0)) == 0
        assert len(read(backend)) == 2

    def test_a_cursor_before_what_grew_too_old_is_not_covered(self, backend, clock):
        connect(backend)
        clock.advance(30)
        flap(backend, 1)
        clock.advance(32)
        assert backend.offset("chess", backend.cursor(0)) is None
        assert backend.read("chess", 0, 10) is None
        assert backend.offset("chess", backend.cursor(1)) == 1
        assert changes(backend, offset=1) == [("unavailable", "explicit")]

    def test_a_cursor_of_any_age_is_covered_while_nothing_followed(self, backend, clock):
        connect(backend)
        clock.advance(1_000_000)
        assert backend.offset("chess", backend.cursor(1)) == 1
        assert read(backend, offset=1) == []
        assert seen(backend) == {JANE.puid: "online"}

    def test_a_clock_that_is_set_back_and_a_late_grant_take_nothing_out_of_the_log(self, backend, clock):
        connect(backend)
        late = grant("joe", since=EPOCH + 3_600_000)
        connect(backend, user="joe", grants=(late,))
        clock.start -= 1_000_000
        update(backend, "unavailable")
        assert len(read(backend)) == 3

    def test_a_clock_that_is_hours_ahead_for_a_minute_takes_nothing_out_and_dates_nothing_ahead(self, backend, clock):
        connect(backend)
        clock.start += 13 * 3_600_000
        clock.advance(5)
        update(backend, "unavailable")
        backend.trim("chess")
        assert [one.at for one in read(backend)] == [SECOND, (EPOCH + 5000) // 1000 * 1000]
        clock.start -= 13 * 3_600_000
        clock.advance(5)
        update(backend, "online")
        assert read(backend)[-1].at == (EPOCH + 10_000) // 1000 * 1000

    def test_beyond_its_number_the_newest_of_each_puid_stays_without_a_hole(self, backend):
        joe = grant("joe")
        connect(backend, user="joe", grants=(joe,))
        connect(backend)
        flap(backend, 250)
        updates = read(backend)
        assert backend.offset("chess", backend.cursor(0)) == 0
        assert updates[0] == FeedEntry(1, joe.puid, "online", SECOND, "explicit")
        assert len(updates) < 220
        assert [one.offset for one in updates[1:]] == list(range(updates[1].offset, 253))
        assert updates[-1].status == "online"
        paged: list[FeedEntry] = []
        for _ in range(40):
            paged += read(backend, offset=paged[-1].offset if paged else 0, limit=7)
        assert paged == updates

    def test_entries_kept_beyond_the_number_grow_too_old_all_the_same(self, backend, clock):
        connect(backend, user="joe", grants=(grant("joe"),))
        clock.advance(30)
        connect(backend)
        flap(backend, 250)
        clock.advance(31)
        assert backend.offset("chess", backend.cursor(0)) is None
        assert backend.offset("chess", backend.cursor(1)) == 1
        assert seen(backend) == {"joe-in-chess": "online", JANE.puid: "online"}

    def test_a_revocation_is_kept_beyond_the_number(self, backend):
        joe = grant("joe")
        connect(backend, user="joe", grants=(joe,))
        backend.append_revocation(joe)
        connect(backend)
        flap(backend, 250)
        updates = read(backend)
        assert [one.reason for one in updates if one.puid == joe.puid] == ["revoked"]
        assert [one for one in updates if one.offset == 1] == []
        connect(backend, connection="c2", user="joe", status="unavailable", grants=(joe,))
        assert head(backend) == updates[-1].offset

    @pytest.mark.slow
    def test_many_revocations_leave_no_hole_unnoticed(self, backend):
        grants = [replace(JANE, puid=f"p{n}") for n in range(400)]
        for one in grants:
            backend.append_grant(one, 0)
        for one in grants:
            backend.append_revocation(one)
        assert seen(backend) == {}
        start = backend.offset("chess", backend.cursor(400))
        assert start is None or {one.puid for one in read(backend, offset=start)} == {one.puid for one in grants}
        assert [one.puid for one in read(backend, offset=700)] == [f"p{n}" for n in range(300, 400)]

    def test_a_snapshot_is_tied_to_its_offset(self, backend):
        joe = grant("joe")
        connect(backend)
        connect(backend, user="joe", grants=(joe,))
        flap(backend, 2)
        view, offset = view_and_head(backend, "chess")
        assert view == {
            JANE.puid: FeedEntry(4, JANE.puid, "online", SECOND, "explicit"),
            joe.puid: FeedEntry(2, joe.puid, "online", SECOND, "explicit"),
        }
        assert offset == 4
        flap(backend, 1)
        assert [one.offset for one in read(backend, offset=offset)] == [5]
        assert view[JANE.puid].status == "online"

    def test_the_latest_of_some_is_what_the_snapshot_says(self, backend):
        joe = grant("joe")
        connect(backend)
        connect(backend, user="joe", grants=(joe,))
        flap(backend, 1)
        assert backend.latest("chess", [JANE.puid, "unknown"]) == {JANE.puid: FeedEntry(3, JANE.puid, "unavailable", SECOND, "explicit")}
        assert backend.latest("chess", []) == {}
        assert backend.latest("go", [JANE.puid]) == {}
        assert backend.latest("chess", [joe.puid, JANE.puid]) == view_and_head(backend, "chess")[0]

    def test_the_latest_of_a_user_is_what_each_application_sees(self, backend):
        connect(backend, grants=(JANE, GO))
        connect(backend, user="joe", grants=(grant("joe"),))
        flap(backend, 1)
        found = backend.latest_of("jane", [("chess", JANE.puid), ("go", GO.puid), ("go", JANE.puid), ("unknown", "p")])
        assert found == {JANE.puid: backend.latest("chess", [JANE.puid])[JANE.puid], GO.puid: backend.latest("go", [GO.puid])[GO.puid]}
        assert {puid: entry.status for puid, entry in found.items()} == {JANE.puid: "unavailable", GO.puid: "online"}
        assert backend.latest_of("jane", []) == {}

    def test_entries_that_are_too_old_leave_the_log_of_an_idle_application(self, backend, clock):
        connect(backend)
        clock.advance(30)
        flap(backend, 1)
        clock.advance(32)
        assert backend.trim("chess") is False
        clock.start -= 1_000_000  # what was forgotten does not come back
        assert backend.offset("chess", backend.cursor(0)) is None
        assert changes(backend, offset=1) == [("unavailable", "explicit")]
        clock.start += 1_000_000
        clock.advance(1000)
        backend.trim("chess")
        assert (head(backend), seen(backend)) == (2, {JANE.puid: "unavailable"})
        assert backend.offset("chess", backend.cursor(2)) == 2

    def test_trimming_what_is_not_there_makes_nothing(self, backend):
        assert backend.trim("chess") is False
        assert list(backend.applications("", 10)) == []

    def test_a_dropped_feed_does_not_come_back_by_a_late_change(self, backend, clock):
        connect(backend, grants=(JANE, GO))
        backend.drop("chess")
        listener = SignalListener(backend)
        update(backend, "unavailable", (JANE, GO))
        backend.append_grant(grant("joe"), 0)
        backend.append_current_status(JANE, 0)
        backend.append_revocation(JANE)
        backend.append_revocation(grant("jim"))
        assert list(backend.applications("", 10)) == ["go"]
        assert (read(backend), seen(backend)) == ([], {})
        assert listener.received() == [("feed", "go")]

    def test_a_dropped_feed_is_empty(self, backend):
        connect(backend, grants=(JANE, GO))
        backend.drop("chess")
        backend.drop("chess")
        backend.drop("unknown")
        assert view_and_head(backend, "chess")[0] == {}
        assert backend.latest("chess", [JANE.puid]) == {}
        assert seen(backend, "go") == {GO.puid: "online"}
        assert backend.status("jane") == "online"

    def test_reading_writes_nothing(self, backend):
        connect(backend)
        before = view_and_head(backend, "chess")
        read(backend)
        backend.offset("chess", backend.cursor(0))
        backend.latest("chess", [JANE.puid])
        assert view_and_head(backend, "chess") == before

    def test_applications_are_independent(self, backend):
        connect(backend, grants=(JANE, GO))
        flap(backend, 150, JANE)
        assert head(backend, "go") == 1
        backend.append_current_status(replace(GO, paused=True), 0)
        backend.append_revocation(JANE)
        assert changes(backend, "go") == [("online", "explicit"), ("offline", "explicit")]
        assert changes(backend, offset=151) == [("offline", "revoked")]

    def test_a_claimed_entry_is_given_to_nobody_else(self, backend):
        connect(backend, grants=(JANE, GO))
        expected = [FeedEntry(1, JANE.puid, "online", SECOND, "explicit")]
        view, _ = view_and_head(backend, "chess")
        found = [view, backend.latest("chess", [JANE.puid]), backend.read("chess", 0, 10), backend.devices("jane")]
        for one in found:
            if isinstance(one, dict | list):
                one.clear()
        with pytest.raises(AttributeError):
            read(backend)[0].status = "offline"
        assert read(backend) == expected
        assert seen(backend) == {JANE.puid: "online"}
        assert read(backend, "go") == [FeedEntry(1, GO.puid, "online", SECOND, "explicit")]
        assert len(backend.devices("jane")) == 1

    def test_a_reader_of_every_step_sees_increasing_offsets_and_no_repetition(self, backend, clock):
        for n in range(40):
            connect(backend, ("phone", "laptop")[n % 2], f"c{n}", ("online", "unavailable", "offline")[n % 3])
            clock.advance(n % 4)
        updates = read(backend)
        assert all(one.offset < other.offset and one.status != other.status for one, other in pairwise(updates))

    def test_applications_that_have_a_feed_are_listed_in_order_page_by_page(self, backend):
        apps = ["B", "_", "a", "a-", "aa", "z"]
        for appid in reversed(apps):
            backend.append_grant(grant(appid=appid), 0)
        assert list(backend.applications("", 100)) == apps
        assert [list(backend.applications(after, 2)) for after in ("", "_", "a-", "aa", "z")] == [apps[:2], apps[2:4], apps[4:], ["z"], []]

    def test_an_application_without_a_feed_is_not_listed(self, backend):
        view_and_head(backend, "chess")
        backend.offset("chess", backend.cursor(0))
        backend.append_current_status(grant(appid="maps"), 0)
        backend.append_grant(GO, 0)
        backend.append_grant(JANE, 0)
        backend.drop("chess")
        assert list(backend.applications("", 10)) == ["go"]

    def test_a_listener_reads_the_entries_of_its_signal_at_once(self, backend):
        found = []
        backend.subscribe(lambda topic, key: found.append((topic, key, backend.read_now(key, 0, 10))), lambda appid: True)
        connect(backend, grants=(JANE, GO))
        eventually(lambda: len(found) == 2)
        assert found == [("feed", appid, read(backend, appid)) for appid in ("chess", "go")]

    def test_a_listener_that_reads_in_a_callback_of_the_loop_reads_them_too(self, backend):
        found, loop = [], gevent.get_hub().loop
        backend.subscribe(
            lambda topic, key: loop.run_callback(lambda: found.append(backend.read_now(key, 1, 10))), lambda appid: appid == "chess"
        )
        connect(backend)
        eventually(lambda: found)
        update(backend, "unavailable")
        eventually(lambda: len(found) == 2)
        assert [one.status for one in found[1]] == ["unavailable"]

    def test_entries_that_cannot_be_read_are_not_read_at_once_either(self, backend):
        connect(backend)
        assert backend.read_now("chess", head(backend) + 1, 10) is None
