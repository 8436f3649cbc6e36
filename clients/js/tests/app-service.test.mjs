// How an app service stores its table, and divides notifications into frames: with a websocket, a store and timers that are fake.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AppService, NotConnected, OutcomeUnknown, Refused } from "../src/index.js";
import { FileStore } from "../src/file-store.js";

const MAX_MESSAGE = 128 * 1024; // bytes of a message that the service takes

let socket = null;
class FakeSocket {
  readyState = 1;
  sent = [];
  constructor() {
    socket = this;
  }
  send(text) {
    this.sent.push(text);
  }
  close() {
    this.readyState = 3;
  }
  receive(frame) {
    this.onmessage({ data: JSON.stringify(frame) });
  }
  /** Return the frames with notifications. */
  get requests() {
    return this.sent.map((text) => JSON.parse(text)).filter(({ action }) => action === "notify");
  }
}

/** Keeps what is saved; each save ends when the test says so. */
class FakeStore {
  saves = [];
  running = 0;
  load = async () => null;
  save(stored) {
    this.running += 1;
    assert.equal(this.running, 1, "two saves at the same time");
    return new Promise((resolve, reject) => {
      const end = (how) => (value) => (this.running -= 1, how(value));
      this.saves.push({ stored, resolve: end(resolve), reject: end(reject) });
    });
  }
}

const settle = async () => {
  for (let turn = 0; turn < 20; turn++) await null;
};

/** Return a service that has signed in. */
async function connected(store) {
  const app = new AppService({ url: "http://x", appid: "a", key: "k", store, WebSocket: FakeSocket });
  await app.start();
  socket.onopen();
  socket.receive({ result: "OK", action: "auth", recovery: "snapshot", id: "auth" });
  socket.receive({ snapshot: [], last: true, cursor: "e:1" });
  return app;
}

const update = (cursor) => socket.receive({ updates: [{ puid: "p", status: "online", reason: "status", at: 1 }], cursor });

/** Return a service whose first save has begun, and a change after that, with its store. */
async function changedDuringSave(context) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const store = new FakeStore();
  const app = await connected(store);
  context.mock.timers.tick(1000);
  await settle();
  update("e:2");
  return { app, store };
}

test("a save that failed is logged, and tried again with what is newest then", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const log = context.mock.method(console, "error", () => {});
  const store = new FakeStore();
  const app = await connected(store);
  context.mock.timers.tick(1000);
  await settle();
  store.saves[0].reject(new Error("ENOSPC: no space left on device"));
  await settle();
  assert.equal(log.mock.callCount(), 1);
  update("e:2");
  context.mock.timers.tick(1000);
  await settle();
  assert.deepEqual(store.saves.map(({ stored }) => stored.cursor), ["e:1", "e:2"]);
  store.saves[1].resolve();
  await app.stop();
});

test("a save that failed is tried again without another change", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  context.mock.method(console, "error", () => {});
  const store = new FakeStore();
  const app = await connected(store);
  for (const turn of [0, 1]) {
    context.mock.timers.tick(1000);
    await settle();
    store.saves[turn].reject(new Error("EIO"));
    await settle();
  }
  const stopped = app.stop();
  await settle();
  store.saves[2].reject(new Error("ENOSPC"));
  await assert.rejects(stopped, /ENOSPC/);
});

test("a store that fails again and again is tried ever more rarely", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  context.mock.method(console, "error", () => {});
  const store = new FakeStore();
  const app = await connected(store);
  for (const [turn, seconds] of [1, 1, 2, 4, 8, 16, 32, 60, 60].entries()) {
    context.mock.timers.tick(seconds * 1000 - 1);
    await settle();
    assert.equal(store.saves.length, turn);
    context.mock.timers.tick(1);
    await settle();
    store.saves[turn].reject(new Error("ENOSPC"));
    await settle();
  }
  context.mock.timers.tick(60000);
  await settle();
  store.saves[9].resolve();
  await settle();
  update("e:2");
  context.mock.timers.tick(1000);
  await settle();
  store.saves[10].resolve();
  await app.stop();
});

test("a change during a long save is saved after it", async (context) => {
  const { app, store } = await changedDuringSave(context);
  context.mock.timers.tick(5000);
  await settle();
  assert.equal(store.saves.length, 1);
  store.saves[0].resolve();
  await settle();
  context.mock.timers.tick(1000);
  await settle();
  assert.deepEqual(store.saves.map(({ stored }) => stored.cursor), ["e:1", "e:2"]);
  store.saves[1].resolve();
  await app.stop();
  assert.equal(store.saves.length, 2);
});

