// Reads the frames of the app service channel (docs/protocol.md, section 5). No error contains a part of a frame.

import { ProtocolError, Refused } from "./errors.js";

/** @typedef {import("./table.js").Batch} Batch */
/**
 * The answer to one accepted notification.
 * @typedef {object} Delivery
 * @property {string} puid
 * @property {string} id id of the notification; a device that acknowledges sees the same one
 * @property {number} queueSize number of this application's notifications that wait for the user, as far as the application may know
 * @property {boolean} delivered true: the user is shown as reachable, and it was sent to a device. False allows no conclusion
 */
/** @typedef {Delivery | Refused} Result */
/**
 * An outcome of a notification that was sent with `outcome`.
 * @typedef {object} Outcome
 * @property {string} id id of the notification, as in its Delivery
 * @property {string} puid
 * @property {string} outcome `pushed`, `delivered`, `shown`, `opened`, `expired`, `dropped`, `replaced`, `cancelled` or `revoked`
 * @property {number} at when the application could first know it, in milliseconds since the epoch
 */
/** @typedef {{outcomes: Outcome[], cursor: string}} OutcomeBatch */

/**
 * Return the updates of a frame, or the entries of a part of a snapshot.
 * @param {any} entries
 * @param {unknown} cursor
 * @param {import("./table.js").Origin} origin
 * @returns {Batch}
 */
export function toBatch(entries, cursor, origin) {
  if (typeof cursor !== "string") throw new ProtocolError("cursor: text is expected");
  if (!Array.isArray(entries)) throw new ProtocolError("updates or a snapshot are no list");
  const reason = origin === "snapshot" ? origin : undefined;
  return { updates: entries.map((entry) => toUpdate(entry, reason)), cursor, origin };
}

/** @param {any} entry @param {string} [fixed] the reason of all entries of a snapshot */
function toUpdate(entry, fixed) {
  const { puid, status, at, reason = fixed } = entry ?? {};
  if (typeof puid !== "string" || typeof status !== "string" || typeof reason !== "string" || !Number.isInteger(at)) {
    throw new ProtocolError("an entry of updates or of a snapshot is incomplete or wrong");
  }
  return { puid, status, reason, at };
}

/** Return the outcomes of a frame. @param {Record<string, any>} frame @returns {OutcomeBatch} */
export function toOutcomes({ outcomes, cursor }) {
  if (typeof cursor !== "string" || !Array.isArray(outcomes)) throw new ProtocolError("a frame of outcomes is wrong");
  return { outcomes: outcomes.map(toOutcome), cursor };
}

/** @param {any} entry @returns {Outcome} */
function toOutcome(entry) {
  const { id, puid, outcome, at } = entry ?? {};
  if ([id, puid, outcome].some((text) => typeof text !== "string") || !Number.isInteger(at)) {
    throw new ProtocolError("an entry of outcomes is incomplete or wrong");
  }
  return { id, puid, outcome, at };
}

/**
 * Return the results of an answer to notifications.
 * @param {any} entries
 * @param {number} count number of notifications of the request
 * @returns {Result[]}
 */
export function results(entries, count) {
  if (!Array.isArray(entries) || entries.length !== count) {
    throw new ProtocolError(`an answer to ${count} notifications has another number of results`);
  }
  return entries.map((entry) => {
    if (entry?.result !== "OK") return new Refused(entry ?? {});
    const { puid, id, queue_size: queueSize, delivered } = entry;
    return { puid, id, queueSize, delivered };
  });
}

/** Return the object in a message. @param {unknown} data @returns {Record<string, any>} */
export function toObject(data) {
  if (typeof data !== "string") throw new ProtocolError("a binary message");
  let frame;
  try {
    frame = JSON.parse(data);
  } catch {
    throw new ProtocolError("not JSON");
  }
  if (typeof frame !== "object" || frame === null || Array.isArray(frame)) throw new ProtocolError("not a JSON object");
  return frame;
}
