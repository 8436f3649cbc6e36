// The sidebar: the user's status, who may see them, their devices, notifications. The page itself is one of the devices.

import { AccountStorage, isPersistent } from "./account-storage.js";
import { showAllowed } from "./allowed.js";
import { offerAway, showAway } from "./away.js";
import { NO_UPGRADE, connectionInWords, whyStopped } from "./connection-words.js";
import { DesktopNotifications } from "./desktop-notifications.js";
import { byId, isolate, setText } from "./dom.js";
import { offerOverride, showOverride } from "./override.js";
import { account, announce, attempt, call, callForAll, confirmAction, signingOut, toServiceError } from "./page.js";
import { offerQuietHours, quietEnd, showQuietHours } from "./quiet-hours.js";
import { closePushed, openedByPush, Push } from "./push.js";
import { askForName } from "./rename.js";
import { SharedDevice } from "./shared-device.js";
import { deviceItems } from "./sidebar-devices.js";
import { grantActions } from "./sidebar-grants.js";
import { InboxList } from "./sidebar-inbox.js";
import { desktopTitle, grantItem, iconOf, senderOf } from "./sidebar-items.js";
import { showList } from "./sidebar-list.js";
import { _ } from "./texts.js";
import { ageInWords, describeVisibility, headline, isOverruled } from "./visibility.js";
import { lookForUpdate } from "./web-app.js";

/** @typedef {import("./sidebar-devices.js").Device} Device */
/** @typedef {import("./sidebar-devices.js").PairedDevice} PairedDevice */
/** @typedef {import("./sidebar-devices.js").Known} Known */
/** @typedef {import("./sidebar-items.js").Grant} Grant */

const SIGN_IN_SECONDS = 15; // limit of the call for a ticket, as of each step of a connection
const REFRESH_SECONDS = 20; // of the lists, while the page is visible
const CURRENT_SECONDS = 30; // age up to which the lists count as current while the page is connected
const EARLY_REFRESH_MS = 3000; // while a change is expected

/** @type {Grant[] | null} the service's last answer; null before the first one */
let grants = null;
/** @type {Device[] | null} the same */
let devices = null;
/** @type {string | null} the status that the user has set for all devices; null without one */
let override = null;
/** @type {PairedDevice[]} the devices with a credential, connected or not */
let paired = [];
/** @type {Known[]} what is known of devices, connected or not */
let knownDevices = [];
let answeredAt = 0; // time of the call for the last answer, in milliseconds since the epoch
let lostAt = 0; // time at which the connection was lost: an answer from before may be outdated
let problem = ""; // why the last call failed
let signedOut = false;
let calls = 0; // number of calls for the lists: an answer that a later call has overtaken is ignored
/** @type {number | undefined} */
let earlyRefresh;
let shownAsOutdated = false; // of the list of devices

/**
 * Return a ticket for the channel; null if the browser's session is over.
 * @returns {Promise<string | null>}
 */
async function signIn() {
  try {
    return (await call("POST", "/ticket", undefined, SIGN_IN_SECONDS)).ticket;
  } catch (caught) {
    const error = toServiceError(caught);
    if (!error.signedOut && !error.outdated) throw error;
    signedOut = true; // or signed in as another user, in another tab
    return null;
  }
}

const me = new SharedDevice(account, signIn);
const storage = new AccountStorage(account);
const desktop = new DesktopNotifications(byId("desktop-notifications"), storage);
const push = new Push(storage, () => grants && showGrants());
const inbox = new InboxList(
  (one) => ({ domain: senderOf(one, grants), icon: iconOf(one, grants) }),
  (items) => showList("notifications", items), (id) => me.report("opened", id), closeOutside,
);
const statusButtons = /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll(".choice button"));

/** Close notifications outside of the page that need not be shown any more. @param {string[]} ids */
function closeOutside(ids) {
  desktop.close(ids);
  closePushed(ids);
}

/** Remove the notifications in and outside of the page, and their number, as another person may use the browser next. */
function forgetNotifications() {
  inbox.forget();
  desktop.closeAll();
}

