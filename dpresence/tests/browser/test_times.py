"""Stored times that no clock has said: pages show what else there is (section 1)."""

from __future__ import annotations

import json

import pytest

from dpresence.views.catalogues import catalogues

from .sidebar import Stage


@pytest.mark.parametrize(("time", "day"), [(2**53, "an unknown day"), (-(2**63), "an unknown day"), (0, "January 1, 1970")])
def test_the_question_names_no_day_for_a_time_out_of_range(time: int, day: str) -> None:
    assert catalogues()["en"].day(time) == day


TIMES = [2**53, -(2**53), 8.64e15 + 1, None, "soon", {}, -1, 0]
LISTS = {"/devices", "/grants", "/notifications"}
OUT_OF_RANGE = """
    window.changed = true;
    const fetching = window.fetch, read = window.read = [];
    window.show = (odd, id) => {
      window.fetch = async (path, options) => {
        const answer = await fetching(path, options), body = await answer.json();
        for (const one of [...(body.devices ?? []), ...(body.grants ?? []), ...(body.notifications ?? [])]) {
          Object.assign(one, {since: odd, granted_at: odd, last_looked: odd, sent: odd});
        }
        read.push([path.split("?")[0], id]);
        return new Response(JSON.stringify(body));
      };
      document.dispatchEvent(new Event("visibilitychange"));
    };
"""


@pytest.mark.slow
@pytest.mark.browser
def test_a_stored_time_out_of_range_hides_nothing_else(stage: Stage) -> None:
    stage.browser.run(OUT_OF_RANGE)
    for number, time in enumerate(TIMES):
        stage.browser.run(f"show({json.dumps(time)}, '{number}')")
        stage.service.notify({"puid": stage.puid, "message": f"still here {number}"})
        stage.wait_for("notifications", lambda text, n=number: f"still here {n}" in text)
        stage.browser.wait(lambda it, n=number: {path for path, at in it.run("return read") if at == str(n)} >= LISTS)
        stage.wait_for("notifications", lambda text, n=number: f"still here {n}" in text)
        stage.wait_for("grants", lambda text: stage.application.domain in text)
        assert stage.browser.count("#devices li") == 1, f"the device is shown with the time {time}"
    stage.browser.assert_quiet()
