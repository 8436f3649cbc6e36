// A part of presence.js: decides when a user is away. It has no clock and no timers of its own.

const LOCK_SECONDS = 5; // a lock that is undone within this is not noticed
const SETTLE_SECONDS = 30; // least time between a return and the next absence, so that the status does not flap

/**
 * A user is away after some time without input, or while the screen is locked. Input brings them back at once. All times are those of
 * one clock, in milliseconds.
 */
export class AwayDetector {
  /** True while the user is away. */
  away = false;
  #idleMs;
  #inputAt;
  #lockedAt = Infinity;
  #busy = false;
  #returnedAt = -Infinity;

  /**
   * @param {number} idleSeconds time without input after which a user is away
   * @param {number} now
   */
  constructor(idleSeconds, now) {
    this.#idleMs = idleSeconds * 1000;
    this.#inputAt = now;
  }

  /** Note input. While the screen is locked it is none of the user's. @param {number} now */
  input(now) {
    if (this.#lockedAt < Infinity) return;
    this.#inputAt = Math.max(this.#inputAt, now);
    if (this.away) this.#returnedAt = now;
    this.away = false;
  }

  /** Note whether the screen is locked. An unlock is input. @param {boolean} locked @param {number} now */
  setLocked(locked, now) {
    if (locked === this.#lockedAt < Infinity) return;
    this.#lockedAt = locked ? now : Infinity;
    if (!locked) this.input(now);
  }

  /**
   * Note what the system says: it sees input outside of the page, and tells only when that begins and when the time without it is over.
   * @param {boolean} busy
   * @param {number} now
   */
  setBusy(busy, now) {
    this.#busy = busy;
    if (busy) this.input(now);
    else this.#inputAt = Math.min(this.#inputAt, now - this.#idleMs);
  }

  /** Time at which the user will be away unless something happens; Infinity if they are. */
  get dueAt() {
    if (this.away) return Infinity;
    const idleAt = Math.min(this.#busy ? Infinity : this.#inputAt + this.#idleMs, this.#lockedAt + LOCK_SECONDS * 1000);
    return Math.max(idleAt, this.#returnedAt + SETTLE_SECONDS * 1000);
  }

  /** Return whether the user is away now. @param {number} now */
  check(now) {
    this.away ||= now >= this.dueAt;
    return this.away;
  }
}
