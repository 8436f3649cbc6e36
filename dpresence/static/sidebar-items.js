// The items of the lists of the sidebar: devices, applications with a grant, notifications.

import { applicationSign } from "./application-sign.js";
import { labelInWords } from "./device-words.js";
import { element, isolate, webAddress } from "./dom.js";
import { explanation } from "./sidebar-explanation.js";
import { statusWord, wasStatus } from "./status-words.js";
import { _, parts } from "./texts.js";
import { dayInWords, momentInWords, timeElement } from "./times.js";

/** @typedef {{device: string, status: string, connected: boolean, since: number}} Device `since` is in milliseconds */
/** @typedef {{device: string, client: string, last_used: number | null}} PairedDevice `last_used` is in milliseconds */
/**
 * @typedef {{appid: string, name: string, domain: string, paused: boolean, quiet: boolean, shows: string, until: number | null, granted_at: number, last_looked: string | null, push: boolean, looks: Looks[], sees: string | null, why: Link[], icon?: string}} Grant
 *   `granted_at` is in milliseconds, `last_looked` is a day
 */
/** @typedef {"browser" | "phone" | "program" | "terminal" | "other"} Kind */
/** @typedef {{device: string, label: string | null, kind: Kind | null, last_seen: string | null}} Known `last_seen` is a day */
/** @typedef {{rename: (button: HTMLElement) => void, signOut: (button: HTMLElement) => void}} DeviceActions */
/**
 * @typedef {{
 *   pause: (button: HTMLElement) => void,
 *   show: (choice: HTMLElement, shows: string) => void,
 *   keep: (button: HTMLElement) => void,
 *   push: ((box: HTMLElement, on: boolean) => void) | null,
 *   revoke: (button: HTMLElement) => void,
 * }} GrantActions `pause` also ends a pause, `show` changes what the grant shows, `keep` removes its end; `push` is null without Web Push
 */
/** @typedef {import("./presence-types.js").Notification} Notification */
/** @typedef {import("./sidebar-explanation.js").Looks} Looks */
/** @typedef {import("./sidebar-explanation.js").Link} Link */

/** @type {Record<Kind, string>} signs of kinds of devices */
const KINDS = { browser: "🖥", phone: "📱", program: "⚙", terminal: "⌨", other: "•" };

/**
 * Return a small button of an item.
 * @param {string} label
 * @param {string} subject what it acts on, for screen readers
 * @param {string} key identifies the button when the list is created again
 * @param {string} style classes
 * @param {(button: HTMLElement) => void} action
 */
function itemButton(label, subject, key, style, action) {
  const attributes = { "data-key": key, "aria-label": _("%(action)s %(subject)s", { action: label, subject }) };
  const button = element("button", { type: "button", class: `${style} compact guarded`, ...attributes }, label);
  button.addEventListener("click", () => action(button));
  return button;
}

/**
 * Return the name of a device: its sign, its label, and the name by which the service knows it.
 * @param {string} device
 * @param {Known | undefined} known
 */
function deviceTitle(device, known) {
  const sign = element("span", { "aria-hidden": "true" }, KINDS[known?.kind ?? "other"]);
  if (!known?.label) return [sign, " ", element("span", { class: "name" }, device)];
  const words = labelInWords(known.label);
  const label = element(words === known.label ? "bdi" : "span", { class: "name" }, words); // a translated one has the page's direction
  return [sign, " ", label, " ", element("span", { class: "small" }, device)];
}

/**
 * Return the buttons of a device.
 * @param {string} device
 * @param {DeviceActions} actions
 */
function deviceButtons(device, { rename, signOut }) {
  return [
    itemButton(_("Rename"), device, `name ${device}`, "quiet", rename),
    itemButton(_("Sign out"), device, `out ${device}`, "quiet", signOut),
  ];
}

/**
 * Return the item of a device that is neither connected nor paired.
 * @param {Known} known
 * @param {DeviceActions} actions
 */
