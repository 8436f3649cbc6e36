// The client of the Device Presence Channel (docs/protocol.md, section 3), for this service's pages and for anybody else's.
// No dependency, no build step. How to use it: docs/clients.md.

/** @typedef {"online" | "unavailable" | "offline"} Status */

/**
 * What an application sent.
 * @typedef {object} Notification
 * @property {string} id
 * @property {string} appid which application
 * @property {string} source what it calls the sender
 * @property {string} message
 * @property {string} action an URL on the application's domain, a word, or ""
 * @property {number} sent milliseconds since the epoch
 */

/**
 * How the channel is. `waiting` comes once a second, with the whole seconds left.
 * @typedef {{state: "connecting"} | {state: "connected"} | {state: "waiting", seconds: number, reason: string}
 *   | {state: "stopped", code: number, reason: string}} State
 */

/**
 * @typedef {object} Options
 * @property {string} email whose device this is
 * @property {() => Promise<string | null>} signIn gives an assertion or a ticket each time one is needed; null when the person is
 *   signed out; throws when it could not find out. An error's `retryAfter` (seconds) is obeyed.
 * @property {string} [device] its name: 1 to 64 of A-Z a-z 0-9 . _ : -
 * @property {Status} [status] to begin with; online when left out
 * @property {string} [url] the channel; that of the service this file came from when left out
 */

const LEAST_SECONDS = 1;
const MOST_SECONDS = 60;
const ANSWER_SECONDS = 15; // to sign in, or to answer; then the connection is taken for dead
const BEAT_SECONDS = 60; // of silence; then the status is repeated, which costs nothing and asks for an answer
const STEADY_SECONDS = 30; // a connection that lasted for so long was a good one
const LATER = 3; // failures that "later" counts for at least
const MOST_REFUSED = 3; // assertions in a row
const MOST_KNOWN = 2000; // ids of notifications

const STOP = new Set([1002, 1003, 1007, 1009]);
const TRY_LATER = new Set([1008, 1011, 1013]);
const SIGNED_OUT = 4009;

/**
 * What a close code asks for (section 7).
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
 * How long the reason of a close frame asks to wait.
 * @param {string} reason
 * @returns {number} seconds, 0 when it does not
 */
export function retryAfter(reason) {
  return Number(/retry_after=(\d+)$/.exec(reason)?.[1] ?? 0);
}

/**
 * How long to wait before the next attempt: full jitter, so that those who were cut off together do not come back together.
 * @param {number} failures in a row so far
 * @param {number} [least] what the service asked for, seconds
 * @param {() => number} [random] from 0 to 1
 * @returns {number} seconds
 */
