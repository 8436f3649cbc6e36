// A part of presence.js: reads the frames of the service (docs/protocol.md, section 3).

/** @typedef {import("./presence-types.js").Frame} Frame */

/**
 * Return a message as a frame, null if it is not one. Unknown fields are ignored.
 * @param {unknown} data
 * @returns {Frame | null}
 */
export function toFrame(data) {
  try {
    const frame = JSON.parse(String(data));
    const isObject = typeof frame === "object" && frame !== null && !Array.isArray(frame);
    const { notifications = [], cleared = [] } = isObject ? frame : {};
    if (isObject && !["undefined", "number"].includes(typeof frame.unread)) return null;
    if (!cleared.every((/** @type {unknown} */ id) => typeof id === "string")) return null;
    return isObject && notifications.every((/** @type {any} */ one) => typeof one.id === "string") ? frame : null;
  } catch {
    return null;
  }
}
