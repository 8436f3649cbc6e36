// Texts about how applications see the user, by the service's last answer and, if it is not current, its age.

import { statusTitle, statusWord, wasStatusTitle } from "./status-words.js";
import { _ } from "./texts.js";
import { relativeTime } from "./times.js";

/** @typedef {{paused: boolean, quiet: boolean, shows: string}} Seen a grant */

const RANK = ["offline", "unavailable", "online"];

/**
 * Return how long ago a time was, also if it is less than a minute.
 * @param {number} at milliseconds since the epoch
 * @param {number} [now] milliseconds since the epoch
 * @returns {string}
 */
export function ageInWords(at, now = Date.now()) {
  return now - at < 60000 ? _("less than a minute ago") : relativeTime(at, now);
}

/**
 * Merge the statuses of devices into the status of their user: the most reachable one.
 * @param {string[]} statuses
 * @returns {string}
 */
function merge(statuses) {
  return RANK[Math.max(0, ...statuses.map((status) => RANK.indexOf(status)))];
}

/**
 * Return the status of the user.
 * @param {{status: string}[]} devices the connected devices
 * @param {string | null} override the status that the user has set for all devices; null without one
 * @returns {string}
 */
function statusOf(devices, override) {
  return (devices.length && override) || merge(devices.map((one) => one.status));
}

/**
 * Return whether pauses and quiet hours hide the user from all applications.
 * @param {Seen[]} grants
 */
function isHidden(grants) {
  return grants.length > 0 && grants.every(({ paused, quiet }) => paused || quiet);
}

/**
 * Return whether applications see something else than the status of a device, whatever it is.
 * @param {Seen[]} grants
 * @param {string | null} override see `statusOf`
 */
export function isOverruled(grants, override) {
  return override !== null || isHidden(grants);
}

/**
 * Return the status as the largest word of the page, and the sign that goes with it.
 * @param {{device: string, status: string}[] | null} devices the connected devices in the service's last answer
 * @param {string | null} override see `statusOf`
 * @param {Seen[]} grants
 * @param {boolean} current whether that answer still holds
 * @returns {[sign: string, word: string]} without a sign if the status is not known
 */
export function headline(devices, override, grants, current) {
  if (!devices) return ["", "…"];
  const status = isHidden(grants) ? "offline" : statusOf(devices, override);
  return current ? [status, statusTitle(status)] : ["", wasStatusTitle(status)];
}

/**
 * Describe how applications see the user.
 * @param {{device: string, status: string}[]} devices the connected devices in the service's last answer
 * @param {Seen[]} grants
 * @param {string | null} override see `statusOf`
 * @param {string} own name of this browser's device
 * @param {number | null} at time of the answer in milliseconds since the epoch; null if it is current
 * @param {string} quietEnd time of day at which the quiet hours of now end; "" if it is not known
 * @returns {string}
 */
export function describeVisibility(devices, grants, override, own, at, quietEnd) {
  const open = grants.filter(({ paused, quiet }) => !paused && !quiet);
  const merged = statusOf(devices, override);
  const status = statusWord(merged);
  if (at !== null) return open.length ? _("Applications saw you as %(status)s %(age)s.", { status, age: ageInWords(at) }) : "";
  if (!grants.length) return _("No application sees you: you have not allowed any.");
  if (!open.length && grants.some(({ quiet }) => quiet) && quietEnd) return _("Applications see you as offline until %(time)s: these are your quiet hours.", { time: quietEnd });
  if (!open.length && grants.some(({ quiet }) => quiet)) return _("Applications see you as offline: these are your quiet hours.");
  if (!open.length) return _("Applications see you as offline: you have paused all of them.");
  const mine = devices.find((one) => one.device === own);
  const values = { status, why: mine && mine.status !== merged ? why(override) : "" };
  const seen = open.length < grants.length
    ? _("Applications that you have not paused see you as %(status)s%(why)s.", values)
    : _("Applications see you as %(status)s%(why)s.", values);
  const narrow = merged === "unavailable" && open.some(({ shows }) => shows === "reachable");
  return narrow ? seen + " " + _("Those that see only whether you are online see you as offline.") : seen;
}

/** @param {string | null} override see `statusOf` */
function why(override) {
  return override ? _(", as you have set it for all devices") : _(", because of another device");
}
