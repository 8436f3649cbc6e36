// The core of an application's client: signs in, follows the updates, sends notifications (docs/protocol.md, section 5). It does no I/O
// and reads no clock: the shell passes events with the time (milliseconds), and carries out the outputs that `take` returns, in order.

import { RetrySchedule, afterClose, retryAfter } from "./device/presence-retry.js";
import { ClientStopped, Closed, OutcomeUnknown, ProtocolError, Refused } from "./errors.js";
import { results, toBatch, toObject, toOutcomes } from "./app-frames.js";
import { NO_UPGRADE } from "./handshake.js";

/** @typedef {import("./errors.js").PresenceError} PresenceError */
/** @typedef {import("./table.js").Batch} Batch */
/** @typedef {import("./table.js").Update} Update */
/** @typedef {import("./app-frames.js").Result} Result */
/** @typedef {Exclude<import("./device/presence-retry.js").AfterClose, "stop">} Retry */
/** @typedef {{status: number, errno?: number, error?: string, retry_after?: number}} HandshakeAnswer `retry_after` is in seconds */
/** @typedef {"idle" | "connecting" | "signing in" | "connected" | "waiting" | "stopped"} Phase */
/**
 * @typedef {{type: "connect"} | {type: "connected"} | {type: "waiting"} | {type: "disconnect", code: number}
 *   | {type: "send", frame: object} | {type: "deliver", batch: Batch}
 *   | {type: "outcomes", batch: import("./app-frames.js").OutcomeBatch}
 *   | {type: "answer", number: number, results: Result[] | PresenceError}
 *   | {type: "stopped", error: PresenceError | null}} Output `stopped` without an error: by the program
 */

export const ANSWER_SECONDS = 15; // limit for opening the websocket, the sign-in and a ping; then the connection is treated as dead
const SILENT_SECONDS = 60; // then a ping finds out whether the connection still exists
const TRANSIENT = new Set([117, 201, 999, 122]); // of a sign-in; 122: too many channels of this application, of which another may end
const TRANSIENT_HTTP = new Set([408, 425, 429]);
const LOST = "the connection ended before the answer: the notifications may have been accepted or not";

/** One channel of an application over all its connections. */
export class AppCore {
  /** @type {Phase} */
  phase = "idle";
  /** Why the client waits or has stopped; "" otherwise. */
  reason = "";
  /** Time of the next `tick`; Infinity without one. */
  deadline = Infinity;
  #key;
  /** @type {string | null} */
  #cursor = null;
  /** @type {string | null} */
  #outcomes = null;
  #retries = new RetrySchedule();
  /** @type {Output[]} */
  #outputs = [];
  /** @type {string | null} where an incomplete snapshot continues */
  #resume = null;
  /** The next frame of a snapshot is the first one of this connection. */
  #begins = false;
  /** @type {Update[]} of an incomplete snapshot, which another connection may continue */
  #pages = [];
  #number = 0;
  /** @type {Map<number, object[]>} notifications of the requests without an answer */
  #requests = new Map();
  /** @type {Set<number>} those of them that were sent on this connection */
  #sent = new Set();
  /** @type {PresenceError | null} */
  #error = null;
  #replaying = false;
  #pinged = false; // a ping has no answer yet

  /** @param {string} key API key */
  constructor(key) {
    this.#key = key;
  }

  /** Continue after a stored cursor. @param {string} cursor */
  restore(cursor) {
    this.#cursor = cursor;
  }

  /** Ask for the outcomes of notifications. @param {string} cursor of the last ones; "" for all that are stored */
  follow(cursor) {
    this.#outcomes = cursor;
  }

  /** Return the new outputs, in order. */
  take() {
    const outputs = this.#outputs;
    this.#outputs = [];
    return outputs;
  }

  // Events

  /** Begin to connect. @param {number} now */
  start(now) {
    if (this.phase === "idle") this.#connect(now);
  }

