// The background of the extension: it holds the device, and does what the panel and the options ask.

import { Device } from "./device.js";
import { unreadIds } from "./inbox.js";
import { describeBrowser } from "./lib/device-description.js";
import { webAddress } from "./lib/dom.js";
import { PairingFailed, askForCredential, beginPairing } from "./pairing.js";
import { overrideEnd, toolbar } from "./status.js";
import { show, shown, store, stored } from "./storage.js";
import { text } from "./texts.js";

const AWAKE_MS = 20000; // a browser ends a background without calls to its API after 30 s
const device = new Device();
let polling = 0; // number of the pairing that is waited for; others end

/** @type {Record<string, (request: any) => Promise<void>>} */
const COMMANDS = {
  pair: async ({ service }) => pair(service),
  cancel: async () => {
    polling++;
    await show({ pairing: null });
  },
  disconnect: async () => {
    await device.leave();
    await show({ unread: 0, problem: "" });
  },
  status: async ({ status }) => {
    await store({ chosen: status });
    device.choose(status);
  },
  override: async ({ status, duration }) => device.override(status, overrideEnd(duration, new Date())),
  read: async ({ ids }) => device.read(ids ?? unreadIds((await stored()).inbox)),
  opened: async ({ id }) => opened(id),
  retry: async () => device.restart(),
  settings: async ({ settings }) => {
    await store({ settings });
    await followIdle();
  },
};

/** @param {string} service */
async function pair(service) {
  const number = ++polling;
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  const name = `sidebar-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  await show({ pairing: null, problem: "" });
  try {
    const pairing = { ...(await beginPairing(service, name, `dpresence sidebar, ${describeBrowser().label}`)), service, device: name };
    if (number !== polling) return;
    await show({ pairing });
    waitForAnswer(pairing, number);
  } catch (error) {
    await pairingFailed(error, number);
  }
}

/** Tell why a pairing failed, unless it was cancelled. @param {unknown} error @param {number} number */
async function pairingFailed(error, number) {
  if (number !== polling) return;
  await show({ pairing: null, problem: error instanceof PairingFailed ? error.message : text("failed", String(error)) });
}

/** @param {import("./pairing.js").Pairing & {service: string}} pairing @param {number} number */
async function waitForAnswer(pairing, number) {
  try {
    const answer = await askForCredential(pairing.service, pairing);
    if (number !== polling) return;
    if (typeof answer === "number") return void setTimeout(() => number === polling && waitForAnswer(pairing, number), answer * 1000);
    await store({ account: { service: pairing.service, ...answer } });
    await show({ pairing: null, problem: "" });
    await connect();
  } catch (error) {
    await pairingFailed(error, number);
  }
}

/** Connect, if there is an account. */
async function connect() {
  const { account, chosen } = await stored();
  if (account) device.open(account, chosen);
  await showToolbar();
}

/** Follow whether somebody is at the computer, if they want that. */
async function followIdle() {
  const { awayMinutes } = (await stored()).settings;
  if (awayMinutes) chrome.idle.setDetectionInterval(awayMinutes * 60);
  device.setAway(awayMinutes > 0 && (await chrome.idle.queryState(Math.max(15, awayMinutes * 60))) !== "active");
}

async function showToolbar() {
  const [{ account }, { state, status, unread }] = await Promise.all([stored(), shown()]);
  const { badge, title } = toolbar(account && { state, status, unread });
  await Promise.all([chrome.action.setBadgeText({ text: badge }), chrome.action.setTitle({ title })]);
}

/** @param {string} id of a notification */
async function openNotification(id) {
  const { inbox, account } = await stored();
  const entry = inbox.find((one) => one.id === id);
  const url = (entry && webAddress(entry.action)?.href) ?? (account && `${account.service}/sidebar`);
  if (url) await chrome.tabs.create({ url });
  if (entry) await opened(id);
  await chrome.notifications.clear(id);
}

/** @param {string} id of a notification that the user has opened */
function opened(id) {
  device.report("opened", id);
  return device.read([id]);
}

/** Continue after a start: of the browser, or of the background alone. */
async function start() {
  const { pairing } = await shown();
  if (pairing) waitForAnswer(pairing, polling);
  await followIdle();
  await connect();
}

const started = start();

chrome.runtime.onMessage.addListener((request, sender, answer) => {
  if (sender.id !== chrome.runtime.id || !Object.hasOwn(COMMANDS, request.do)) return false;
  started.then(() => COMMANDS[request.do](request)).then(() => answer({}), (error) => answer({ error: String(error) }));
  return true;
});
chrome.idle.onStateChanged.addListener(() => started.then(followIdle));
chrome.notifications.onClicked.addListener((id) => started.then(() => openNotification(id)));
chrome.storage.onChanged.addListener(() => showToolbar());
chrome.runtime.onStartup.addListener(() => {}); // starts the background with the browser
chrome.alarms.create("connect", { periodInMinutes: 1 }); // starts it again, if the browser has ended it
chrome.alarms.onAlarm.addListener(() => started.then(() => device.forgetOld()));
setInterval(() => device.isActive && chrome.runtime.getPlatformInfo(), AWAKE_MS);

// The icon opens the panel: in Chromium by itself, in Firefox by this click.
const { sidePanel } = chrome;
if (sidePanel) sidePanel.setPanelBehavior({ openPanelOnActionClick: true });
else chrome.action.onClicked.addListener(() => /** @type {any} */ (chrome).sidebarAction.toggle());