addEventListener("signedout", forgetNotifications);

// Display

function showConnection() {
  const [sign, text, spoken = text] = connectionInWords(me.state, signedOut);
  byId("connection").dataset.status = sign;
  byId("connection").textContent = text;
  setText(byId("connection-spoken"), spoken);
  const now = me.state;
  if (signedOut && now.state !== "stopped") return location.reload(); // another tab has signed in, or the session is over
  byId("stopped").hidden = now.state !== "stopped";
  byId("blocked").hidden = !("errno" in now) || now.errno !== NO_UPGRADE;
  // another person may use the browser
  for (const section of document.querySelectorAll("main > section:not(#me)")) section.toggleAttribute("hidden", signedOut);
  if (signedOut) forgetNotifications();
  if (now.state === "stopped") byId("stopped-why").textContent = whyStopped(now, signedOut);
  byId("connect-again").hidden = signedOut;
  byId("sign-in-again").hidden = !signedOut;
  for (const button of statusButtons) button.ariaPressed = String(button.dataset.status === me.status);
  showAway(me);
  showVisibility();
}

/** Return whether the last answer still holds, as far as this page can know. */
function isCurrent() {
  return !problem && answeredAt >= lostAt && Date.now() - answeredAt < CURRENT_SECONDS * 1000;
}

/** Show what applications see, and the age of the answer if it is outdated. */
function showVisibility() {
  const current = isCurrent();
  const known = devices !== null && grants !== null && !signedOut;
  const [sign, word] = signedOut ? ["", _("Signed out")] : headline(known ? devices : null, override, grants ?? [], current);
  byId("state").dataset.status = sign;
  byId("own-status").classList.toggle("overruled", isOverruled(grants ?? [], override));
  setText(byId("state"), word);
  setText(byId("seen"), known ? describeVisibility(devices ?? [], grants ?? [], override, me.name, current ? null : answeredAt, quietEnd()) : "");
  const disconnected = known ? _("This page is not connected to the service.") : "";
  const outage = signedOut || current ? "" : problem || disconnected;
  setText(byId("stale"), outage);
  byId("outage").classList.toggle("shown", outage !== "");
  setText(byId("stale-age"), known && !current ? _("The lists below were read %(age)s.", { age: ageInWords(answeredAt) }) : "");
  if (!known || shownAsOutdated === !current) return;
  shownAsOutdated = !current;
  showDevices();
}

function showDevices() {
  /** @param {string} device @returns {import("./sidebar-devices.js").DeviceActions} */
  const actions = (device) => ({ rename: (button) => renameDevice(button, device), signOut: (button) => signOutDevice(button, device) });
  showList("devices", deviceItems({ devices: devices ?? [], paired, known: knownDevices }, me.name, shownAsOutdated, actions));
}

function showGrants() {
  const item = (/** @type {Grant} */ one) => grantItem(one, grantActions(one, refresh, push.offered));
  showList("grants", (grants ?? []).map(item));
  showAllowed(grants ?? []);
}

// Actions

for (const button of statusButtons) {
  button.addEventListener("click", () => {
    me.setStatus(/** @type {import("./presence-types.js").Status} */ (button.dataset.status));
    setTimeout(refresh, 300);
  });
}
offerOverride(refresh);
offerQuietHours(refresh);
offerAway(me);
byId("no-storage").hidden = isPersistent;
byId("connect-again").addEventListener("click", () => me.start());
byId("try-now").addEventListener("click", () => {
  me.check();
  refresh();
});

/** Return what the sign-out of a device does. @param {string} device */
function afterSignOut(device) {
  if (device === me.name) return _("This page is that device. It can connect again afterwards.");
  if (paired.some((one) => one.device === device)) return _("The device loses its access. To connect it again, you need a new code that it shows.");
  return _("The device has to sign in again before it connects.");
}

