// What the background does for the panel and the options, with a browser and a service that are fake.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { fakeBrowser, settle } from "./browser.mjs";

const SERVICE = "https://dpresence.example";
const browser = fakeBrowser();
const event = () => ({ addListener: () => {} });
const asked = []; // calls that wait for an answer, in order
let send;

Object.assign(globalThis.chrome, {
  action: { setBadgeText: async () => {}, setTitle: async () => {}, onClicked: event() },
  idle: { onStateChanged: event(), queryState: async () => "active" },
  alarms: { create: () => {}, onAlarm: event() },
});
Object.assign(globalThis.chrome.runtime, { onStartup: event(), onMessage: { addListener: (listener) => (send = listener) } });
globalThis.chrome.storage.onChanged = event();
globalThis.chrome.notifications.onClicked = event();
globalThis.setInterval = () => {};
globalThis.fetch = (url) => new Promise((answer, fail) => asked.push({ url, fail, answer: (status, body) => answer({ status, json: async () => body }) }));
await import("../src/background.js");

/** Send an order, as the panel and the options do. */
const order = async (request) => (send(request, { id: "dpresence" }, () => {}), settle());

/** Return the call that has waited longest. */
function nextCall(path) {
  const call = asked.shift();
  assert.equal(call.url, SERVICE + path);
  return call;
}

/** Begin a pairing, and return the question for its credential. */
async function pair(code) {
  await order({ do: "pair", service: SERVICE });
  nextCall("/pair").answer(201, { device_code: code, user_code: code, verification_uri_complete: `${SERVICE}/pair?code=${code}`, interval: 5, expires_in: 600 });
  await settle();
  return nextCall("/pair/token");
}

beforeEach(() => order({ do: "cancel" }));

test("a pairing that fails after it was cancelled leaves the next one alone", async () => {
  const late = await pair("first");
  await order({ do: "cancel" });
  await pair("second");
  late.answer(400, { errno: 143, error: "denied", details: "access_denied" });
  await settle();
  assert.deepEqual([browser.shown.pairing?.user_code, browser.shown.problem], ["second", ""]);
});

test("a code that is asked for in vain after its pairing was cancelled is no problem", async () => {
  await order({ do: "pair", service: SERVICE });
  await order({ do: "cancel" });
  nextCall("/pair").fail(new TypeError("Failed to fetch"));
  await settle();
  assert.deepEqual([browser.shown.pairing, browser.shown.problem], [null, ""]);
});

test("a pairing that fails is told", async () => {
  (await pair("only")).answer(400, { errno: 143, error: "denied", details: "access_denied" });
  await settle();
  assert.deepEqual([browser.shown.pairing, browser.shown.problem], [null, "You did not connect this browser."]);
});