  /** Disconnect and stop for good. @param {PresenceError | null} [error] the cause; null if the program stops the client */
  stop(error = null) {
    if (this.phase === "stopped") return;
    this.#endConnection(1000);
    this.phase = "stopped";
    this.deadline = Infinity;
    this.reason = error?.message ?? "";
    this.#error = error;
    for (const number of this.#requests.keys()) this.#answer(number, error ?? new ClientStopped());
    this.#put({ type: "stopped", error });
  }

  /** Handle an open websocket. @param {number} now */
  opened(now) {
    if (this.phase !== "connecting") return;
    this.phase = "signing in";
    this.deadline = now + ANSWER_SECONDS * 1000;
    const continued = this.#resume ?? this.#cursor;
    const since = { ...(continued !== null && { since: continued }), ...(this.#outcomes !== null && { outcomes: this.#outcomes }) };
    this.#put({ type: "send", frame: { action: "auth", key: this.#key, id: "auth", ...since } });
  }

  /** Handle a message. Unknown fields and unknown frames are ignored. @param {unknown} data @param {number} now */
  received(data, now) {
    if (!this.#isOpen()) return;
    try {
      this.#frame(toObject(data), now);
      if (this.phase === "connected") this.deadline = now + (this.#pinged ? ANSWER_SECONDS : SILENT_SECONDS) * 1000;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#wait("later", 0, error.message, now, 1002);
    }
  }

  /** Handle the end of the connection; 1006 without a close frame. @param {number} code @param {string} reason @param {number} now */
  closed(code, reason, now) {
    if (this.phase !== "connecting" && !this.#isOpen()) return;
    this.#connectionEnded();
    this.phase = "idle"; // there is no connection that would have to be closed
    const retry = afterClose(code);
    if (retry === "stop") this.stop(new Closed(code, reason));
    else this.#wait(retry, retryAfter(reason), reason || `the connection ended (${code})`, now);
  }

  /** Handle an HTTP answer to the handshake other than 101. @param {HandshakeAnswer} answer @param {number} now */
  refused(answer, now) {
    if (this.phase !== "connecting") return;
    const { status, errno, retry_after: least = 0 } = answer;
    this.phase = "idle";
    const error = new Refused(errno ? answer : { error: `the handshake was answered with HTTP ${status}` }, status);
    if (errno === NO_UPGRADE) this.#connect(now); // without a websocket
    else if (status >= 500 || TRANSIENT_HTTP.has(status)) this.#wait(errno && least ? "slot" : "later", least, error.message, now);
    else this.stop(error);
  }

  /** Handle the time. @param {number} now */
  tick(now) {
    if (now < this.deadline) return;
    if (this.phase === "waiting") this.#connect(now);
    else if (this.phase === "connected" && !this.#pinged) this.#ping(now);
    else this.#wait("soon", 0, "no answer", now);
  }

  // Notifications

  /** Send 1 to 100 notifications, now or once signed in; return the number that the answer will have. @param {object[]} notifications */
  notify(notifications) {
    const number = ++this.#number;
    this.#requests.set(number, notifications);
    if (this.phase === "stopped") this.#answer(number, this.#error ?? new ClientStopped());
    else if (this.phase === "connected") this.#sendRequest(number);
    return number;
  }

  /** Expect no answer to a request any more, and send it no more; return whether it was sent. @param {number} number */
  abandon(number) {
    this.#requests.delete(number);
    return this.#sent.delete(number);
  }

  /** @param {number} number */
  #sendRequest(number) {
    this.#sent.add(number);
    this.#put({ type: "send", frame: { action: "notify", id: number, notifications: this.#requests.get(number) } });
  }

  /** @param {number} number @param {Result[] | PresenceError} found */
  #answer(number, found) {
    this.#requests.delete(number);
    this.#sent.delete(number);
    this.#put({ type: "answer", number, results: found });
  }

  // Frames

  /** @param {Record<string, any>} frame @param {number} now */
  #frame(frame, now) {
    if ("updates" in frame) this.#deliver(toBatch(frame.updates, frame.cursor, this.#replaying ? "replay" : "update"));
    else if ("snapshot" in frame) this.#snapshot(frame);
    else if ("outcomes" in frame) this.#deliverOutcomes(toOutcomes(frame));
    else if (frame.id === "auth") this.#authenticated(frame, now);
    else if (frame.id === "ping") this.#ponged();
    else if (this.#requests.has(frame.id)) this.#answered(frame);
  }

  /** @param {Record<string, any>} frame */
  #snapshot({ snapshot, last, cursor, resume, continued }) {
    if (this.#begins && continued !== true) this.#pages = [];
    this.#begins = false;
    const batch = toBatch(snapshot, last ? cursor : "", "snapshot");
    this.#pages.push(...batch.updates);
    this.#resume = !last && typeof resume === "string" ? resume : null; // an older service has none
    if (!last) return;
    this.#deliver({ ...batch, updates: this.#pages, current: true });
    this.#pages = [];
  }

  /** @param {Batch} batch */
  #deliver(batch) {
    this.#cursor = batch.cursor;
    this.#put({ type: "deliver", batch });
  }

  /** @param {import("./app-frames.js").OutcomeBatch} batch */
  #deliverOutcomes(batch) {
    this.#outcomes = batch.cursor;
    this.#put({ type: "outcomes", batch });
  }

  /** @param {Record<string, any>} frame @param {number} now */
  #authenticated(frame, now) {
    if (frame.result !== "OK") {
      const error = new Refused(frame);
      if (TRANSIENT.has(error.errno)) this.#wait("later", error.retryAfter, error.message, now);
      else this.stop(error);
      return;
    }
    this.phase = "connected";
    this.#begins = true;
    this.reason = "";
    this.#retries.connected(now);
    this.#put({ type: "connected" });
    this.#replaying = frame.recovery === "replayed";
    if (this.#replaying) this.#ping(now); // its answer comes after what was missed
    for (const number of this.#requests.keys()) this.#sendRequest(number);
  }

  /** @param {number} now */
  #ping(now) {
    this.#pinged = true;
    this.deadline = now + ANSWER_SECONDS * 1000;
    this.#put({ type: "send", frame: { action: "ping", id: "ping" } });
  }

  /** Handle the answer to a ping, also that of an older service, which refuses it: it comes after everything that was missed. */
  #ponged() {
    this.#pinged = false;
    if (this.#replaying && this.#cursor !== null) this.#deliver({ updates: [], cursor: this.#cursor, origin: "replay", current: true });
    this.#replaying = false;
  }

  /** @param {Record<string, any>} frame */
  #answered(frame) {
    const asked = this.#requests.get(frame.id)?.length ?? 0;
    this.#answer(frame.id, frame.result === "OK" ? results(frame.notifications, asked) : new Refused(frame));
  }

  // Connections

  #isOpen() {
    return this.phase === "signing in" || this.phase === "connected";
  }

  /** @param {number} now */
  #connect(now) {
    this.phase = "connecting";
    this.deadline = now + ANSWER_SECONDS * 1000;
    this.#put({ type: "connect" });
  }

  /** @param {Retry} retry @param {number} least seconds @param {string} reason @param {number} now @param {number} [code] */
  #wait(retry, least, reason, now, code = 1000) {
    this.#endConnection(code);
    this.phase = "waiting";
    this.reason = reason;
    this.deadline = this.#retries.failed(retry, least, now);
    this.#put({ type: "waiting" });
  }

  /** @param {number} code */
  #endConnection(code) {
    const open = this.#isOpen();
    if (open) this.#connectionEnded();
    if (open || this.phase === "connecting") this.#put({ type: "disconnect", code });
  }

  #connectionEnded() {
    this.#replaying = this.#pinged = false;
    for (const number of this.#sent) this.#answer(number, new OutcomeUnknown(LOST));
  }

  /** @param {Output} output */
  #put(output) {
    this.#outputs.push(output);
  }
}
