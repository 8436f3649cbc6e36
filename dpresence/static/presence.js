// The client of the Device Presence Channel (docs/protocol.md, section 3), for this service's pages and for anybody else's.
// No dependency, no build step; its parts lie beside it. How to use it: docs/clients.md.

import { Received } from "./presence-received.js";
import { Unopened } from "./presence-refusal.js";
import { LEAST_SECONDS, Retries, afterClose, retryAfter } from "./presence-retry.js";
import { onWaking, sleepMeter } from "./presence-waking.js";

export { afterClose, backoff, retryAfter } from "./presence-retry.js";

/** @typedef {import("./presence-types.js").Status} Status */
/** @typedef {import("./presence-types.js").Notification} Notification */
/** @typedef {import("./presence-types.js").State} State */
/** @typedef {import("./presence-types.js").Tickets} Tickets */
/** @typedef {import("./presence-types.js").Options} Options */

const ANSWER_SECONDS = 15; // to sign in, or to answer; then the connection is taken for dead
const BEAT_SECONDS = 60; // of silence; then the status is repeated, which costs nothing and asks for an answer
const AWAKE_SECONDS = 5; // to answer after the page was asleep, when the connection is likely to be dead
const TICK_SECONDS = 10; // how often the clock is looked at during a silence
const MOST_REFUSED = 3; // assertions in a row
const SIGNED_OUT = 4009;

/** @returns {Tickets} */
function inMemory() {
  let kept = null;
  return { get: () => kept, set: (ticket) => (kept = ticket) };
}

/**
 * One device. It keeps itself connected until it is stopped, or until coming back makes no sense.
 *
 * Events: `state` (detail: State), and `notification` (detail: Notification), which is acknowledged after its listeners
 * have run, unless one called `preventDefault`; then `acknowledge` is to be called.
 */
export class PresenceChannel extends EventTarget {
  /** @type {Options} */
  #options;
  /** @type {Status} */
  #status;
  /** @type {State} */
  #state = { state: "stopped", code: 1000, reason: "not started" };
  /** @type {WebSocket | null} */
  #socket = null;
  #timer = 0; // the only one: what happens next if nothing else does
  #attempt = 0; // what an earlier attempt still brings is void
  /** @type {Tickets} */
  #tickets;
  #retries = new Retries();
  #unopened = new Unopened();
  #refused = 0;
  #checking = false; // whether an answer to a repeated status is waited for
  #received = new Received();
  #sleepOn = () => {}; // ends listening for what wakes a page up

  /** @param {Options} options */
  constructor(options) {
    super();
    this.#options = { url: new URL("../presence", import.meta.url).href.replace(/^http/, "ws"), ...options };
    this.#status = options.status ?? "online";
    this.#tickets = options.tickets ?? inMemory();
  }

  /** How it is. @returns {State} */
  get state() {
    return this.#state;
  }

  /** What this device says of itself. @returns {Status} */
  get status() {
    return this.#status;
  }

  /** Say something else from now on: at once, or when it is connected again. @param {Status} status */
  setStatus(status) {
    this.#status = status;
    this.#update("status"); // also while it signs in: the service takes frames in their order
  }

  /** Connect, and stay connected. */
  start() {
    if (this.#state.state !== "stopped") return;
    this.#retries.reset();
    this.#refused = 0;
    this.#sleepOn = onWaking(() => this.check());
    this.#connect();
  }

  /** End. The device keeps its status for the service's grace; say `offline` before to be gone at once. */
  stop() {
    if (this.#state.state !== "stopped") this.#end(1000, "stopped");
  }

  /** Ask now whether the connection is alive, as after a sleep; while it waits, connect at once if the service permits that. */
  check() {
    if (this.#state.state === "connected" && !this.#checking) this.#beat(AWAKE_SECONDS);
    if (this.#state.state === "waiting" && performance.now() >= this.#retries.notBefore) this.#connect();
  }

  /** Acknowledge notifications that no listener let be acknowledged. @param {...string} ids */
  acknowledge(...ids) {
    this.#received.acknowledge(ids);
    this.#settle();
  }

  // -- connecting

  async #connect() {
    const attempt = this.#leave();
    this.#become({ state: "connecting" });
    this.#after(ANSWER_SECONDS, () => this.#wait("soon", 0, "no answer"));
    const assertion = await this.#proof(attempt);
    if (!assertion || attempt !== this.#attempt) return;
    this.#socket = new WebSocket(this.#options.url);
    this.#socket.onopen = () => this.#opened(attempt, assertion);
    this.#socket.onmessage = ({ data }) => attempt === this.#attempt && this.#receive(JSON.parse(data));
    this.#socket.onclose = () => this.#notOpened(attempt);
  }

  #opened(attempt, assertion) {
    if (attempt !== this.#attempt) return;
    this.#unopened.reset();
    this.#socket.onclose = ({ code, reason }) => attempt === this.#attempt && this.#closed(code, reason);
    this.#update("sign-in", { assertion, device: this.#options.device, ack: true, ticket: true });
  }

  async #notOpened(attempt) {
    if (attempt !== this.#attempt) return;
    const { what, least, reason, errno } = await this.#unopened.failed(this.#options.url);
    if (attempt !== this.#attempt) return;
    if (what === "stop") this.#end(1006, reason, errno);
    else this.#wait(what, least, reason, errno);
  }

  /** Get a proof of who this is, or see to what follows from having none. */
  async #proof(attempt) {
    const ticket = this.#tickets.get();
    if (ticket) return ticket; // until the next one is here: an answer may get lost
    try {
      const assertion = await this.#options.signIn();
      if (assertion === null && attempt === this.#attempt) this.#end(SIGNED_OUT, "signed out");
      return assertion;
    } catch (error) {
      if (attempt === this.#attempt) this.#wait("later", error.retryAfter ?? 0, error.message);
      return null;
    }
  }

  #closed(code, reason) {
    const what = afterClose(code);
    if (what === "renew") this.#tickets.set(null);
    if (what === "stop") this.#end(code, reason);
    else this.#wait(what, retryAfter(reason), reason || "the connection was lost");
  }

  /** Wait for the next attempt, counting the seconds. */
  #wait(what, least, reason, errno) {
    this.#leave();
    this.#count(this.#retries.failed(what, least, performance.now()), { reason, errno });
  }

  #count(until, why) {
    const left = until - performance.now();
    if (left <= 0) return void this.#connect();
    this.#become({ state: "waiting", seconds: Math.ceil(left / 1000), ...why });
    this.#after((left % 1000 || 1000) / 1000, () => this.#count(until, why));
  }

  #leave() {
    clearTimeout(this.#timer);
    this.#checking = false;
    this.#received.answered(false);
    this.#socket?.close(1000);
    this.#socket = null;
    return ++this.#attempt;
  }

  /** Stop. The ticket stays, unless it is of no use: if another connection has this device by a copy of it, showing it tells. */
  #end(code, reason, errno) {
    this.#leave();
    if (code === SIGNED_OUT) this.#tickets.set(null);
    this.#sleepOn();
    this.#become({ state: "stopped", code, reason, errno });
  }

  #become(state) {
    this.#state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }

  #after(seconds, what) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(what, seconds * 1000);
  }

  // -- connected

  #send(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  /** Send the status; the id says what the answer is about. */
  #update(id, fields = {}) {
    this.#send({ email: this.#options.email, status: this.#status, id, ...fields });
  }

