// A part of presence.js: the status of the whole person that the program has set, until the service has answered.

const REPEATED = [117, 130, 201, 999]; // errnos after which it is sent again

/** The change of the override that is sent next; the latest one wins. */
export class Override {
  /** @type {object | null} fields of the frame that the service has not accepted yet */
  #wanted = null;
  /** @type {object | null} the frame without an answer */
  #sent = null;
  #notBefore = 0;

  /** True if a frame has no answer yet. */
  get isSent() {
    return this.#sent !== null;
  }

  /** Time (milliseconds) from which there is something to send; Infinity without anything. */
  get dueAt() {
    return this.#wanted && !this.#sent ? this.#notBefore : Infinity;
  }

  /** @param {import("./presence-types.js").Status | null} status null ends the override @param {number} [until] milliseconds */
  set(status, until) {
    this.#wanted = { override: status, ...(until === undefined ? {} : { until }) };
  }

  /** Return the fields of the frame that is due, null if none is. @param {number} now milliseconds */
  next(now) {
    if (this.dueAt > now) return null;
    return (this.#sent = this.#wanted);
  }

  /**
   * Process the answer. A change that is refused for good is forgotten.
   * @param {number} errno 0 if it was accepted
   * @param {number} retryAt time until which the service permits no other one
   */
  answered(errno, retryAt) {
    if (REPEATED.includes(errno)) this.#notBefore = retryAt;
    else if (this.#wanted === this.#sent) this.#wanted = null;
    this.#sent = null;
  }

  /** Note the end of the connection. A change without an answer is sent again. */
  ended() {
    this.#sent = null;
    this.#notBefore = 0;
  }
}
