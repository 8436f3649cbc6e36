// A part of presence.js: how a page notices that it was asleep. A proxy may have forgotten its connection meanwhile.

const JUMP_SECONDS = 5; // a timer that is later than this has been asleep
const OF_WINDOW = ["online", "pageshow"];
const OF_DOCUMENT = ["visibilitychange", "resume"];

/**
 * Call a listener when the page is shown, thawed, or has its network back; a hidden page is left alone.
 * @param {() => void} listener
 * @returns {() => void} ends it
 */
export function onWaking(listener) {
  const woken = () => globalThis.document?.hidden || listener();
  const each = (method) => {
    for (const event of OF_WINDOW) globalThis[method]?.(event, woken);
    for (const event of OF_DOCUMENT) globalThis.document?.[method](event, woken);
  };
  each("addEventListener");
  return () => each("removeEventListener");
}

/**
 * Measure a timer by the wall clock, which goes on while the machine sleeps.
 * @param {number} seconds how long it is meant to take
 * @returns {() => boolean} whether it took much longer
 */
export function sleepMeter(seconds) {
  const began = Date.now();
  return () => Date.now() - began > (seconds + JUMP_SECONDS) * 1000;
}
