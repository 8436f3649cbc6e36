// Words for what applications see of somebody: by what the service said last, and how long ago that was when it is not now.

import { ago } from "./page.js";

const RANK = ["offline", "unavailable", "online"];

/** Say how long ago a time (milliseconds) was, also within a minute. */
export function age(at, now = Date.now()) {
  return now - at < 60000 ? "less than a minute ago" : ago(at, now);
}

/** Return the most reachable of some statuses: what a person with such devices is. @param {string[]} statuses */
function merged(statuses) {
  return RANK[Math.max(0, ...statuses.map((status) => RANK.indexOf(status)))];
}

/**
 * Say what applications see.
 * @param {{device: string, status: string}[]} devices the live ones, as the service said
 * @param {{paused: boolean}[]} grants
 * @param {string} own the name of this browser's device
 * @param {number | null} at when the service said so, if that is not now
 */
export function seenInWords(devices, grants, own, at) {
  const open = grants.filter(({ paused }) => !paused);
  const status = merged(devices.map((one) => one.status));
  if (at !== null) return open.length ? `Applications saw you as ${status} ${age(at)}.` : "";
  if (!grants.length) return "No application sees you: you have not allowed any.";
  if (!open.length) return "Applications see you as offline: you have paused all of them.";
  const mine = devices.find((one) => one.device === own);
  const elsewhere = mine && mine.status !== status ? ", because of another device" : "";
  const which = open.length < grants.length ? "Applications that you have not paused" : "Applications";
  return `${which} see you as ${status}${elsewhere}.`;
}
