// Divides notifications into frames that the service accepts (docs/protocol.md, sections 5 and 7).

import { Refused } from "./errors.js";

/** @typedef {import("./app-types.js").OutgoingNotification} OutgoingNotification */

export const MAX_NOTIFICATIONS = 100; // in one frame
const MAX_BYTES = 120 * 1024; // of the notifications in one frame: the service takes 128 KiB, and closes the channel for good after a larger one
const WRONG = 107, TOO_LONG = 151;

/**
 * Return the notifications of each frame.
 * @param {OutgoingNotification[]} notifications
 * @throws {Refused} a notification is too long for any frame, or is no JSON
 */
export function pages(notifications) {
  const sizes = notifications.map(sizeOf);
  /** @type {OutgoingNotification[][]} */
  const found = [];
  let total = Infinity;
  for (const [number, notification] of notifications.entries()) {
    if (total + sizes[number] > MAX_BYTES || found[found.length - 1].length === MAX_NOTIFICATIONS) {
      found.push([]);
      total = 0;
    }
    found[found.length - 1].push(notification);
    total += sizes[number] + 1;
  }
  return found;
}

/** Return the bytes of a notification in a frame. @param {OutgoingNotification} notification @param {number} number its position */
function sizeOf(notification, number) {
  const refuse = (/** @type {number} */ errno, /** @type {string} */ what) => new Refused({ errno, error: `notifications[${number}]: ${what}` });
  let size;
  try {
    size = new TextEncoder().encode(JSON.stringify([notification])).length;
  } catch (error) {
    throw refuse(WRONG, /** @type {Error} */ (error).message);
  }
  if (size > MAX_BYTES) throw refuse(TOO_LONG, `${size} bytes are too many; message and action have up to 512 characters`);
  return size;
}
