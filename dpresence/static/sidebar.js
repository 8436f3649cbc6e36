// The page that sits in a narrow pane: my status, who may see me, my devices, notifications. It is a device itself.

import { Kept } from "./kept.js";
import { account, ask, announce, attempt, call, day, element, isolate, list, since, webAddress } from "./page.js";
import { SharedDevice } from "./tabs.js";

const REFRESH_SECONDS = 20; // of the lists, while somebody looks at them
const WORDS = { online: "Online", unavailable: "Unavailable", offline: "Offline" };
const RANK = ["offline", "unavailable", "online"];
const SIGNED_OUT = 4009, REPLACED = 4010;

const at = (id) => document.getElementById(id);
let grants = [];
let devices = [];
let signedOut = false;
let asked = 0; // how often the lists were asked for: an answer that is overtaken is void
let looking = null;
let stale = "";

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
const kept = new Kept(account);

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
  if (state === "waiting") return ["warn", `Reconnecting in ${seconds} s`, "Reconnecting"];
  return ["bad", signedOut ? "Signed out" : "Disconnected"];
}

function whyStopped() {
  if (signedOut) return "You are signed out here: nothing arrives, and this browser does not count any more.";
  if (me.state.code === SIGNED_OUT) return `This device was disconnected: ${me.state.reason}.`;
  if (me.state.code === REPLACED) return "Another program has connected under the name of this device.";
  return `The connection has ended: ${me.state.reason}.`;
}

function showConnection() {
  const [sign, words, spoken = words] = connectionInWords();
  at("connection").dataset.status = sign;
  at("connection").textContent = words;
  if (at("connection-spoken").textContent !== spoken) at("connection-spoken").textContent = spoken;
  const stopped = me.state.state === "stopped";
  if (signedOut && !stopped) return location.reload(); // another tab has signed in, or this session is over: the service knows
  at("stopped").hidden = !stopped;
  for (const section of document.querySelectorAll("main > section:not(#me)")) section.hidden = signedOut; // somebody else may sit here
  if (stopped) at("stopped-why").textContent = whyStopped();
  at("again").hidden = signedOut;
  at("again-in").hidden = !signedOut;
  for (const button of document.querySelectorAll(".choice button")) button.setAttribute("aria-pressed", button.dataset.status === me.status);
  showSeen();
}

/** Say what applications see, if it is known: the most reachable of all devices, and this one as it will be. */
function showSeen() {
  const connected = me.state.state === "connected";
  const others = devices.filter((one) => !connected || one.device !== me.name).map((one) => one.status);
  const seen = RANK[Math.max(...[connected ? me.status : "offline", ...others].map((status) => RANK.indexOf(status)))];
  const elsewhere = seen !== me.status && connected ? ", because of another device" : "";
  const known = connected || (devices.length && !stale && !signedOut);
  at("seen").textContent = known ? `Applications see you ${WORDS[seen].toLowerCase()}${elsewhere}.` : "";
}

