// Client of the device channel (docs/protocol.md, section 3), for the pages of this service and of any other origin.
// It needs no build step and no dependencies except its own parts, presence-*.js. docs/clients.md describes how to use it.

import { Acknowledgements } from "./presence-acknowledgements.js";
import { FailedAttempts } from "./presence-diagnosis.js";
import { onResume } from "./presence-resume.js";
import { LEAST_SECONDS, RetrySchedule, afterClose, retryAfter } from "./presence-retry.js";
import { Timer } from "./presence-timer.js";

export { afterClose, backoff, retryAfter } from "./presence-retry.js";

/** @typedef {import("./presence-types.js").Status} Status */
/** @typedef {import("./presence-types.js").Notification} Notification */
/** @typedef {import("./presence-types.js").State} State */
/** @typedef {import("./presence-types.js").Tickets} Tickets */
/** @typedef {import("./presence-types.js").Options} Options */
/** @typedef {import("./presence-types.js").Frame} Frame */
/** @typedef {Exclude<import("./presence-retry.js").AfterClose, "stop">} Retry */

const ANSWER_SECONDS = 15; // limit for a sign-in and for an answer; then the connection is treated as dead
const SILENCE_SECONDS = 60; // after this silence the status is repeated, which changes nothing but is answered
const RESUMED_SECONDS = 5; // limit for an answer after the page was asleep, when the connection is likely to be dead
const MAX_REFUSED = 3; // assertions in a row
const SIGNED_OUT = 4009;

/** @returns {Tickets} */
function ticketInMemory() {
  /** @type {string | null} */
  let stored = null;
  return { get: () => stored, set: (ticket) => void (stored = ticket) };
}

/**
 * The channel of one device. It reconnects until it is stopped, or until the service refuses it permanently.
 *
 * Events: `state` (detail: State), and `notification` (detail: Notification), which is acknowledged after its listeners have run. A
 * listener that calls `preventDefault` must call `acknowledge` later.
 */
export class PresenceChannel extends EventTarget {
  /** @type {Options & {url: string}} */
  #options;
  /** @type {Status} */
  #status;
  /** @type {State} */
  #state = { state: "stopped", code: 1000, reason: "not started" };
  /** @type {WebSocket | null} */
  #socket = null;
  #timer = new Timer(); // the next step unless an event comes first
  #attempt = 0; // results of an earlier attempt are ignored
  /** @type {Tickets} */
  #tickets;
  #retries = new RetrySchedule();
  #failedAttempts = new FailedAttempts();
  #refused = 0;
  #checking = false; // a repeated status has no answer yet
  #acknowledgements = new Acknowledgements();
  #ignoreResume = () => {};

  /** @param {Options} options */
  constructor(options) {
    super();
    this.#options = { url: new URL("../presence", import.meta.url).href.replace(/^http/, "ws"), ...options };
    this.#status = options.status ?? "online";
    this.#tickets = options.tickets ?? ticketInMemory();
  }

  /** @returns {State} */
  get state() {
    return this.#state;
  }

  /** The status that this device has set. @returns {Status} */
  get status() {
    return this.#status;
  }

  /** Set the status: at once, or with the next connection. @param {Status} status */
  setStatus(status) {
    this.#status = status;
    this.#update("status"); // also during the sign-in: the service processes frames in order
  }