function knownDeviceItem(known, actions) {
  const seen = known.last_seen ? _("not connected; last connected: %(day)s", { day: dayInWords(known.last_seen) }) : _("not connected");
  return element("li", { class: "row" },
    element("div", { class: "fill" }, element("div", {}, ...deviceTitle(known.device, known)), element("p", { class: "small" }, seen)),
    ...deviceButtons(known.device, actions));
}

/**
 * Return the item of a device.
 * @param {Device} device
 * @param {Known | undefined} known
 * @param {boolean} own whether it is this browser
 * @param {boolean} outdated whether the status may have changed
 * @param {DeviceActions} actions
 */
function deviceItem({ device, status, connected, since }, known, own, outdated, actions) {
  const badge = own ? [" ", element("span", { class: "badge" }, _("this browser"))] : [];
  const name = element("span", {}, ...deviceTitle(device, known), ...badge);
  const time = timeElement(since);
  const about = element("span", { class: "small" }, ...(connected ? parts("connected %(time)s", { time }) : parts("connection lost; it was made %(time)s", { time })));
  const sign = element("span", { class: "status small", "data-status": outdated ? "" : status }, outdated ? wasStatus(status) : statusWord(status));
  return element("li", { class: "row" },
    element("div", { class: "fill" }, element("div", {}, name), sign, " ", about),
    ...deviceButtons(device, actions));
}

/**
 * Return the item of a paired device that is not connected.
 * @param {PairedDevice} paired
 * @param {Known | undefined} known
 * @param {DeviceActions} actions
 */
function pairedDeviceItem({ device, client, last_used: lastUsed }, known, actions) {
  const used = lastUsed === null ? [_("never connected")] : parts("not connected; last connected about %(time)s", { time: timeElement(lastUsed) });
  const about = [element("bdi", { class: "name" }, client), "; ", ...used];
  return element("li", { class: "row" },
    element("div", { class: "fill" }, element("div", {}, ...deviceTitle(device, known)), element("p", { class: "small" }, ...about)),
    ...deviceButtons(device, actions));
}

/**
 * Return the items of all devices: those that are connected, the other ones that are paired, and the rest.
 * @param {{devices: Device[], paired: PairedDevice[], known: Known[]}} found
 * @param {string} own name of this browser's device
 * @param {boolean} outdated whether statuses may have changed
 * @param {(device: string) => DeviceActions} actions
 */
export function deviceItems({ devices, paired, known }, own, outdated, actions) {
  const about = new Map(known.map((one) => [one.device, one]));
  const listed = new Set(devices.map(({ device }) => device));
  const others = paired.filter(({ device }) => !listed.has(device));
  for (const { device } of others) listed.add(device);
  const rest = known.filter(({ device }) => !listed.has(device));
  return [
    ...devices.map((one) => deviceItem(one, about.get(one.device), one.device === own, outdated, actions(one.device))),
    ...others.map((one) => pairedDeviceItem(one, about.get(one.device), actions(one.device))),
    ...rest.map((one) => knownDeviceItem(one, actions(one.device))),
  ];
}

/**
 * Return the item of an application with a grant.
 * @param {Grant} grant
 * @param {GrantActions} actions
 */
export function grantItem(grant, { pause, show, keep, push, revoke }) {
  const { appid, name, domain, paused, quiet, shows, until, granted_at: grantedAt, last_looked: lastLooked } = grant;
  const buttons = [
    itemButton(paused ? _("Resume") : _("Pause"), domain, `pause ${appid}`, "quiet", pause),
    itemButton(_("Revoke"), domain, `revoke ${appid}`, "danger quiet", revoke),
  ];
  const hidden = paused ? _("Paused: sees you as offline") : quiet ? _("Quiet hours: sees you as offline") : "";
  const title = [element("h3", {}, domain), ...(hidden ? [element("span", { class: "badge warn" }, hidden)] : [])];
  const end = until === null ? [] : [element("p", { class: "row small" }, _("Ends on %(time)s", { time: momentInWords(until) }), itemButton(_("Keep"), domain, `keep ${appid}`, "quiet", keep))];
  const about = [
    element("div", {}, element("div", { class: "row" }, ...title), element("p", { class: "name", dir: "auto" }, name)),
    element("p", { class: "small" }, ...parts("Allowed %(time)s; last active: %(day)s", { time: timeElement(grantedAt), day: dayInWords(lastLooked) })),
    ...end,
    showsChoice(appid, domain, shows, show),
    ...(push ? [pushChoice(grant, push)] : []),
    explanation(grant),
    element("p", { class: "row" }, ...buttons),
  ];
  return element("li", { class: "signed" }, applicationSign(grant), element("div", { class: "stack" }, ...about));
}