function deviceItem({ device, status, connected, since: start }) {
  const own = device === me.name;
  const name = element("span", { class: "name" }, device, ...(own ? [" ", element("span", { class: "badge" }, "this browser")] : []));
  const about = element("span", { class: "small" }, connected ? "" : "connection lost, ", "connected ", since(start));
  const sign = element("span", { class: "status small", "data-status": status }, WORDS[status]);
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
  const title = [element("h3", {}, domain), ...(paused ? [element("span", { class: "badge warn" }, "Paused: sees you offline")] : [])];
  return element("li", { class: "stack" },
    element("div", {}, element("div", { class: "row" }, ...title), element("p", { class: "name", dir: "auto" }, name)),
    element("p", { class: "small" }, "Allowed ", since(start), `; last looked: ${day(looked)}`),
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
  return grants.find((grant) => grant.appid === appid)?.domain;
}

/** Who sent a notification: the domain, which is proven; what it calls itself is not. */
function sender(one) {
  return domainOf(one) ?? "An application";
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
at("again").addEventListener("click", () => me.start());
at("clear").addEventListener("click", () => {
  me.clear();
  at("notifications-title").focus();
});

async function signOutDevice(button, device) {
  const own = device === me.name;
  const what = own ? "This page is that device; it can connect again." : "It has to sign in anew to count again.";
  if (!(await ask(`Sign out ${device}?`, what, "Sign out"))) return;
  if (await attempt(button, () => call("DELETE", `/devices/${encodeURIComponent(device)}`))) announce(`${device} is signed out.`);
  refresh();
}

async function pauseGrant(button, appid, domain, paused) {
  const done = await attempt(button, () => call("PATCH", `/grant/${appid}`, { paused }));
  await refresh();
  if (done) announce(paused ? `${domain} sees you offline now.` : `${domain} sees you again.`);
}

async function revokeGrant(button, appid, domain) {
  const detail = `It will not see you any more, and what it has sent and you have not got is thrown away. It can ask you again.`;
  if (!(await ask(`Revoke ${domain}?`, detail, "Revoke"))) return;
  if (await attempt(button, () => call("DELETE", `/grant/${appid}`))) announce(`${domain} does not see you any more.`);
  refresh();
}

/** Read the lists again and show what has changed. */
async function refresh() {
  if (signedOut) return;
  const turn = ++asked;
  try {
    const [found, given] = await Promise.all([call("GET", "/devices"), list("/grants", "grants")]);
    if (turn !== asked) return;
    stale = "";
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
    stale = signedOut ? "" : `The lists below may be old: ${error.message}`;
  }
  if (at("stale").textContent !== stale) at("stale").textContent = stale;
  showConnection();
}

setInterval(() => document.hidden || refresh(), REFRESH_SECONDS * 1000);
document.addEventListener("visibilitychange", () => document.hidden || refresh());

let before = "";
me.addEventListener("change", () => {
  const { state } = me.state;
  if (state !== before && (state === "connected" || state === "stopped")) refresh();
  before = state;
  showConnection();
});

// -- outside of this page

const wanted = () => kept.get("outside") === "yes" && Notification.permission === "granted";

function showOutside() {
  at("outside").hidden = !("Notification" in window) || Notification.permission === "denied";
  if (!at("outside").hidden) at("outside").setAttribute("aria-pressed", wanted());
}

at("outside").addEventListener("click", async () => {
  const on = !wanted() && (await Notification.requestPermission()) === "granted";
  kept.set("outside", on ? "yes" : "no");
  if (on) showOne("Notifications are shown like this", { tag: "dpresence" });
  if (wanted()) announce("Notifications are shown outside this page, too.");
  else if (!on) announce("Notifications are shown on this page only.");
  showOutside();
});

/** Show one as the system does, or say that it does not: on Android a browser has this for service workers only. */
function showOne(title, options, act) {
  try {
    new Notification(title, options).onclick = act;
  } catch {
    kept.set("outside", "no");
    showOutside();
    announce("This browser cannot show them outside this page.", "alert");
  }
}

/** Show one outside; the tag keeps several tabs from showing it twice. */
function showSystem(title, { message, action, id }) {
  if (!me.holds || !("Notification" in window) || !wanted()) return;
  const url = webAddress(action);
  const act = () => (url ? open(url.href, "_blank", "noopener,noreferrer") : focus());
  showOne(title, { body: message, tag: id }, act);
}

me.addEventListener("notifications", async ({ detail }) => {
  showNotifications();
  if (!detail) return;
  if (!domainOf(detail)) await (looking ??= refresh().finally(() => (looking = null))); // allowed a moment ago
  const title = `${sender(detail)}: ${isolate(detail.source)}`; // the domain first: nothing that follows can hide it
  announce(`${title}: ${isolate(detail.message)}`);
  showSystem(title, detail);
});

showOutside();
showConnection();
refresh();
