// A part of presence.js: when to come back after a connection ended (docs/protocol.md, section 7).

export const LEAST_SECONDS = 1;
const MOST_SECONDS = 60;
const STOP = new Set([1002, 1003, 1007, 1009]);
const TRY_LATER = new Set([1008, 1011, 1013]);
const STEADY_MS = 30000; // a connection that lasted for so long was a good one
const LATER = 3; // failures that "later" counts for at least

/**
 * Return what to do after a close code (section 7).
 * @param {number} code
 * @returns {"stop" | "later" | "soon" | "renew"} `later` is with backoff from some seconds on, `renew` is soon with a new assertion
 */
export function afterClose(code) {
  if (code === 4202) return "renew";
  if (STOP.has(code) || (code >= 4000 && code < 4100)) return "stop";
  if (TRY_LATER.has(code) || (code >= 4100 && code < 4200)) return "later";
  return "soon";
}

/**
 * Return how long the reason of a close frame asks to wait.
 * @param {string} reason
 * @returns {number} seconds, 0 when it does not
 */
export function retryAfter(reason) {
  return Number(/retry_after=(\d+)$/.exec(reason)?.[1] ?? 0);
}

/**
 * Return how long to wait before the next attempt: full jitter, so that those who were cut off together do not come back together.
 * @param {number} failures in a row so far
 * @param {number} [least] what the service asked for, seconds
 * @param {() => number} [random] from 0 to 1
 * @returns {number} seconds
 */
export function backoff(failures, least = 0, random = Math.random) {
  return least + random() * Math.min(MOST_SECONDS, LEAST_SECONDS * 2 ** failures);
}

/** When to try again: longer after each failure in a row. Times are milliseconds. */
export class Retries {
  /** What the service asked for: before that no attempt is made, whatever happens. */
  notBefore = 0;
  #failures = 0;
  #since = Infinity;

  /** Start over: somebody wants a connection now. */
  reset() {
    this.#failures = 0;
  }

  /** Note that a connection is good. */
  connected(now) {
    this.#since = now;
  }

  /**
   * Note a failure.
   * @param {"later" | "soon" | "renew"} what as `afterClose` says
   * @param {number} least seconds that the service asked for
   * @returns {number} when to try again
   */
  failed(what, least, now) {
    const steady = now - this.#since >= STEADY_MS;
    const failures = Math.max(steady ? 0 : this.#failures, what === "later" ? LATER : 0);
    this.#since = Infinity;
    this.#failures = failures + 1;
    this.notBefore = now + least * 1000;
    return now + backoff(failures, least) * 1000;
  }
}