/** @param {HTMLElement} button @param {string} device */
async function signOutDevice(button, device) {
  if (!(await confirmAction(_("Sign out %(device)s?", { device }), afterSignOut(device), _("Sign out")))) return;
  if (await attempt(button, () => call("DELETE", `/devices/${encodeURIComponent(device)}`))) announce(_("%(device)s is signed out.", { device }));
  refresh();
}

/** @param {HTMLElement} button @param {string} device */
async function renameDevice(button, device) {
  const before = knownDevices.find((one) => one.device === device)?.label ?? "";
  const label = await askForName(device, before);
  if (label === null || label === before) return;
  const done = await attempt(button, () => call("PATCH", `/devices/${encodeURIComponent(device)}`, { label: label || null }));
  await refresh();
  if (done) announce(_("%(device)s has another name.", { device }));
}

/** Read the lists and show the changes. */
async function refresh() {
  if (signedOut || signingOut) return;
  const [number, began] = [++calls, Date.now()];
  try {
    const [found, given, person, quiet] = await Promise.all([
      call("GET", "/devices"), callForAll("/grants", "grants"), call("GET", "/status"), call("GET", "/hours"),
    ]);
    if (number !== calls) return;
    override = person.override;
    showOverride(person);
    showQuietHours(quiet);
    [answeredAt, problem] = [began, ""];
    given.sort((one, other) => one.domain.localeCompare(other.domain));
    update(found, given);
  } catch (caught) {
    if (number !== calls) return;
    const error = toServiceError(caught);
    signedOut ||= error.signedOut || error.outdated;
    problem = error.message;
  }
  showConnection();
  clearTimeout(earlyRefresh);
  if (expectsChange()) earlyRefresh = setTimeout(() => document.hidden || refresh(), EARLY_REFRESH_MS);
}

/** @param {{devices: Device[], paired: PairedDevice[], known: Known[]}} found @param {Grant[]} newGrants */
function update(found, newGrants) {
  const lists = [found.devices, found.paired, found.known];
  if (JSON.stringify(lists) !== JSON.stringify([devices, paired, knownDevices])) {
    [devices, paired, knownDevices] = [found.devices, found.paired, found.known];
    showDevices();
  }
  if (JSON.stringify(newGrants) !== JSON.stringify(grants)) {
    grants = newGrants;
    showGrants();
    inbox.show();
  }
}

/** Return whether the answer will change soon: a grace ends, or a status that was set too quickly is applied later. */
function expectsChange() {
  const pending = (/** @type {Device} */ { device, status }) =>
    device === me.name && status !== me.effective && me.state.state === "connected";
  return isCurrent() && (devices ?? []).some((one) => !one.connected || pending(one));
}

setInterval(() => document.hidden || refresh(), REFRESH_SECONDS * 1000);
setInterval(showVisibility, 1000);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  refresh();
  inbox.refresh();
});

let previousState = "";
me.addEventListener("change", () => {
  const { state } = me.state;
  if (previousState === "connected" && state !== previousState) lostAt = Date.now();
  if (state !== previousState && (state === "connected" || state === "stopped")) refresh();
  if (state !== previousState && state === "connected" && lostAt) lookForUpdate();
  previousState = state;
  showConnection();
});

me.addEventListener("unread", (event) => {
  if (document.hidden) inbox.setUnread(/** @type {CustomEvent<number>} */ (event).detail);
  else inbox.refresh();
});
me.addEventListener("cleared", (event) => closeOutside(/** @type {CustomEvent<string[]>} */ (event).detail));
me.addEventListener("notification", (event) => {
  const { detail } = /** @type {CustomEvent<import("./presence-types.js").Notification>} */ (event);
  inbox.add(detail);
  announce(`${senderOf(detail, grants)}: ${isolate(detail.source)}: ${isolate(detail.message)}`);
  const onDesktop = me.hasChannel && desktop.show(desktopTitle(detail, grants), detail, iconOf(detail, grants), () => me.report("opened", detail.id));
  if (onDesktop || !document.hidden) me.report("shown", detail.id);
});

showConnection();
refresh();
push.start();
if (!openedByPush((id) => inbox.open(id))) inbox.refresh();
