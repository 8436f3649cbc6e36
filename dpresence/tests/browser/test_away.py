"""presence.js says that a user is away, and never flaps (docs/clients.md)."""

from __future__ import annotations

from .conftest import Steps

TRACES = """
    const IDLE = 300, problems = [];
    let seed = 1;
    const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
    for (let trace = 0; trace < 1000; trace++) {
      let now = 0, locked = false, busy = false, inputAt = 0, returnedAt = -Infinity, lockedAt = 0, away = false;
      const it = new AwayDetector(IDLE, 0);
      const wrong = (text) => problems.push(`${trace} at ${now / 1000}: ${text}`);
      const look = () => {
        it.check(now);
        if (it.away === away) return;
        if (it.away && now - returnedAt < 30000) wrong("away again within 30 s");
        if (it.away && !locked && (busy || now - inputAt < IDLE * 1000)) wrong("away in spite of input");
        if (it.away && locked && now - lockedAt < 5000 && (busy || now - inputAt < IDLE * 1000)) wrong("away by a short lock");
        if (!it.away) returnedAt = now;
        away = it.away;
      };
      const pass = (end) => {
        while (it.dueAt <= end) { now = Math.max(now, it.dueAt); look(); }
        now = end;
        look();
        const quiet = Math.min(busy ? Infinity : now - inputAt - IDLE * 1000, Infinity);
        const due = (!busy && quiet >= 30000) || (locked && now - lockedAt >= 35000);
        if (due && !away) wrong("not away");
      };
      for (let event = 0; event < 40; event++) {
        pass(now + random([100, 4000, 40000, 700000][random(4)]));
        const what = random(4);
        if (what === 0 || what === 1) {
          it.input(now);
          if (!locked) inputAt = now;
        } else if (what === 2) {
          locked = !locked;
          if (locked) lockedAt = now;
          else inputAt = now;
          it.setLocked(locked, now);
        } else if (!locked) {
          busy = !busy;
          inputAt = busy ? now : Math.min(inputAt, now - IDLE * 1000);
          it.setBusy(busy, now);
        }
        look();
        if (what < 2 && !locked && away) wrong("input did not bring the user back");
      }
    }
    return problems.slice(0, 5);
"""


def test_a_thousand_random_traces_never_flap(steps: Steps) -> None:
    assert steps(TRACES) == []


def test_the_status_follows_the_absence_and_comes_back(steps: Steps) -> None:
    script = """
        proofs.push("a");
        channel.start();
        await signed();
        const tell = (away) => channel.setAway(away);
        const finish = watchActivity(40, tell);
        await pass(39);
        const before = last().sent.length;
        await pass(2);
        await say({ result: "OK", id: "status" });
        const status = channel.status;
        await happen("keydown");
        await say({ result: "OK", id: "status" });
        channel.setStatus("offline");
        await say({ result: "OK", id: "status" });
        await pass(41);
        finish();
        await happen("keydown");
        return [last().sent.slice(before).filter((frame) => frame.id === "status").map((frame) => frame.status), status];
    """
    changes, chosen = steps(script)
    changed = [status for number, status in enumerate(changes) if number == 0 or status != changes[number - 1]]
    assert (changed, chosen) == (["unavailable", "online", "offline"], "online")


def test_input_in_another_tab_counts(steps: Steps) -> None:
    script = """
        const tabs = { onInput: null, report: () => told.push("reported") }, told = [];
        const finish = watchActivity(300, (away) => told.push(away), tabs);
        for (let n = 0; n < 4; n++) { await pass(200); tabs.onInput(); }
        await pass(301);
        tabs.onInput();
        await happen("keydown");
        await happen("keydown");
        finish();
        return told;
    """
    assert steps(script) == [True, False, "reported"]
