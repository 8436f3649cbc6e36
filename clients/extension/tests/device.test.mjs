// The device with a browser, a socket and a service that are fake: what happens to notifications when the person disconnects.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { fakeBrowser, settle } from "./browser.mjs";
import { Device } from "../src/device.js";

const ACCOUNT = { service: "https://dpresence.example", email: "ann@example.org", device: "sidebar-1", credential: "device:x" };
const NEXT = { ...ACCOUNT, email: "ben@example.org", device: "sidebar-2" };
const REFUSED = { id: "sign-in", result: "KO", errno: 34, error: "the credential has ended" };
const one = (id) => ({ id, appid: "chess", domain: "chess.example.org", site: "example.org", source: "Chess", message: "Your move", action: "", sent: Date.now() });

let device, sockets, icons, browser;

/** Let the service send a frame. */
const say = async (frame) => (sockets.at(-1).onmessage({ data: JSON.stringify(frame) }), settle());

/** Connect as the device of an account. */
async function connect(account) {
  await browser.local.set({ account });
  device.open(account, "online");
  await settle();
  sockets.at(-1).onopen();
  await say({ id: "sign-in", result: "OK" });
}

/** Have a backlog arrive: one notification is shown, one waits for its icon, one waits for its turn. */
async function receiveBacklog() {
  await say({ notifications: [one("shown"), one("slow"), one("queued")] });
  icons.shift()();
  await settle();
  assert.deepEqual(Object.keys(browser.notifications), ["shown"]);
}

/** Refuse the sign-in, and have the device try again at once. */
async function refuse() {
  sockets.at(-1).onopen();
  await say(REFUSED);
  device.restart();
  await settle();
}

/** Let every icon that is asked for arrive. */
async function answerIcons() {
  while (icons.length) {
    icons.shift()();
    await settle();
  }
}

beforeEach(() => {
  [sockets, icons, browser] = [[], [], fakeBrowser()];
  globalThis.fetch = () => new Promise((answer) => icons.push(() => answer({ ok: true })));
  globalThis.WebSocket = class {
    readyState = 1;
    constructor() {
      sockets.push(this);
    }
    send() {}
    close() {}
  };
  device = new Device();
});
afterEach(() => device.close());

test("notifications that wait when the person disconnects are neither stored nor shown, and those shown are closed", async () => {
  await connect(ACCOUNT);
  await receiveBacklog();
  await device.leave();
  assert.deepEqual([browser.stored.account, browser.stored.inbox, browser.notifications], [null, [], {}]);
  await connect(NEXT);
  await answerIcons();
  assert.deepEqual([browser.stored.account, browser.stored.inbox, browser.notifications], [NEXT, [], {}]);
});

test("notifications that wait when the service ends the credential are neither stored nor shown, and those shown are closed", async () => {
  await connect(ACCOUNT);
  await receiveBacklog();
  sockets.at(-1).onclose({ code: 4009, reason: "signed out" });
  await settle();
  for (let attempts = 0; attempts < 3; attempts++) await refuse(); // after so many the device asks no more
  await answerIcons();
  assert.deepEqual([browser.stored.account, browser.stored.inbox, browser.notifications], [null, [], {}]);
});

test("a notification that the system shows only after the person has disconnected is closed", async () => {
  await connect(ACCOUNT);
  const show = browser.holdNotifications();
  await say({ notifications: [one("late")] });
  await answerIcons();
  await device.leave();
  show();
  await settle();
  assert.deepEqual(browser.notifications, {});
});

test("what is read while the inbox of the former person is stored does not bring it back", async () => {
  await connect(ACCOUNT);
  await say({ notifications: [one("first")] });
  await answerIcons();
  const reading = device.read(["first"]);
  await Promise.all([device.leave(), reading]);
  assert.deepEqual(browser.stored.inbox, []);
});

test("notifications that are too old to be listed are forgotten also if no other one comes", async () => {
  await connect(ACCOUNT);
  const old = { ...one("old"), sent: Date.now() - 8 * 86400_000, read: false }, recent = { ...one("recent"), read: false };
  await browser.local.set({ inbox: [recent, old] });
  await device.forgetOld();
  assert.deepEqual(browser.stored.inbox, [recent]);
});