  /** Connect, and reconnect when the connection is lost. */
  start() {
    if (this.#state.state !== "stopped") return;
    this.#retries.reset();
    this.#refused = 0;
    this.#ignoreResume = onResume(() => this.check());
    this.#connect();
  }

  /** Disconnect. The device keeps its status for the grace of the service, unless the status was set to `offline` before. */
  stop() {
    if (this.#state.state !== "stopped") this.#stop(1000, "stopped");
  }

  /** Check now whether the connection is alive, as after a sleep; during a wait, connect at once if the service permits it. */
  check() {
    if (this.#state.state === "connected" && !this.#checking) this.#repeatStatus(RESUMED_SECONDS);
    if (this.#state.state === "waiting" && performance.now() >= this.#retries.notBefore) this.#connect();
  }

  /** Acknowledge notifications whose listener called `preventDefault`. @param {...string} ids */
  acknowledge(...ids) {
    this.#acknowledgements.permit(ids);
    this.#acknowledge();
  }

  // Connecting

  async #connect() {
    const attempt = this.#disconnect();
    this.#setState({ state: "connecting" });
    this.#timer.after(ANSWER_SECONDS, () => this.#wait("soon", 0, "no answer"));
    const assertion = await this.#getAssertion(attempt);
    if (!assertion || attempt !== this.#attempt) return;
    const socket = new WebSocket(this.#options.url);
    this.#socket = socket;
    socket.onopen = () => attempt === this.#attempt && this.#opened(socket, attempt, assertion);
    socket.onmessage = ({ data }) => attempt === this.#attempt && this.#receive(JSON.parse(data));
    socket.onclose = () => this.#notOpened(attempt);
  }

  /** @param {WebSocket} socket @param {number} attempt @param {string} assertion */
  #opened(socket, attempt, assertion) {
    this.#failedAttempts.reset();
    socket.onclose = ({ code, reason }) => attempt === this.#attempt && this.#closed(code, reason);
    this.#update("sign-in", { assertion, device: this.#options.device, ack: true, ticket: true });
  }

  /** @param {number} attempt */
  async #notOpened(attempt) {
    if (attempt !== this.#attempt) return;
    const { what, least, reason, errno } = await this.#failedAttempts.add(this.#options.url);
    if (attempt !== this.#attempt) return;
    if (what === "stop") this.#stop(1006, reason, errno);
    else this.#wait(what, least, reason, errno);
  }

  /**
   * Return a ticket or an assertion; without one, stop or wait, and return null.
   * @param {number} attempt
   * @returns {Promise<string | null>}
   */
  async #getAssertion(attempt) {
    const ticket = this.#tickets.get();
    if (ticket) return ticket; // until the next one has arrived: an answer may get lost
    try {
      const assertion = await this.#options.signIn();
      if (assertion === null && attempt === this.#attempt) this.#stop(SIGNED_OUT, "signed out");
      return assertion;
    } catch (caught) {
      const error = /** @type {Error & {retryAfter?: number}} */ (caught);
      if (attempt === this.#attempt) this.#wait("later", error.retryAfter ?? 0, error.message);
      return null;
    }
  }

  /** @param {number} code @param {string} reason */
  #closed(code, reason) {
    const what = afterClose(code);
    if (what === "renew") this.#tickets.set(null);
    if (what === "stop") this.#stop(code, reason);
    else this.#wait(what, retryAfter(reason), reason || "the connection was lost");
  }

  /**
   * Disconnect and wait for the next attempt.
   * @param {Retry} what
   * @param {number} least seconds that the service demands
   * @param {string} reason @param {number} [errno]
   */
  #wait(what, least, reason, errno) {
    this.#disconnect();
    const until = this.#retries.failed(what, least, performance.now());
    this.#timer.countDown(until, (seconds) => this.#setState({ state: "waiting", seconds, reason, errno }), () => this.#connect());
  }

  /** Close the connection; return the number of the next attempt. */
  #disconnect() {
    this.#timer.clear();
    this.#checking = false;
    this.#acknowledgements.answered(false);
    this.#socket?.close(1000);
    this.#socket = null;
    return ++this.#attempt;
  }

  /**
   * Stop. A ticket that may be valid is kept: if another connection took the device over with a copy of it, the service detects that
   * when this device presents it again.
   * @param {number} code @param {string} reason @param {number} [errno]
   */
  #stop(code, reason, errno) {
    this.#disconnect();
    if (code === SIGNED_OUT) this.#tickets.set(null);
    this.#ignoreResume();
    this.#setState({ state: "stopped", code, reason, errno });
  }

  /** @param {State} state */
  #setState(state) {
    this.#state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }

  // Connected

  /** @param {object} frame */
  #send(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  /** Send the status; its answer has the id. @param {string} id @param {object} [fields] */
  #update(id, fields = {}) {
    this.#send({ email: this.#options.email, status: this.#status, id, ...fields });
  }

  /** Repeat the status after a silence. */
  #awaitFrame() {
    const until = performance.now() + SILENCE_SECONDS * 1000;
    this.#timer.awaitSilence(until, (slept) => this.#repeatStatus(slept ? RESUMED_SECONDS : ANSWER_SECONDS));
  }

