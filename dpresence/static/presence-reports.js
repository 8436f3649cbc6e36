// A part of presence.js: what a device tells the service beside its own status, in frames of their own: which notifications it has, which were
// shown, opened and read, and the status of the whole person.

import { Acknowledgements } from "./presence-acknowledgements.js";
import { Override } from "./presence-override.js";

const TRANSIENT = [117, 130, 201, 999]; // errnos after which a refused frame is sent again
const ENDED = 130;
const RECEIPTS = /** @type {const} */ (["ack", "read", "shown", "opened"]);

/** The frames with the ids `ack`, `read`, `shown`, `opened` and `override`. One of each waits for an answer at a time. */
export class Reports {
  ack = new Acknowledgements();
  read = new Acknowledgements();
  shown = new Acknowledgements();
  opened = new Acknowledgements();
  override = new Override();

  /** True if a frame has no answer yet. */
  get isSent() {
    return this.override.isSent || RECEIPTS.some((action) => this[action].isSent);
  }

  /** Time (milliseconds) from which there is something to send; Infinity without anything. */
  get dueAt() {
    return Math.min(this.override.dueAt, ...RECEIPTS.map((action) => this[action].dueAt));
  }

  /**
   * Return the frames to send.
   * @param {number} now milliseconds
   * @param {string} email of the user
   * @param {boolean} renewing the device signs in again
   */
  frames(now, email, renewing) {
    const override = renewing ? null : this.override.next(now);
    const receipts = RECEIPTS.map((action) => ({ action, notifications: this[action].next(now), id: action }));
    return [...(override ? [{ email, ...override, id: "override" }] : []), ...receipts.filter(({ notifications }) => notifications.length)];
  }

  /**
   * Process an answer; return whether it is one to these frames.
   * @param {string | undefined} id of the frame
   * @param {number} errno 0 if it was accepted
   * @param {number} retryAt time (milliseconds) from which a refused frame may be sent again
   */
  answered(id, errno, retryAt) {
    const receipt = RECEIPTS.find((action) => action === id);
    if (receipt) this[receipt].answered(!TRANSIENT.includes(errno), errno && retryAt);
    else if (id === "override") this.override.answered(errno, errno === ENDED ? 0 : retryAt);
    else return false;
    return true;
  }

  /** Note that the connection has ended: what has no answer is sent again. */
  lost() {
    for (const action of RECEIPTS) this[action].answered(false);
    this.override.ended();
  }
}
