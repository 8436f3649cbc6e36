// A part of presence.js: when to come back after a connection ended (docs/protocol.md, section 7).

export const LEAST_SECONDS = 1;
const MOST_SECONDS = 60;
const STOP = new Set([1002, 1003, 1007, 1009]);
const TRY_LATER = new Set([1008, 1011, 1013]);

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
