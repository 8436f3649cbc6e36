// A part of presence.js: sees a user's input, in this page and, where the browser has the Idle Detection API and the user permits it, in
// the whole system, as well as the lock of the screen.

import { AwayDetector } from "./presence-away.js";
import { callLater } from "./presence-timer.js";

const EVENTS = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart", "scroll"];
const REPORT_SECONDS = 5; // input is reported to other tabs this often at most
const LEAST_IDLE_SECONDS = 60; // the least that the Idle Detection API accepts

/**
 * @typedef {object} Tabs input of the same user in other tabs
 * @property {(() => void) | null} onInput set by this module: the user is active in another tab
 * @property {() => void} report tell other tabs that the user is active in this one
 */

/** @typedef {EventTarget & {userState: string, screenState: string, start: (options: object) => Promise<void>}} SystemIdle */

/**
 * Call a listener when the user has gone away and when they are back.
 * @param {number} idleSeconds time without input
 * @param {(away: boolean) => void} listener
 * @param {Tabs} [tabs]
 * @returns {() => void} function that ends this
 */
export function watchActivity(idleSeconds, listener, tabs) {
  const detector = new AwayDetector(idleSeconds, performance.now());
  const ended = new AbortController();
  let [reported, reportedAt] = [false, -Infinity];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const look = () => {
    clearTimeout(timer);
    if (ended.signal.aborted) return;
    const away = detector.check(performance.now());
    if (!away) timer = callLater(look, Math.max(1, detector.dueAt - performance.now()));
    if (away !== reported) listener((reported = away));
  };
  const input = () => {
    detector.input(performance.now());
    if (reported) look(); // else the timer looks: an event costs no new timer
  };
  const own = () => {
    input();
    if (!tabs || performance.now() - reportedAt < REPORT_SECONDS * 1000) return;
    reportedAt = performance.now();
    tabs.report();
  };
  for (const event of EVENTS) globalThis.addEventListener?.(event, own, { passive: true, capture: true, signal: ended.signal });
  if (tabs) tabs.onInput = input;
  watchSystem(idleSeconds, ended.signal, (active, locked) => {
    detector.setLocked(locked, performance.now());
    detector.setBusy(active, performance.now());
    if (active) own();
    look();
  });
  look();
  return () => {
    ended.abort();
    clearTimeout(timer);
  };
}

/**
 * Call a listener with the state of the system, if the user permits that. Only a click may ask them: `requestPermission` below.
 * @param {number} idleSeconds
 * @param {AbortSignal} signal
 * @param {(active: boolean, locked: boolean) => void} listener
 */
async function watchSystem(idleSeconds, signal, listener) {
  const Detector = idleDetector();
  if (!Detector) return;
  try {
    const system = new Detector();
    const tell = () => signal.aborted || listener(system.userState === "active", system.screenState === "locked");
    system.addEventListener("change", tell, { signal });
    await system.start({ threshold: Math.max(LEAST_IDLE_SECONDS, idleSeconds) * 1000, signal });
    tell();
  } catch {
    // not permitted: input in the page counts
  }
}

/** @returns {(new () => SystemIdle) & {requestPermission: () => Promise<string>} | undefined} */
function idleDetector() {
  return /** @type {any} */ (globalThis).IdleDetector;
}

/** Ask the user, in the handler of a click, whether this page may see their activity in the whole system. */
export async function requestPermission() {
  try {
    return (await idleDetector()?.requestPermission()) === "granted";
  } catch {
    return false;
  }
}