  /** Wait for a silence to end: ask after BEAT_SECONDS, or as soon as the clock shows that timers have stood still. */
  #listen(until = performance.now() + BEAT_SECONDS * 1000) {
    const seconds = Math.min(TICK_SECONDS, Math.max(0, until - performance.now()) / 1000);
    const hasSlept = sleepMeter(seconds);
    this.#after(seconds, () => {
      if (hasSlept()) this.#beat(AWAKE_SECONDS);
      else if (performance.now() >= until) this.#beat();
      else this.#listen(until);
    });
  }

  #beat = (seconds = ANSWER_SECONDS) => {
    this.#checking = true;
    this.#update("status");
    this.#settle();
    this.#after(seconds, () => this.#wait("soon", 0, "no answer"));
  };

  #receive(frame) {
    if (frame.ticket) this.#tickets.set(frame.ticket);
    this.#checking = false;
    if (this.#state.state === "connected") this.#listen();
    if (frame.notifications) return this.#take(frame.notifications);
    const accepted = frame.result === "OK";
    if (frame.id === "sign-in") return accepted ? this.#signedIn() : this.#notSignedIn(frame);
    if (frame.id === "ack") this.#settled(accepted);
    if (!accepted) this.#notAccepted(frame);
  }

  #notAccepted({ errno, error, id, retry_after: seconds = LEAST_SECONDS }) {
    if (errno === 130) this.#renew();
    else if (errno === 201) this.#after(seconds, () => this.#beat()); // it will say all of it again
    else if (id === "renewal") this.#closed(4202, error);
    // What is left is 117, "too quickly": the service keeps the status and applies it when the time is up.
  }

  #signedIn() {
    this.#refused = 0;
    this.#retries.connected(performance.now());
    this.#listen();
    this.#become({ state: "connected" });
    this.#settle();
  }

  /** A refusal that may pass leads to another attempt; assertions that are refused again and again, and mistakes, to the end. */
  #notSignedIn({ errno, error, retry_after: least = 0 }) {
    if (errno === 34) this.#tickets.set(null);
    if (errno === 34 && ++this.#refused < MOST_REFUSED) this.#wait("soon", 0, error);
    else if ([117, 201, 999].includes(errno)) this.#wait("later", least, error);
    else this.#end(SIGNED_OUT, error);
  }

  /** The identity has ended: prove it anew, on the same connection. */
  async #renew() {
    const attempt = this.#attempt;
    this.#tickets.set(null);
    const assertion = await this.#proof(attempt);
    if (assertion && attempt === this.#attempt) this.#update("renewal", { assertion, ticket: true });
  }

  // -- notifications

  /** Show what came; a listener that calls `preventDefault` acknowledges it itself. */
  #take(notifications) {
    this.#received.take(notifications, (one) => this.dispatchEvent(new CustomEvent("notification", { detail: one, cancelable: true })));
    this.#settle();
  }

  /** Acknowledge what is owed, one frame at a time. */
  #settle() {
    const ids = this.#state.state === "connected" ? this.#received.next() : [];
    if (ids.length) this.#send({ action: "ack", notifications: ids, id: "ack" });
  }

  #settled(accepted) {
    this.#received.answered(accepted);
    if (accepted) this.#settle();
  }
}