export function backoff(failures, least = 0, random = Math.random) {
  return least + random() * Math.min(MOST_SECONDS, LEAST_SECONDS * 2 ** failures);
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
  #ticket = null; // for the next connection
  #failures = 0;
  #refused = 0;
  #steadyAt = 0;
  #notBefore = 0;
  #known = new Map(); // id of a notification: whether it may be acknowledged
  #owed = new Set(); // acknowledgements not answered yet
  #asked = []; // those of them that were sent

  /** @param {Options} options */
  constructor(options) {
    super();
    this.#options = { url: new URL("../presence", import.meta.url).href.replace(/^http/, "ws"), ...options };
    this.#status = options.status ?? "online";
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
    this.#failures = this.#refused = 0;
    globalThis.addEventListener?.("online", this.#hurry);
    this.#connect();
  }

  /** End. The device keeps its status for the service's grace; say `offline` before to be gone at once. */
  stop() {
    if (this.#state.state !== "stopped") this.#end(1000, "stopped");
  }

  /** Acknowledge notifications that no listener let be acknowledged. @param {...string} ids */
  acknowledge(...ids) {
    for (const id of ids) {
      this.#known.set(id, true);
      this.#owed.add(id);
    }
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
    this.#socket.onopen = () => this.#update("sign-in", { assertion, device: this.#options.device, ack: true, ticket: true });
    this.#socket.onmessage = ({ data }) => attempt === this.#attempt && this.#receive(JSON.parse(data));
    this.#socket.onclose = ({ code, reason }) => attempt === this.#attempt && this.#closed(code, reason);
  }

  /** Get a proof of who this is, or see to what follows from having none. */
  async #proof(attempt) {
    if (this.#ticket) return this.#ticket; // until the next one is here: an answer may get lost
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
    if (what === "renew") this.#ticket = null;
    if (what === "stop") this.#end(code, reason);
    else this.#wait(what, retryAfter(reason), reason || "the connection was lost");
  }

  /** Wait for the next attempt, counting the seconds. */
  #wait(what, least, reason) {
    this.#leave();
    const now = performance.now();
    const steady = this.#steadyAt !== 0 && now >= this.#steadyAt;
    this.#failures = Math.max(steady ? 0 : this.#failures, what === "later" ? LATER : 0);
    this.#steadyAt = 0;
    this.#notBefore = now + least * 1000;
    this.#count(now + backoff(this.#failures, least) * 1000, reason);
    this.#failures += 1;
  }

  #count(until, reason) {
    const left = until - performance.now();
    if (left <= 0) return void this.#connect();
    this.#become({ state: "waiting", seconds: Math.ceil(left / 1000), reason });
    this.#after((left % 1000 || 1000) / 1000, () => this.#count(until, reason));
  }

  /** The network is back: do not wait any longer than the service asked for, and ask whether the connection has outlived it. */
  #hurry = () => {
    if (this.#state.state === "connected") this.#beat();
    if (this.#state.state === "waiting" && performance.now() >= this.#notBefore) this.#connect();
  };

  #leave() {
    clearTimeout(this.#timer);
    this.#asked = [];
    this.#socket?.close(1000);
    this.#socket = null;
    return ++this.#attempt;
  }

  /** Stop. The ticket stays, unless it is of no use: if another connection has this device by a copy of it, showing it tells. */
  #end(code, reason) {
    this.#leave();
    if (code === SIGNED_OUT) this.#ticket = null;
    globalThis.removeEventListener?.("online", this.#hurry);
    this.#become({ state: "stopped", code, reason });
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

  #beat = () => {
    this.#update("status");
    this.#settle();
    this.#after(ANSWER_SECONDS, () => this.#wait("soon", 0, "no answer"));
  };

  #receive(frame) {
    if (frame.ticket) this.#ticket = frame.ticket;
    if (this.#state.state === "connected") this.#after(BEAT_SECONDS, this.#beat);
    if (frame.notifications) return this.#take(frame.notifications);
    const accepted = frame.result === "OK";
    if (frame.id === "sign-in") return accepted ? this.#signedIn() : this.#notSignedIn(frame);
    if (frame.id === "ack") this.#settled(accepted);
    if (!accepted) this.#notAccepted(frame);
  }

  #notAccepted({ errno, error, id, retry_after: seconds = LEAST_SECONDS }) {
    if (errno === 130) this.#renew();
    else if (errno === 201) this.#after(seconds, this.#beat); // it will say all of it again
    else if (id === "renewal") this.#closed(4202, error);
    // What is left is 117, "too quickly": the service keeps the status and applies it when the time is up.
  }

  #signedIn() {
    this.#refused = 0;
    this.#steadyAt = performance.now() + STEADY_SECONDS * 1000;
    this.#after(BEAT_SECONDS, this.#beat);
    this.#become({ state: "connected" });
    this.#settle();
  }

  /** A refusal that may pass leads to another attempt; assertions that are refused again and again, and mistakes, to the end. */
  #notSignedIn({ errno, error, retry_after: least = 0 }) {
    if (errno === 34) this.#ticket = null;
    if (errno === 34 && ++this.#refused < MOST_REFUSED) this.#wait("soon", 0, error);
    else if ([117, 201, 999].includes(errno)) this.#wait("later", least, error);
    else this.#end(SIGNED_OUT, error);
  }

  /** The identity has ended: prove it anew, on the same connection. */
  async #renew() {
    const attempt = this.#attempt;
    this.#ticket = null;
    const assertion = await this.#proof(attempt);
    if (assertion && attempt === this.#attempt) this.#update("renewal", { assertion, ticket: true });
  }

  // -- notifications

  #take(notifications) {
    for (const one of notifications) {
      if (!this.#known.has(one.id)) this.#known.set(one.id, this.#show(one));
      if (this.#known.get(one.id)) this.#owed.add(one.id); // also when it came again: then the service did not hear
    }
    for (const id of this.#known.keys()) if (this.#known.size > MOST_KNOWN) this.#known.delete(id);
    this.#settle();
  }

  /** Tell the listeners; whether it is to be acknowledged right away. */
  #show(one) {
    return this.dispatchEvent(new CustomEvent("notification", { detail: one, cancelable: true }));
  }

  /** Acknowledge what is owed, one frame at a time; a frame that was refused is repeated with the next one. */
  #settle() {
    if (this.#asked.length || !this.#owed.size || this.#state.state !== "connected") return;
    this.#asked = [...this.#owed].slice(0, MOST_KNOWN);
    this.#send({ action: "ack", notifications: this.#asked, id: "ack" });
  }

  #settled(accepted) {
    if (accepted) for (const id of this.#asked) this.#owed.delete(id);
    this.#asked = [];
    if (accepted) this.#settle();
  }
}
