// A part of presence.js: when to reconnect after a connection ended (docs/protocol.md, section 7).

/**
 * `later`: with a longer backoff; `renew`: soon, with a new assertion; `slot`: at the time that the service has assigned, without a longer
 * backoff, as whoever comes much later looks offline meanwhile.
 * @typedef {"stop" | "later" | "soon" | "renew" | "slot"} AfterClose
 */

export const LEAST_SECONDS = 1;
const MAX_SECONDS = 60;
const STOP = new Set([1002, 1003, 1007, 1009]);
const TRY_LATER = new Set([1008, 1011, 1013]);
const STEADY_MS = 30000; // a connection that lasted this long resets the backoff
const LATER = 3; // least number of failures in a row that `later` counts as

/**
 * Return what to do after a close code (section 7).
 * @param {number} code
 * @returns {AfterClose}
 */
export function afterClose(code) {
  if (code === 4202) return "renew";
  if (STOP.has(code) || (code >= 4000 && code < 4100)) return "stop";
  if (TRY_LATER.has(code) || (code >= 4100 && code < 4200)) return "later";
  return "soon";
}

/**
 * Return the wait that the reason of a close frame demands.
 * @param {string} reason
 * @returns {number} seconds; 0 if it demands none
 */
export function retryAfter(reason) {
  return Number(/retry_after=(\d+)$/.exec(reason)?.[1] ?? 0);
}

/**
 * Return the wait before the next attempt, with full jitter, so that clients that were disconnected together do not reconnect together.
 * @param {number} failures failures in a row so far
 * @param {number} [least] wait that the service demanded, seconds
 * @param {() => number} [random] from 0 to 1
 * @returns {number} seconds
 */
export function backoff(failures, least = 0, random = Math.random) {
  return least + random() * Math.min(MAX_SECONDS, LEAST_SECONDS * 2 ** failures);
}

/** Schedules the next attempt, with a longer wait after each failure in a row. Times are milliseconds. */
export class RetrySchedule {
  /** Time before which the service permits no attempt. */
  notBefore = 0;
  #failures = 0;
  #connectedAt = Infinity;

  /** Start over: the caller demands a connection now. */
  reset() {
    this.#failures = 0;
  }

  /**
   * Note that a connection is established.
   * @param {number} now
   */
  connected(now) {
    this.#connectedAt = now;
  }

  /**
   * Note a failure.
   * @param {Exclude<AfterClose, "stop">} what
   * @param {number} least seconds that the service demanded
   * @param {number} now
   * @returns {number} time of the next attempt
   */
  failed(what, least, now) {
    this.notBefore = now + least * 1000;
    if (what === "slot") return now + backoff(0, least) * 1000;
    const steady = now - this.#connectedAt >= STEADY_MS;
    const failures = Math.max(steady ? 0 : this.#failures, what === "later" ? LATER : 0);
    this.#connectedAt = Infinity;
    this.#failures = failures + 1;
    return now + backoff(failures, least) * 1000;
  }
}
