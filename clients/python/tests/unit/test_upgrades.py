"""When a client that connects without a websocket tries one again."""

from __future__ import annotations

from dpresence_client.upgrades import FIRST_SECONDS, MOST_SECONDS, Upgrades


def test_a_websocket_is_tried_again_and_later_after_each_failure_in_a_row():
    upgrades, now = Upgrades(), 100.0
    for seconds in (600, 1200, 2400, 4800, 7200, 7200):
        assert upgrades.seconds(now) == seconds
        assert upgrades.seconds(now + 1) == seconds - 1, "a reconnection does not begin anew"
        now += seconds
        assert upgrades.seconds(now) == 0
    assert MOST_SECONDS == 7200


def test_a_websocket_that_opens_starts_over():
    upgrades = Upgrades()
    upgrades.seconds(0)
    upgrades.seconds(FIRST_SECONDS)
    upgrades.opened()
    assert upgrades.seconds(FIRST_SECONDS) == FIRST_SECONDS