/**
 * Return the choice of what a grant shows.
 * @param {string} appid @param {string} domain @param {string} shows the present choice
 * @param {(choice: HTMLElement, shows: string) => void} show
 */
function showsChoice(appid, domain, shows, show) {
  const options = Object.entries({ status: _("your exact status"), reachable: _("only if you are online") });
  const attributes = { class: "compact fill", "data-key": `shows ${appid}`, "aria-label": _("What %(domain)s sees", { domain }) };
  const choice = element("select", attributes, ...options.map(([value, text]) => element("option", { value, selected: value === shows }, text)));
  choice.addEventListener("change", () => show(choice, /** @type {HTMLSelectElement} */ (choice).value));
  return element("p", { class: "row small" }, _("Sees"), choice);
}

/**
 * Return the choice of whether an application's notifications are pushed.
 * @param {Grant} grant
 * @param {(box: HTMLElement, on: boolean) => void} push
 */
function pushChoice({ appid, domain, push: on }, push) {
  const box = element("input", { type: "checkbox", checked: on, "data-key": `push ${appid}`, "aria-label": _("%(domain)s may notify me while this page is closed", { domain }) });
  box.addEventListener("change", () => push(box, /** @type {HTMLInputElement} */ (box).checked));
  return element("label", { class: "small" }, box, " ", _("May notify me while this page is closed"));
}

/**
 * Return the action of a notification as a link. The service has checked that it is on the application's domain.
 * @param {Notification} notification
 */
function actionLink({ action }) {
  const url = webAddress(action);
  if (!url) return action ? [element("span", { class: "badge", dir: "auto" }, action)] : [];
  return [element("a", { href: url.href, target: "_blank", rel: "noopener noreferrer" }, _("Open %(host)s", { host: url.host }))];
}

/**
 * Return the item of a notification.
 * @param {Notification & {read: boolean}} one
 * @param {string} sender
 * @param {(button: HTMLElement | null) => void} read marks it as read; following its link does so as well
 * @param {(button: HTMLElement) => void} remove
 */
export function notificationItem(one, sender, read, remove) {
  const name = element("strong", { class: "name" }, sender);
  const sign = one.read ? [] : [element("span", { class: "badge good" }, _("New"))];
  const links = actionLink(one);
  for (const link of links) if (link.tagName === "A") link.addEventListener("click", () => read(null));
  const subject = _("the notification of %(sender)s", { sender });
  const buttons = [
    ...(one.read ? [] : [itemButton(_("Mark as read"), subject, `read ${one.id}`, "quiet", read)]),
    itemButton(_("Delete"), subject, `delete ${one.id}`, "quiet", remove),
  ];
  return element("li", { id: one.id, tabindex: "-1", "data-key": one.id },
    element("p", { class: "row small" }, name, element("bdi", { class: "name" }, one.source), timeElement(one.sent), ...sign),
    element("p", { class: "name lines", dir: "auto" }, one.message),
    element("p", { class: "row small" }, ...links, ...buttons));
}

/**
 * Return the sender of a notification: the proven domain of the application, not the name that it gave itself.
 * @param {Notification} one
 * @param {Grant[] | null} grants
 */
export function senderOf({ domain, appid }, grants) {
  return domain || grants?.find((grant) => grant.appid === appid)?.domain || _("An application");
}

/**
 * Return the title of a desktop notification. A long domain would be cut, so it begins with its registrable part.
 * @param {Notification} one
 * @param {Grant[] | null} grants
 */
export function desktopTitle(one, grants) {
  return `${one.site || senderOf(one, grants)}: ${isolate(one.source)}`;
}
