// The page that sits in a narrow pane: my status, who may see me, my devices, notifications. It is a device itself.

import { Kept, lasting } from "./kept.js";
import { Outside } from "./outside.js";
import { account, ask, announce, attempt, call, day, element, isolate, list, since, webAddress } from "./page.js";
import { age, seenInWords } from "./seen.js";
import { SharedDevice } from "./tabs.js";

const REFRESH_SECONDS = 20; // of the lists, while somebody looks at them
const TRUE_SECONDS = 30; // for so long, while it is connected, what the service said counts as said now
const SOON_MS = 3000; // after which it is asked again when that will change
const SIGNED_OUT = 4009, REPLACED = 4010;
const NO_UPGRADE = 108;

const at = (id) => document.getElementById(id);
/** What the service said last; null before it said anything. */
let grants = null;
let devices = null;
let saidAt = 0; // when it did
let lostAt = 0; // when the connection ended last: what was said before may not hold any more
let trouble = ""; // why it could not be asked
let signedOut = false;
let asked = 0; // how often the lists were asked for: an answer that is overtaken is void
let again; // the timer of one more look
let wasOld = false; // whether the lists are shown as old

/** A ticket for the channel; null when the browser's session is over. */
async function signIn() {
  try {
    return (await call("POST", "/ticket")).ticket;
  } catch (error) {
    if (!error.signedOut && !error.outdated) throw error;
    signedOut = true; // or in as somebody else, in another tab
    return null;
  }
}

const me = new SharedDevice(account, signIn);
const outside = new Outside(at("outside"), new Kept(account));

// -- what is shown

/** Show a list, or what stands for an empty one. The focus stays on the same button of the same item. */
function fill(id, items) {
  const focus = document.activeElement?.dataset.key;
  at(id).replaceChildren(...items);
  at(id).hidden = items.length === 0;
  at(`no-${id}`).hidden = items.length > 0;
  if (focus && document.activeElement === document.body) {
    (document.querySelector(`[data-key="${CSS.escape(focus)}"]`) ?? at(`${id}-title`)).focus();
  }
}

/** A small button of an item; `key` finds it again when the list was made anew. */
function itemButton(words, about, key, look, act) {
  const names = { "data-key": key, "aria-label": `${words} ${about}` };
  const button = element("button", { type: "button", class: `${look} compact guarded`, ...names }, words);
  button.addEventListener("click", () => act(button));
  return button;
}

function connectionInWords() {
  const { state, seconds } = me.state;
  if (state === "connected") return ["good", "Connected"];
  if (state === "connecting") return ["warn", "Connecting"];
  if (state === "waiting" && me.state.errno === NO_UPGRADE) return ["bad", "Connection blocked"];
  if (state === "waiting") return ["warn", `Reconnecting in ${seconds} s`, "Reconnecting"];
  return ["bad", signedOut ? "Signed out" : "Disconnected"];
}

function whyStopped() {
  if (signedOut) return "You are signed out here. No notifications arrive, and this browser is no longer one of your devices.";
  if (me.state.code === SIGNED_OUT) return `This device was disconnected: ${me.state.reason}.`;
  if (me.state.code === REPLACED) return "Another program has connected with the name of this device.";
  return `The connection ended: ${me.state.reason}.`;
}

function showConnection() {
  const [sign, words, spoken = words] = connectionInWords();
  at("connection").dataset.status = sign;
  at("connection").textContent = words;
  if (at("connection-spoken").textContent !== spoken) at("connection-spoken").textContent = spoken;
  const stopped = me.state.state === "stopped";
  if (signedOut && !stopped) return location.reload(); // another tab has signed in, or this session is over: the service knows
  at("stopped").hidden = !stopped;
  at("blocked").hidden = me.state.errno !== NO_UPGRADE;
  for (const section of document.querySelectorAll("main > section:not(#me)")) section.hidden = signedOut; // somebody else may sit here
  if (stopped) at("stopped-why").textContent = whyStopped();
  at("again").hidden = signedOut;
  at("again-in").hidden = !signedOut;
  for (const button of document.querySelectorAll(".choice button")) button.setAttribute("aria-pressed", button.dataset.status === me.status);
  showSaid();
}

/** Whether what the service said last is what it says now, as far as this page can know. */
function isNow() {
  return !trouble && saidAt >= lostAt && Date.now() - saidAt < TRUE_SECONDS * 1000;
}

/** Say what applications see, and how old that is. */
function showSaid() {
  const [now, known] = [isNow(), devices && !signedOut];
  say("seen", known ? seenInWords(devices, grants, me.name, now ? null : saidAt) : "");
  say("stale", signedOut || now ? "" : trouble || (known ? "This page is not connected to the service." : ""));
  say("stale-age", known && !now ? `The lists below were read ${age(saidAt)}.` : "");
  if (!known || wasOld === !now) return;
  wasOld = !now;
  fill("devices", devices.map(deviceItem));
}

