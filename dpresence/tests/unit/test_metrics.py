"""Counters of a process: bounded, cheap, without data about users, and merged over several processes."""

from __future__ import annotations

import msgspec
import pytest

from dpresence.metrics import MAX_EVENTS, MINUTES, Metrics, Report, masked, merge_reports
from dpresence.tests.support import EPOCH, FakeClock

NOTHING = {"devices": 0, "users": 0, "applications": 0, "sockets": 0, "unsigned": 0, "behind": 0}


@pytest.fixture
def clock():
    return FakeClock(EPOCH // 60000 * 60000)


@pytest.fixture
def metrics(clock):
    return Metrics(clock)


def said(metrics):
    return [(event.what, event.who, event.times) for event in metrics.events]


def picture(*metrics):
    return msgspec.to_builtins(merge_reports([one.report() for one in metrics], EPOCH))


def test_an_email_is_masked_and_a_domain_is_not():
    assert masked("ann@example.org") == "a…@example.org"
    assert masked("a@b@example.org") == "a…@example.org"
    assert masked("") == ""
    assert masked("chess.example.org") == "chess.example.org"


def test_an_event_keeps_no_email(metrics):
    metrics.event("signed in", "ann@example.org")
    assert said(metrics)[-1] == ("signed in", "a…@example.org", 1)
    assert "ann@" not in msgspec.json.encode(metrics.report()).decode()


def test_an_event_that_repeats_the_newest_is_counted_with_it(metrics, clock):
    for _ in range(3):
        clock.advance(1)
        metrics.event("refused", "ann@example.org")
    metrics.event("refused", "bob@example.org")
    metrics.event("refused", "ann@example.org")
    assert said(metrics)[1:] == [("refused", "a…@example.org", 3), ("refused", "b…@example.org", 1), ("refused", "a…@example.org", 1)]
    assert metrics.events[1].at == clock.now()


def test_only_the_newest_events_are_kept(metrics):
    for n in range(MAX_EVENTS + 10):
        metrics.event(f"event {n}")
    assert len(metrics.events) == MAX_EVENTS
    assert metrics.events[-1].what == f"event {MAX_EVENTS + 9}"


def test_refusals_and_closes_are_counted_by_number_with_their_meaning(metrics):
    for errno in (117, 34, 117):
        metrics.refused(errno)
    for code in (1006, 4102, 1000, 1006):
        metrics.closed(code)
    shown = picture(metrics)
    assert shown["errors"] == [
        {"errno": 34, "meaning": "Invalid assertion", "count": 1},
        {"errno": 117, "meaning": "slow down", "count": 2},
    ]
    assert shown["closes"] == [
        {"code": 1000, "meaning": "normal", "count": 1},
        {"code": 1006, "meaning": "lost without a close frame", "count": 2},
        {"code": 4102, "meaning": "slow reader", "count": 1},
    ]
    assert shown["slow_readers"] == 1


def test_a_peer_cannot_fill_the_counts_with_codes_of_its_own(metrics):
    for code in range(3000, 4000):
        metrics.closed(code)
    assert metrics.report().closes == {0: 1000}


@pytest.mark.parametrize(
    ("code", "what"), [(4102, "channel closed, 4102: slow reader"), (4013, "channel closed, 4013: bad frames"), (1000, "process started")]
)
def test_only_a_close_that_means_trouble_is_an_event(metrics, code, what):
    metrics.closed(code)
    assert said(metrics)[-1] == (what, "", 1)


def test_an_internal_error_is_an_event_and_a_refusal_is_none(metrics):
    metrics.refused(107)
    metrics.refused(999)
    assert said(metrics)[1:] == [("internal error", "", 1)]


def test_a_backend_that_goes_and_comes_back_is_an_event_each(metrics):
    for well in (True, False, False, True):
        metrics.record_health({"directory": True, "tracker": well})
    assert said(metrics)[1:] == [("tracker unavailable", "", 1), ("tracker available again", "", 1)]
    assert metrics.report().health == {"directory": True, "tracker": True}


def test_a_minute_has_what_was_there_at_its_end_and_what_was_counted_in_it(metrics, clock):
    metrics.changes["online"] += 3
    metrics.sample({**NOTHING, "devices": 1, "users": 1})
    clock.advance(30)
    metrics.changes["online"] += 2
    metrics.refused(34)
    metrics.sample({**NOTHING, "devices": 4, "users": 2, "applications": 1})
    clock.advance(30)
    metrics.changes["online"] += 1
    metrics.closed(4102)
    metrics.sample(NOTHING)
    first, second = picture(metrics)["minutes"]
    assert first == {"at": clock.start, "devices": 4, "users": 2, "applications": 1, "updates": 5, "errors": 1, "slow_readers": 0}
    assert second == {"at": clock.start + 60000, "devices": 0, "users": 0, "applications": 0, "updates": 1, "errors": 0, "slow_readers": 1}


def test_an_hour_is_kept(metrics, clock):
    for _ in range(MINUTES + 5):
        clock.advance(60)
        metrics.sample(NOTHING)
    minutes = picture(metrics)["minutes"]
    assert len(metrics.minutes) == len(minutes) == MINUTES
    assert minutes[-1]["at"] - minutes[0]["at"] == (MINUTES - 1) * 60000


def test_the_rate_is_that_of_the_last_samples(metrics, clock):
    assert metrics.report().rate == 0
    for _ in range(20):
        clock.advance(2)
        metrics.changes["online"] += 5
        metrics.sample(NOTHING)
    assert metrics.report().rate == 2.5
    for _ in range(5):
        clock.advance(2)
        metrics.sample(NOTHING)
    assert metrics.report().rate == 0


def test_several_processes_make_one_picture(metrics, clock):
    clock.advance(1)
    other = Metrics(clock)
    for one, devices, updates in ((metrics, 2, 10), (other, 3, 1)):
        one.changes["online"] += updates
        one.refused(34)
        one.record_health({"directory": True, "tracker": one is other})
        one.sample({**NOTHING, "devices": devices, "sockets": 7})
    clock.advance(60)
    other.sample({**NOTHING, "devices": 5})
    shown = picture(other, metrics)
    assert (shown["devices"], shown["sockets"], shown["updates"]) == (7, 7, 11)
    assert [(minute["devices"], minute["updates"]) for minute in shown["minutes"]] == [(5, 11), (5, 0)]
    assert shown["health"] == [{"backend": "directory", "reached": 2, "asked": 2}, {"backend": "tracker", "reached": 1, "asked": 2}]
    assert [one["started_at"] for one in shown["processes"]] == [clock.start, clock.start + 1000]
    assert [event["what"] for event in shown["events"]] == ["process started", "process started", "tracker unavailable"]


def test_a_minute_of_a_process_that_stood_still_is_not_shown_as_this_hour(metrics, clock):
    metrics.sample(NOTHING)
    clock.advance(3600)
    late = Metrics(clock)
    late.sample(NOTHING)
    assert [minute["at"] for minute in picture(metrics, late)["minutes"]] == [clock.now()]


def test_a_report_comes_back_as_it_was_published(metrics):
    metrics.refused(34)
    metrics.closed(1000)
    metrics.sample(NOTHING)
    report = metrics.report()
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
    assert report.memory_bytes > 1_000_000
