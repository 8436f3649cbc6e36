import assert from "node:assert/strict";
import { test } from "node:test";

import "./texts.mjs";
import { connectionInWords, deviceStatus, overrideEnd, toolbar } from "../src/status.js";

const CONNECTED = { state: "connected" };

test("being away makes only the online unavailable", () => {
  const statuses = ["online", "unavailable", "offline"];
  assert.deepEqual(statuses.map((chosen) => deviceStatus(chosen, true)), ["unavailable", "unavailable", "offline"]);
  assert.deepEqual(statuses.map((chosen) => deviceStatus(chosen, false)), statuses);
});

test("the toolbar shows the number of unread notifications", () => {
  const seen = { state: CONNECTED, status: "online", unread: 0 };
  assert.deepEqual(toolbar(seen), { badge: "", title: "dpresence: Online" });
  assert.deepEqual(toolbar({ ...seen, unread: 3 }), { badge: "3", title: "dpresence: Online, 3 unread" });
  assert.equal(toolbar({ ...seen, unread: 100 }).badge, "99+");
});

test("the toolbar says no status that may be outdated", () => {
  const waiting = { state: "waiting", seconds: 5, reason: "the connection was lost" };
  assert.deepEqual(toolbar({ state: waiting, status: "online", unread: 1 }), { badge: "1", title: "dpresence: Not connected, 1 unread" });
  const stopped = { state: "stopped", code: 4010, reason: "replaced" };
  assert.deepEqual(toolbar({ state: stopped, status: "online", unread: 1 }), { badge: "!", title: "dpresence: Not connected: replaced" });
  assert.deepEqual(toolbar(null), { badge: "", title: "dpresence: not connected to your account" });
});

test("a connection that was stopped on purpose has no reason", () => {
  assert.equal(connectionInWords({ state: "stopped", code: 1000, reason: "not started" }), "Not connected");
});

test("an override ends in an hour, at midnight or never", () => {
  const now = new Date(2026, 10, 29, 22, 30);
  assert.equal(overrideEnd("hour", now), now.getTime() + 3600_000);
  assert.equal(overrideEnd("today", now), new Date(2026, 10, 30).getTime());
  assert.equal(overrideEnd("", now), undefined);
});
