// A part of presence.js: received notifications, and which of them have yet to be acknowledged.

/** @typedef {import("./presence-types.js").Notification} Notification */

const MAX_KNOWN = 2000; // ids of notifications
const MAX_IDS = 500; // ids in one frame: they take 11 KiB, and a device may send 16 KiB

/** Notifications that a channel received over all its connections, and their acknowledgements. */
export class Acknowledgements {
  /** @type {Map<string, boolean>} id of a notification: whether it may be acknowledged */
  #known = new Map();
  /** @type {Set<string>} ids to acknowledge, until the service has answered */
  #pending = new Set();
  /** @type {string[]} those of them that were sent and not answered */
  #sent = [];
  #notBefore = 0;

  /** True if an acknowledgement has no answer yet. */
  get isSent() {
    return this.#sent.length > 0;
  }

  /** Time (milliseconds) from which there is something to send; Infinity without anything. */
  get dueAt() {
    return this.#pending.size && !this.isSent ? this.#notBefore : Infinity;
  }

  /**
   * Add received notifications; each one is shown once.
   * @param {Notification[]} notifications
   * @param {(notification: Notification) => boolean} show returns whether the notification may be acknowledged right away
   */
  add(notifications, show) {
    for (const one of notifications) {
      if (!this.#known.has(one.id)) this.#known.set(one.id, show(one));
      if (this.#known.get(one.id)) this.#pending.add(one.id); // also if it is repeated: then the service did not receive the first one
    }
    this.#forget();
  }

  /**
   * Permit the acknowledgement of notifications.
   * @param {string[]} ids
   */
  permit(ids) {
    for (const id of ids) {
      this.#known.set(id, true);
      this.#pending.add(id);
    }
    this.#forget();
  }

  #forget() {
    for (const id of this.#known.keys()) if (this.#known.size > MAX_KNOWN) this.#known.delete(id);
  }

  /**
   * Forget notifications, so that they are shown again.
   * @param {string[]} ids
   */
  forget(ids) {
    for (const id of ids) this.#known.delete(id);
  }

  /**
   * Return the ids for the next acknowledgement; [] while one has no answer yet. Refused ids are part of the next one.
   * @param {number} now milliseconds
   * @returns {string[]}
   */
  next(now) {
    if (this.dueAt > now) return [];
    return (this.#sent = [...this.#pending].slice(0, MAX_IDS));
  }

  /**
   * Process the answer to an acknowledgement.
   * @param {boolean} discard the ids need not be sent again
   * @param {number} [retryAt] time (milliseconds) until which the service permits no other one
   */
  answered(discard, retryAt = 0) {
    this.#notBefore = retryAt;
    if (discard) for (const id of this.#sent) this.#pending.delete(id);
    this.#sent = [];
  }
}
