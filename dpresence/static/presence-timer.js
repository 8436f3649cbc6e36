// A part of presence.js: its timer, which also detects that the machine was asleep.

const TICK_SECONDS = 10; // interval at which the clock is compared during a silence
const MAX_DELAY_SECONDS = 5; // a tick with a longer delay was asleep
const LONGEST_MS = 2 ** 31 - 1; // `setTimeout` calls back at once after a longer time

/**
 * Call a function after some time, of which 24.8 days count, or never if it is Infinity.
 * @param {() => void} callback
 * @param {number} milliseconds
 * @returns {ReturnType<typeof setTimeout> | undefined} the timer, for `clearTimeout`
 */
export function callLater(callback, milliseconds) {
  return milliseconds === Infinity ? undefined : setTimeout(callback, Math.min(milliseconds, LONGEST_MS));
}

/** One timer. Each method replaces what the timer was set to before. */
export class Timer {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #id;

  clear() {
    clearTimeout(this.#id);
  }

  /**
   * Call a function later.
   * @param {number} seconds
   * @param {() => void} callback
   */
  after(seconds, callback) {
    this.clear();
    this.#id = callLater(callback, seconds * 1000);
  }

  /**
   * Call `tick` with the whole seconds left, now and once a second, and `done` at the end.
   * @param {number} until end, as `performance.now()`
   * @param {(seconds: number) => void} tick
   * @param {() => void} done
   */
  countDown(until, tick, done) {
    const left = until - performance.now();
    if (left <= 0) return done();
    tick(Math.ceil(left / 1000));
    this.after((left % 1000 || 1000) / 1000, () => this.countDown(until, tick, done));
  }

  /**
   * Call a function after a silence, or as soon as the wall clock shows that timers were paused.
   * @param {number} until end of the silence, as `performance.now()`
   * @param {(slept: boolean) => void} callback
   */
  awaitSilence(until, callback) {
    const seconds = Math.min(TICK_SECONDS, Math.max(0, until - performance.now()) / 1000);
    const began = Date.now(); // continues while the machine sleeps
    this.after(seconds, () => {
      const slept = Date.now() - began > (seconds + MAX_DELAY_SECONDS) * 1000;
      if (slept || performance.now() >= until) callback(slept);
      else this.awaitSilence(until, callback);
    });
  }
}
