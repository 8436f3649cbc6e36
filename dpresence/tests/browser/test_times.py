"""Stored times that no clock has said: pages show what else there is (section 1)."""

from __future__ import annotations

import json

import pytest

from dpresence.views.grants import _day

from .sidebar import Stage


@pytest.mark.parametrize(("time", "day"), [(2**53, "an unknown day"), (-(2**63), "an unknown day"), (0, "1 January 1970")])
def test_the_question_names_no_day_for_a_time_out_of_range(time: int, day: str) -> None:
    assert _day(time) == day


TIMES = [2**53, -(2**53), 8.64e15 + 1, None, "soon", {}, -1, 0]
OUT_OF_RANGE = """
    const fetching = window.fetch, odd = %s;
    window.fetch = async (path, options) => {
      const answer = await fetching(path, options), body = await answer.json();
      for (const one of [...(body.devices ?? []), ...(body.grants ?? [])]) {
        Object.assign(one, {since: odd, granted_at: odd, last_looked: odd});
      }
      return new Response(JSON.stringify(body));
    };
    const others = new BroadcastChannel("dpresence %s");
    others.postMessage(["notification", {source: "x", message: "odd time", action: "", sent: odd, id: String(odd), appid: "%s"}]);
    document.dispatchEvent(new Event("visibilitychange"));
"""


@pytest.mark.browser
@pytest.mark.parametrize("time", TIMES, ids=str)
def test_a_stored_time_out_of_range_hides_nothing_else(stage: Stage, time: object) -> None:
    stage.browser.run(OUT_OF_RANGE % (json.dumps(time), stage.sue.email, stage.application.appid))
    stage.service.notify({"puid": stage.puid, "message": "still here"})
    stage.wait_for("notifications", lambda text: "odd time" in text and "still here" in text)
    stage.wait_for("grants", lambda text: stage.application.domain in text)
    assert stage.browser.count("#devices li") == 1
    stage.browser.assert_quiet()
