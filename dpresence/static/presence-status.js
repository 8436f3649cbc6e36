// A part of presence.js: the status that the program has set, and the one that the service has.

/** @typedef {import("./presence-types.js").Status} Status */

const SLOW_DOWN = 117; // the service applies the status by itself when the time is over
const UNAVAILABLE = [201, 999];

/** The status of a device. At most one frame with a status is under way, so that only the latest of several follows it. */
export class DeviceStatus {
  /** @type {Status} the status that the program has set */
  chosen;
  /** True while the user is away: then `online` is sent as `unavailable`. */
  away = false;
  /** @type {Status | null} the status that the service has, or will apply by itself */
  #known = null;
  /** @type {Status | null} the status of a frame without an answer */
  #sent = null;
  #notBefore = 0;

  /** @param {Status} status */
  constructor(status) {
    this.chosen = status;
  }

  /** The status that the service should have. @returns {Status} */
  get wanted() {
    return this.away && this.chosen === "online" ? "unavailable" : this.chosen;
  }

  /** True if a frame with a status has no answer yet. */
  get isSent() {
    return this.#sent !== null;
  }

  /** True if `offline` is wanted, and waits for the answer to a frame with another status. */
  get offlineWaits() {
    return this.wanted === "offline" && this.#sent !== null && this.#sent !== "offline";
  }

  /** Return the status for a frame that is sent in any case. */
  send() {
    return (this.#sent = this.wanted);
  }

  /**
   * Return the time from which the status is to be sent; Infinity while there is nothing to send. The rate does not limit `offline`.
   * @returns {number} milliseconds
   */
  get dueAt() {
    if (this.#sent !== null || this.wanted === this.#known) return Infinity;
    return this.wanted === "offline" && this.#known !== null ? 0 : this.#notBefore;
  }

  /**
   * Process the answer to a frame with a status.
   * @param {number} errno 0 if it was accepted
   * @param {number} retryAt time until which the service permits no other frame
   */
  answered(errno, retryAt) {
    if (!errno || errno === SLOW_DOWN) this.#known = this.#sent;
    else if (UNAVAILABLE.includes(errno)) this.#known = null;
    if (errno === SLOW_DOWN || UNAVAILABLE.includes(errno)) this.#notBefore = retryAt;
    this.#sent = null;
  }

  /** Note the end of the connection. */
  ended() {
    this.#known = this.#sent = null;
    this.#notBefore = 0;
  }
}