test("stop waits for the save that has begun, and saves what came after it", async (context) => {
  const { app, store } = await changedDuringSave(context);
  const stopped = app.stop();
  await settle();
  store.saves[0].resolve();
  await settle();
  assert.deepEqual(store.saves.map(({ stored }) => stored.cursor), ["e:1", "e:2"]);
  store.saves[1].resolve();
  await stopped;
});

test("the file has the whole table after a stop during a save", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const folder = await mkdtemp(join(tmpdir(), "dpresence-"));
  try {
    const app = await connected(new FileStore(join(folder, "table.json")));
    context.mock.timers.tick(1000);
    await settle();
    update("e:2");
    await app.stop();
    assert.deepEqual(JSON.parse(await readFile(join(folder, "table.json"), "utf8")), { cursor: "e:2", table: [["p", "online", 1]] });
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** Return the error of a promise once some seconds have passed. */
async function errorAfter(context, seconds, promise) {
  const failed = promise.catch((error) => error);
  context.mock.timers.tick(seconds * 1000 - 1);
  assert.equal(await Promise.race([failed, settle()]), undefined, "too early");
  context.mock.timers.tick(1);
  return failed;
}

test("a notification that finds no connection in time is not sent later", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const app = new AppService({ url: "http://x", appid: "a", key: "k", WebSocket: FakeSocket, answerSeconds: 5 });
  await app.start();
  assert.ok(await errorAfter(context, 5, app.notify("p", "Your move")) instanceof NotConnected);
  socket.onopen();
  socket.receive({ result: "OK", action: "auth", recovery: "snapshot", id: "auth" });
  assert.deepEqual(socket.requests, []);
  await app.stop();
});

test("a notification without an answer in time may have been accepted", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const app = await connected();
  const failed = errorAfter(context, 30, app.notify("p", "Your move"));
  assert.ok(await failed instanceof OutcomeUnknown);
  socket.receive({ result: "OK", action: "notify", id: socket.requests[0].id, notifications: [] });
  assert.equal(app.state.state, "connected");
  await app.stop();
});

/** Answer each request as it comes, until a promise has its result. */
async function answered(promise) {
  let answers = 0;
  const timer = setInterval(() => {
    for (; answers < socket.requests.length; answers++) {
      const { id, notifications } = socket.requests[answers];
      const results = notifications.map(({ puid }) => ({ result: "OK", puid, id: `n-${puid}`, queue_size: 1, delivered: true }));
      socket.receive({ result: "OK", notifications: results, id });
    }
  });
  return promise.finally(() => clearInterval(timer));
}

for (const [what, message] of [["of two bytes for each character", "é".repeat(512)], ["of three bytes for each character", "€".repeat(512)], ["short", "a"]]) {
  test(`notifications with messages ${what} are sent in frames that the service takes, and answered in order`, async () => {
    const app = await connected();
    const notifications = Array.from({ length: 250 }, (_, number) => ({ puid: `p${number}`, message }));
    const found = await answered(app.notifyMany(notifications));
    assert.deepEqual(found.map(({ puid }) => puid), notifications.map(({ puid }) => puid));
    assert.deepEqual(socket.requests.flatMap((request) => request.notifications), notifications);
    for (const request of socket.requests) assert.ok(request.notifications.length <= 100);
    for (const text of socket.sent) assert.ok(Buffer.byteLength(text) <= MAX_MESSAGE, `${Buffer.byteLength(text)} bytes`);
    await app.stop();
  });
}

test("a notification that fits in no frame, or is no JSON, is refused without being sent", async () => {
  const app = await connected();
  const circular = {};
  circular.puid = circular;
  for (const [wrong, errno] of [[{ puid: "p", message: "a".repeat(MAX_MESSAGE) }, 151], [{ puid: 1n }, 107], [circular, 107]]) {
    const refused = await app.notifyMany([{ puid: "p", message: "a" }, wrong]).catch((error) => error);
    assert.ok(refused instanceof Refused);
    assert.deepEqual([refused.errno, refused.field], [errno, "notifications[1]"]);
  }
  assert.deepEqual(socket.requests, []);
  await app.stop();
});
