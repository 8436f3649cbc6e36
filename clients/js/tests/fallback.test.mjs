// When a client that connects without a websocket tries one again.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Fallback, Transport, openWebSocket } from "../../../dpresence/static/presence-transport.js";

const real = performance.now;
let now = 0;
beforeEach(() => (performance.now = () => now, now = 0));
afterEach(() => void (performance.now = real));

test("a websocket is tried again after ten minutes, and later after each failure in a row", () => {
  const fallback = new Fallback();
  assert.equal(fallback.milliseconds, 0);
  for (const seconds of [600, 1200, 2400, 4800, 7200, 7200]) {
    fallback.begin();
    assert.equal(fallback.milliseconds, seconds * 1000);
    now += seconds * 1000;
    assert.equal(fallback.milliseconds, 0);
  }
  fallback.reset();
  fallback.begin();
  assert.equal(fallback.milliseconds, 600000);
});

test("a device connects by heartbeats only after a refusal that names the upgrade, and ends them to try a websocket", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const transport = new Transport();
  assert.equal(transport.fallsBack(117), false);
  assert.equal(transport.fallsBack(108), true);
  const socket = await transport.open("ws://x/presence");
  const seen = [];
  socket.onopen = () => seen.push("open");
  socket.onclose = ({ code }) => seen.push(code);
  context.mock.timers.tick(599999);
  assert.deepEqual(seen, ["open"]);
  context.mock.timers.tick(1);
  assert.deepEqual(seen, ["open", 1000]);
});

test("a websocket that fails to open without a close event is reported once", () => {
  class Silent { readyState = 0; }
  const socket = openWebSocket("ws://x/presence", Silent);
  const seen = [];
  socket.onclose = ({ code }) => seen.push(code);
  socket.onerror();
  assert.deepEqual(seen, [1006]);
  socket.readyState = 3; // as in a browser, which dispatches `close` as well
  socket.onerror();
  assert.deepEqual(seen, [1006]);
});
