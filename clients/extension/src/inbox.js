// The notifications that this browser has received. The whole inbox, also from before the pairing, is at the service.

import { isolate } from "./lib/dom.js";

/** @typedef {import("./lib/presence-types.js").Notification} Notification */
/** @typedef {Notification & {read: boolean}} Entry */

const MAX_ENTRIES = 100;
const MAX_AGE_MS = 7 * 86400_000;

/**
 * Return the inbox without entries that are too old; the same one if there are none.
 * @param {Entry[]} inbox
 * @param {number} now
 */
export function recent(inbox, now) {
  const kept = inbox.filter(({ sent }) => sent > now - MAX_AGE_MS);
  return kept.length === inbox.length ? inbox : kept;
}

/**
 * Return the inbox with another notification; the same one if it is there already.
 * @param {Entry[]} inbox newest first
 * @param {Notification} notification
 * @param {number} now
 */
export function withNotification(inbox, notification, now) {
  if (inbox.some(({ id }) => id === notification.id)) return inbox;
  return [{ ...notification, read: false }, ...recent(inbox, now)].slice(0, MAX_ENTRIES);
}

/**
 * Return the inbox with some entries marked as read.
 * @param {Entry[]} inbox
 * @param {string[]} ids
 * @returns {Entry[]}
 */
export function withRead(inbox, ids) {
  return inbox.map((entry) => (ids.includes(entry.id) ? { ...entry, read: true } : entry));
}

/** Return the ids of entries that are not read. @param {Entry[]} inbox */
export function unreadIds(inbox) {
  return inbox.filter(({ read }) => !read).map(({ id }) => id);
}

/**
 * Return title and text of a notification of the system. The proven site comes first (docs/protocol.md, section 5).
 * @param {Notification} notification
 */
export function inWords({ site, domain, source, message }) {
  return { title: `${site}: ${isolate(source)}`, message: `${domain}\n${message}` };
}
