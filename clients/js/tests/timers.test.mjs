// Waits that are longer than a timer can be: `setTimeout` calls back at once after more than 2^31 - 1 ms. The timers are real.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { test } from "node:test";
import { AppService, ClientStopped, finishPairing } from "../src/index.js";
import { watchActivity } from "../../../dpresence/static/presence-activity.js";
import { Timer, callLater } from "../../../dpresence/static/presence-timer.js";

const DAYS_50 = 50 * 86400; // seconds

class OpeningSocket {
  readyState = 0;
  close() {}
}

for (const answerSeconds of [Infinity, DAYS_50]) {
  test(`notify with an answerSeconds of ${answerSeconds} waits for its answer`, async () => {
    const app = new AppService({ url: "http://x", appid: "a", key: "k", WebSocket: OpeningSocket, answerSeconds });
    await app.start();
    const failed = app.notify("p", "Your move").catch((error) => error);
    assert.equal(await Promise.race([failed, pause(50)]), undefined);
    await app.stop();
    assert.ok(await failed instanceof ClientStopped);
  });
}

test("a timer waits for 2^31 - 1 ms at most, and is none for an infinite time", (context) => {
  const delays = [];
  context.mock.method(globalThis, "setTimeout", (_, delay) => delays.push(delay));
  callLater(() => {}, 5);
  callLater(() => {}, Infinity);
  callLater(() => {}, DAYS_50 * 1000);
  new Timer().after(DAYS_50, () => {});
  assert.deepEqual(delays, [5, 2147483647, 2147483647]);
});

test("a pairing with a long interval does not ask at once", async (context) => {
  const asked = context.mock.method(globalThis, "fetch", () => Promise.reject(new Error("no answer")));
  const stop = new AbortController();
  const paired = finishPairing("http://x", { deviceCode: "d", expiresIn: DAYS_50, interval: DAYS_50 }, { signal: stop.signal }).catch(() => {});
  await pause(50);
  stop.abort();
  await paired;
  assert.equal(asked.mock.callCount(), 0);
});

test("a person whom the system sees active is looked for only when something happens", async (context) => {
  const detector = Object.assign(new EventTarget(), { userState: "active", screenState: "unlocked", start: async () => {} });
  const kind = Object.assign(function IdleDetector() { return detector; }, { requestPermission: async () => "granted" });
  context.after(() => void delete globalThis.IdleDetector);
  globalThis.IdleDetector = kind;
  const real = globalThis.setTimeout;
  let timers = 0;
  context.mock.method(globalThis, "setTimeout", (...all) => (timers += 1, real(...all)));
  const end = watchActivity(300, () => {});
  await pause(10);
  detector.dispatchEvent(new Event("change"));
  await pause(50);
  end();
  assert.ok(timers < 5, `${timers} timers`);
});
