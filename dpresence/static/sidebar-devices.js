// The items of the list of devices on the sidebar: those that are connected, those that are paired, and those that were connected before.

import { deviceSign } from "./device-signs.js";
import { labelInWords } from "./device-words.js";
import { element } from "./dom.js";
import { itemButton } from "./sidebar-items.js";
import { statusWord, wasStatus } from "./status-words.js";
import { _, parts } from "./texts.js";
import { dayInWords, timeElement } from "./times.js";

/** @typedef {{device: string, status: string, connected: boolean, since: number}} Device `since` is in milliseconds */
/** @typedef {{device: string, client: string, last_used: number | null}} PairedDevice `last_used` is in milliseconds */
/** @typedef {import("./device-signs.js").Kind} Kind */
/** @typedef {{device: string, label: string | null, kind: Kind | null, last_seen: string | null}} Known `last_seen` is a day */
/** @typedef {{rename: (button: HTMLElement) => void, signOut: (button: HTMLElement) => void}} DeviceActions */

/**
 * Return the item of a device.
 * @param {string} device
 * @param {Known | undefined} known
 * @param {(Node | string)[]} badges what stands behind the name
 * @param {HTMLElement} about
 * @param {DeviceActions} actions
 */
function item(device, known, badges, about, { rename, signOut }) {
  return element("li", { class: "signed" },
    deviceSign(known?.kind),
    element("div", { class: "row" },
      element("div", { class: "fill" }, element("div", {}, ...deviceName(device, known), ...badges), about),
      element("div", { class: "row" },
        itemButton(_("Rename"), device, `name ${device}`, "quiet", rename),
        itemButton(_("Sign out"), device, `out ${device}`, "quiet", signOut))));
}

/**
 * Return the name of a device: its label, and the name by which the service knows it.
 * @param {string} device
 * @param {Known | undefined} known
 */
function deviceName(device, known) {
  if (!known?.label) return [element("bdi", { class: "name" }, device)];
  const words = labelInWords(known.label);
  const label = element(words === known.label ? "bdi" : "span", { class: "name" }, words); // a translated one has the page's direction
  return [label, " ", element("bdi", { class: "small" }, device)];
}

/**
 * Return the item of a device that is neither connected nor paired.
 * @param {Known} known
 * @param {DeviceActions} actions
 */
function knownDeviceItem(known, actions) {
  const seen = known.last_seen ? _("not connected; last connected: %(day)s", { day: dayInWords(known.last_seen) }) : _("not connected");
  return item(known.device, known, [], element("p", { class: "small" }, seen), actions);
}

/**
 * Return the item of a connected device.
 * @param {Device} device
 * @param {Known | undefined} known
 * @param {boolean} own whether it is this browser
 * @param {boolean} outdated whether the status may have changed
 * @param {DeviceActions} actions
 */
function deviceItem({ device, status, connected, since }, known, own, outdated, actions) {
  const badges = own ? [" ", element("span", { class: "badge" }, _("this browser"))] : [];
  const time = timeElement(since);
  const about = element("span", { class: "small" }, ...(connected ? parts("connected %(time)s", { time }) : parts("connection lost; it was made %(time)s", { time })));
  const sign = element("span", { class: "status small", "data-status": outdated ? "" : status }, outdated ? wasStatus(status) : statusWord(status));
  return item(device, known, badges, element("div", {}, sign, " ", about), actions);
}

/**
 * Return the item of a paired device that is not connected.
 * @param {PairedDevice} paired
 * @param {Known | undefined} known
 * @param {DeviceActions} actions
 */
function pairedDeviceItem({ device, client, last_used: lastUsed }, known, actions) {
  const used = lastUsed === null ? [_("never connected")] : parts("not connected; last connected about %(time)s", { time: timeElement(lastUsed) });
  return item(device, known, [], element("p", { class: "small" }, element("bdi", { class: "name" }, client), "; ", ...used), actions);
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
