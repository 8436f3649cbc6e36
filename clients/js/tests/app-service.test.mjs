// How an app service stores its table: with a websocket, a store and timers that are fake.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AppService } from "../src/index.js";
import { FileStore } from "../src/file-store.js";

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

test("a change during a long save is saved after it", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const store = new FakeStore();
  const app = await connected(store);
  context.mock.timers.tick(1000);
  await settle();
  update("e:2");
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
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const store = new FakeStore();
  const app = await connected(store);
  context.mock.timers.tick(1000);
  await settle();
  update("e:2");
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