/** Put a text where it is not already: screen readers read what changes. */
function say(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

function deviceItem({ device, status, connected, since: start }) {
  const own = device === me.name;
  const name = element("span", { class: "name" }, device, ...(own ? [" ", element("span", { class: "badge" }, "this browser")] : []));
  const about = element("span", { class: "small" }, connected ? "" : "connection lost, ", "connected ", since(start));
  const sign = element("span", { class: "status small", "data-status": wasOld ? "" : status }, wasOld ? `was ${status}` : status);
  return element("li", { class: "row" },
    element("div", { class: "fill" }, element("div", {}, name), sign, " ", about),
    itemButton("Sign out", device, `out ${device}`, "quiet", (button) => signOutDevice(button, device)));
}

function grantItem({ appid, name, domain, paused, granted_at: start, last_looked: looked }) {
  const pause = (button) => pauseGrant(button, appid, domain, !paused);
  const revoke = (button) => revokeGrant(button, appid, domain);
  const buttons = [
    itemButton(paused ? "Resume" : "Pause", domain, `pause ${appid}`, "quiet", pause),
    itemButton("Revoke", domain, `revoke ${appid}`, "danger quiet", revoke),
  ];
  const title = [element("h3", {}, domain), ...(paused ? [element("span", { class: "badge warn" }, "Paused: sees you as offline")] : [])];
  return element("li", { class: "stack" },
    element("div", {}, element("div", { class: "row" }, ...title), element("p", { class: "name", dir: "auto" }, name)),
    element("p", { class: "small" }, "Allowed ", since(start), `; last active: ${day(looked)}`),
    element("p", { class: "row" }, ...buttons));
}

/** The action of a notification as a link; the service has checked that it is on the application's domain. */
function actionLink({ action }) {
  const url = webAddress(action);
  if (!url) return action ? [element("span", { class: "badge", dir: "auto" }, action)] : [];
  return [element("a", { href: url.href, target: "_blank", rel: "noopener noreferrer" }, `Open ${url.host}`)];
}

function notificationItem(one) {
  return element("li", {},
    element("p", { class: "row small" }, element("strong", { class: "name" }, sender(one)), element("bdi", { class: "name" }, one.source), since(one.sent)),
    element("p", { class: "name lines", dir: "auto" }, one.message),
    element("p", { class: "small" }, ...actionLink(one)));
}

function domainOf({ appid }) {
  return grants?.find((grant) => grant.appid === appid)?.domain;
}

/** Return the domain of who sent a notification, which is proven; what it calls itself is not. */
function sender(one) {
  return one.domain || domainOf(one) || "An application";
}

/** Return the same for a title, which may be cut: what somebody has registered, as anything may stand before it. */
function titleOf(one) {
  return `${one.site || sender(one)}: ${isolate(one.source)}`;
}

function showNotifications() {
  fill("notifications", me.notifications.map(notificationItem));
  at("clear").hidden = me.notifications.length === 0;
}

// -- what can be done

for (const button of document.querySelectorAll(".choice button")) {
  button.addEventListener("click", () => {
    me.setStatus(button.dataset.status);
    setTimeout(refresh, 300);
  });
}
at("unkept").hidden = lasting;
at("again").addEventListener("click", () => me.start());
at("clear").addEventListener("click", () => {
  me.clear();
  at("notifications-title").focus();
});

async function signOutDevice(button, device) {
  const own = device === me.name;
  const what = own ? "This page is that device. It can connect again afterwards." : "The device has to sign in again before it connects.";
  if (!(await ask(`Sign out ${device}?`, what, "Sign out"))) return;
  if (await attempt(button, () => call("DELETE", `/devices/${encodeURIComponent(device)}`))) announce(`${device} is signed out.`);
  refresh();
}

async function pauseGrant(button, appid, domain, paused) {
  const done = await attempt(button, () => call("PATCH", `/grant/${appid}`, { paused }));
  await refresh();
  if (done) announce(paused ? `${domain} sees you as offline now.` : `${domain} sees your status again.`);
}

async function revokeGrant(button, appid, domain) {
  const detail = "The application can no longer see you. Undelivered notifications are deleted. It can ask you again.";
  if (!(await ask(`Revoke access for ${domain}?`, detail, "Revoke"))) return;
  if (await attempt(button, () => call("DELETE", `/grant/${appid}`))) announce(`${domain} can no longer see you.`);
  refresh();
}

/** Read the lists again and show what has changed. */
async function refresh() {
  if (signedOut) return;
  const [turn, began] = [++asked, Date.now()];
  try {
    const [found, given] = await Promise.all([call("GET", "/devices"), list("/grants", "grants")]);
    if (turn !== asked) return;
    [saidAt, trouble] = [began, ""];
    given.sort((one, other) => one.domain.localeCompare(other.domain));
    if (JSON.stringify(found.devices) !== JSON.stringify(devices)) fill("devices", (devices = found.devices).map(deviceItem));
    if (JSON.stringify(given) !== JSON.stringify(grants)) {
      grants = given;
      fill("grants", grants.map(grantItem));
      showNotifications();
    }
  } catch (error) {
    if (turn !== asked) return;
    signedOut ||= error.signedOut || error.outdated || false;
    trouble = error.message;
  }
  showConnection();
  clearTimeout(again);
  if (changesSoon()) again = setTimeout(() => document.hidden || refresh(), SOON_MS);
}

/** Whether what the service said will not hold for long: a grace is going to end, or a status that came too quickly to be applied. */
function changesSoon() {
  const late = ({ device, status }) => device === me.name && status !== me.status && me.state.state === "connected";
  return isNow() && devices.some((one) => !one.connected || late(one));
}

setInterval(() => document.hidden || refresh(), REFRESH_SECONDS * 1000);
setInterval(showSaid, 1000);
document.addEventListener("visibilitychange", () => document.hidden || refresh());

let before = "";
me.addEventListener("change", () => {
  const { state } = me.state;
  if (before === "connected" && state !== before) lostAt = Date.now();
  if (state !== before && (state === "connected" || state === "stopped")) refresh();
  before = state;
  showConnection();
});

// -- notifications

me.addEventListener("notifications", ({ detail }) => {
  showNotifications();
  if (!detail) return;
  announce(`${sender(detail)}: ${isolate(detail.source)}: ${isolate(detail.message)}`);
  if (me.holds) outside.notify(titleOf(detail), detail);
});

showConnection();
refresh();
