// What a device sends when it stops.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { PresenceChannel } from "../../../dpresence/static/presence.js";

const real = globalThis.WebSocket;
let socket = null, seen = [];
globalThis.WebSocket = class {
  readyState = 1;
  constructor() {
    socket = this;
  }
  send(text) {
    seen.push(JSON.parse(text).status);
  }
  close() {
    seen.push("close");
  }
};
after(() => void (globalThis.WebSocket = real));
beforeEach(() => void (seen = []));

/** Return a device whose websocket is opening. */
async function connecting(status) {
  const device = new PresenceChannel({ url: "ws://x/presence", email: "ada@example.org", device: "desk", status, signIn: async () => "a" });
  device.start();
  for (let turn = 0; turn < 20; turn++) await null;
  return device;
}
const answer = (id) => socket.onmessage({ data: JSON.stringify({ result: "OK", id }) });

test("offline that waits for the answer to another status is sent before the device stops", async () => {
  const device = await connecting();
  socket.onopen();
  answer("sign-in");
  device.setStatus("unavailable");
  device.setStatus("offline");
  device.stop();
  assert.deepEqual(seen, ["online", "unavailable", "offline", "close"]);
});

test("offline that waits for the sign-in is sent before the device stops", async () => {
  const device = await connecting();
  socket.onopen();
  device.setStatus("offline");
  device.stop();
  assert.deepEqual(seen, ["online", "offline", "close"]);
});

test("offline that was sent before is not sent again by a stop, and no other status is", async () => {
  const answered = await connecting();
  socket.onopen();
  answer("sign-in");
  answered.setStatus("offline");
  answered.stop();
  assert.deepEqual(seen.splice(0), ["online", "offline", "close"]);
  const waiting = await connecting("offline");
  socket.onopen();
  waiting.setStatus("unavailable");
  waiting.stop();
  assert.deepEqual(seen.splice(0), ["offline", "close"]);
  const opening = await connecting();
  opening.setStatus("offline");
  opening.stop();
  assert.deepEqual(seen, ["close"]);
});
