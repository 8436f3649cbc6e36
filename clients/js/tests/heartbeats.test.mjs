// A device that is connected by heartbeats, when these are not answered. Timers and the service are fake.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PresenceChannel } from "../../../dpresence/static/presence.js";
import { HeartbeatSocket } from "../../../dpresence/static/presence-heartbeats.js";
import { Transport } from "../../../dpresence/static/presence-transport.js";

const OK = { result: "OK" };
const settle = async () => {
  for (let turn = 0; turn < 20; turn++) await null;
};

/** Collect the heartbeats that are sent; each is answered, or fails without an argument, when the test says so. */
function service(context) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const posts = [];
  context.mock.method(globalThis, "fetch", (_, { body }) => new Promise((resolve, reject) => {
    const answer = (found) => (found ? resolve({ json: async () => found }) : reject(new Error("no answer")));
    posts.push({ body: JSON.parse(body), answer: async (found) => (answer(found), settle()) });
  }));
  return posts;
}

const send = (socket, frame) => socket.send(JSON.stringify(frame));

test("a frame that waited for a lost heartbeat is not sent", async (context) => {
  const posts = service(context);
  const socket = new HeartbeatSocket("ws://x/presence", 600000, "desk");
  const closes = [];
  socket.onclose = ({ code }) => closes.push(code);
  send(socket, { email: "ada@example.org", status: "online", assertion: "a", id: "sign-in" });
  send(socket, { email: "ada@example.org", status: "unavailable", id: "status" });
  await posts[0].answer();
  assert.deepEqual([posts.length, closes], [1, [1006]]);
});

test("a frame that waited for a heartbeat is not sent if the client gave up before the heartbeat was lost", async (context) => {
  const posts = service(context);
  const socket = new HeartbeatSocket("ws://x/presence", 600000, "desk");
  send(socket, { email: "ada@example.org", status: "online", assertion: "a", id: "sign-in" });
  send(socket, { action: "ack", notifications: ["n"], id: "ack" });
  socket.close();
  await posts[0].answer();
  assert.equal(posts.length, 1);
});

test("a status that waited for a heartbeat is not sent once the client has given up, also if the heartbeat is answered", async (context) => {
  const posts = service(context);
  const socket = new HeartbeatSocket("ws://x/presence", 600000, "desk");
  send(socket, { email: "ada@example.org", status: "unavailable", assertion: "a", id: "sign-in" });
  send(socket, { email: "ada@example.org", status: "online", id: "status" });
  socket.close();
  await posts[0].answer(OK);
  assert.equal(posts.length, 1);
});

test("offline that waited for a heartbeat is sent after its answer, if the device stops meanwhile", async (context) => {
  const posts = service(context);
  const socket = new HeartbeatSocket("ws://x/presence", 600000, "desk");
  send(socket, { email: "ada@example.org", status: "online", assertion: "a", id: "sign-in" });
  send(socket, { email: "ada@example.org", status: "offline", id: "status" });
  socket.close(1000, "stopped");
  await posts[0].answer(OK);
  assert.deepEqual(posts.map(({ body }) => body.status), ["online", "offline"]);
  await posts[1].answer(OK);
});

test("a device without a name keeps the one of its first heartbeat, and other devices have other ones", async (context) => {
  const posts = service(context);
  const own = new Transport(), other = new Transport();
  for (const transport of [own, own, other]) {
    transport.fallsBack(108);
    const socket = await transport.open("ws://x/presence");
    send(socket, { email: "ada@example.org", status: "online", assertion: "a", id: "sign-in" });
    await posts.at(-1).answer(OK);
    socket.close();
  }
  const [first, second, third] = posts.map(({ body }) => body.device);
  assert.match(first, /^heartbeat-/);
  assert.equal(second, first);
  assert.notEqual(third, first);
});

/** Return a device that is connected by heartbeats, of which one has no answer yet and `offline` waits for it. */
async function offlineWaits(context) {
  const posts = service(context);
  const time = context.mock.method(performance, "now", () => 0);
  const socket = new HeartbeatSocket("ws://x/presence", 600000, "desk");
  context.mock.method(Transport.prototype, "open", async () => socket);
  const device = new PresenceChannel({ url: "ws://x/presence", email: "ada@example.org", device: "desk", signIn: async () => "a" });
  const pass = async (seconds) => {
    time.mock.mockImplementation(((now) => () => now)(performance.now() + seconds * 1000));
    context.mock.timers.tick(seconds * 1000);
    await settle();
  };
  device.start();
  await settle();
  socket.onopen();
  socket.onopen = null; // the fake timers call it as well, later
  await posts[0].answer(OK);
  await pass(25);
  device.setStatus("offline");
  assert.deepEqual([device.state.state, posts.length], ["connected", 2]);
  return { device, posts, pass };
}

test("offline that waited for a heartbeat is not sent after the device has given the connection up", async (context) => {
  const { device, posts, pass } = await offlineWaits(context);
  await pass(15);
  assert.equal(device.state.state, "waiting");
  await posts[1].answer(OK);
  assert.equal(posts.length, 2);
  device.stop();
});

test("offline that waited for a heartbeat is sent after a stop", async (context) => {
  const { device, posts } = await offlineWaits(context);
  device.stop();
  await posts[1].answer(OK);
  assert.deepEqual(posts.map(({ body }) => body.status), ["online", "online", "offline"]);
  await posts[2].answer(OK);
});

test("offline that waited for a heartbeat is not sent after a stop if the device connects anew meanwhile", async (context) => {
  const posts = service(context);
  const transport = new Transport();
  transport.fallsBack(108);
  const former = await transport.open("ws://x/presence");
  send(former, { email: "ada@example.org", status: "online", assertion: "a", id: "sign-in" });
  send(former, { email: "ada@example.org", status: "offline", id: "status" });
  former.close(1000, "stopped");
  const next = await transport.open("ws://x/presence");
  await posts[0].answer(OK);
  assert.equal(posts.length, 1);
  next.close();
});