  /** Send the status again, and reconnect if no answer arrives in time. */
  #repeatStatus(seconds = ANSWER_SECONDS) {
    this.#checking = true;
    this.#update("status");
    this.#acknowledge();
    this.#timer.after(seconds, () => this.#wait("soon", 0, "no answer"));
  }

  /** @param {Frame} frame */
  #receive(frame) {
    if (frame.ticket) this.#tickets.set(frame.ticket);
    this.#checking = false;
    if (this.#state.state === "connected") this.#awaitFrame();
    if (frame.notifications) return this.#notify(frame.notifications);
    const accepted = frame.result === "OK";
    if (frame.id === "sign-in") return accepted ? this.#signedIn() : this.#signInRefused(frame);
    if (frame.id === "ack") this.#acknowledged(accepted);
    if (!accepted) this.#refusedFrame(frame);
  }

  /** @param {Frame} frame */
  #refusedFrame({ errno, error = "", id, retry_after: seconds = LEAST_SECONDS }) {
    if (errno === 130) this.#renew();
    else if (errno === 201) this.#timer.after(seconds, () => this.#repeatStatus()); // a repetition has everything that was refused
    else if (id === "renewal") this.#closed(4202, error);
    // After 117, "too quickly", the service applies the status by itself when the time is over.
  }

  #signedIn() {
    this.#refused = 0;
    this.#retries.connected(performance.now());
    this.#awaitFrame();
    this.#setState({ state: "connected" });
    this.#acknowledge();
  }

  /** Try again after a transient refusal; stop after a permanent one or MAX_REFUSED refused assertions. @param {Frame} frame */
  #signInRefused({ errno = 0, error = "", retry_after: least = 0 }) {
    if (errno === 34) this.#tickets.set(null);
    if (errno === 34 && ++this.#refused < MAX_REFUSED) this.#wait("soon", 0, error);
    else if ([117, 201, 999].includes(errno)) this.#wait("later", least, error);
    else this.#stop(SIGNED_OUT, error);
  }

  /** Sign in again on the same connection, after the sign-in has expired. */
  async #renew() {
    const attempt = this.#attempt;
    this.#tickets.set(null);
    const assertion = await this.#getAssertion(attempt);
    if (assertion && attempt === this.#attempt) this.#update("renewal", { assertion, ticket: true });
  }

  // Notifications

  /** Dispatch the events of notifications and acknowledge them. @param {Notification[]} notifications */
  #notify(notifications) {
    const show = (/** @type {Notification} */ one) => this.dispatchEvent(new CustomEvent("notification", { detail: one, cancelable: true }));
    this.#acknowledgements.add(notifications, show);
    this.#acknowledge();
  }

  /** Send the pending acknowledgements, one frame at a time. */
  #acknowledge() {
    const ids = this.#state.state === "connected" ? this.#acknowledgements.next() : [];
    if (ids.length) this.#send({ action: "ack", notifications: ids, id: "ack" });
  }

  /** @param {boolean} accepted */
  #acknowledged(accepted) {
    this.#acknowledgements.answered(accepted);
    if (accepted) this.#acknowledge();
  }
}
