// An app service while it receives nothing: JavaScript has no websocket pings, and learns nothing from those of the service.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AppCore } from "../src/app-core.js";

const PING = { type: "send", frame: { action: "ping", id: "ping" } };

/** Return a core that signed in at 0. */
function connected() {
  const core = new AppCore("k");
  core.start(0);
  core.opened(0);
  core.received(JSON.stringify({ result: "OK", action: "auth", recovery: "snapshot", id: "auth" }), 0);
  core.take();
  return core;
}

const pass = (core, until) => {
  while (core.deadline <= until) core.tick(core.deadline);
  return core.take();
};

test("a connection that answers a ping is kept", () => {
  const core = connected();
  for (let at = 60000; at <= 600000; at += 60000) {
    assert.deepEqual(pass(core, at), [PING]);
    core.received(JSON.stringify({ result: "OK", id: "ping" }), at);
  }
  assert.deepEqual(core.take(), []);
});

test("a frame of any kind puts the ping off", () => {
  const core = connected();
  core.received(JSON.stringify({ snapshot: [], last: true, cursor: "e:1" }), 59000);
  core.take();
  assert.deepEqual(pass(core, 118999), []);
  assert.deepEqual(pass(core, 119000), [PING]);
});

test("a connection that answers nothing is replaced", () => {
  const core = connected();
  assert.deepEqual(pass(core, 60000), [PING]);
  assert.deepEqual(pass(core, 74999), []);
  assert.deepEqual(pass(core, 75000).map(({ type }) => type), ["disconnect", "waiting"]);
  assert.deepEqual(pass(core, 77000).map(({ type }) => type), ["connect"]);
});

test("a ping of a lost connection is none of the next one", () => {
  const core = connected();
  pass(core, 60000);
  core.closed(1006, "", 61000);
  pass(core, 63000);
  core.opened(63000);
  core.received(JSON.stringify({ result: "OK", action: "auth", recovery: "snapshot", id: "auth" }), 63000);
  core.take();
  assert.deepEqual(pass(core, 122999), []);
  assert.deepEqual(pass(core, 123000), [PING]);
});
