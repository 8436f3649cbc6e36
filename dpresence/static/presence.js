// Client of the device channel (docs/protocol.md, section 3), for the pages of this service and of any other origin.
// It needs no build step and no dependencies except its own parts, presence-*.js. docs/clients.md describes how to use it.

import { Credentials } from "./presence-credentials.js";
import { FailedAttempts } from "./presence-diagnosis.js";
import { ChannelEventTarget } from "./presence-events.js";
import { toFrame } from "./presence-frames.js";
import { Reports } from "./presence-reports.js";
import { onResume } from "./presence-resume.js";
import { LEAST_SECONDS, RetrySchedule, afterClose, retryAfter } from "./presence-retry.js";
import { DeviceStatus } from "./presence-status.js";
import { Timer } from "./presence-timer.js";
import { STOPPED, Transport } from "./presence-transport.js";

export { requestPermission, watchActivity } from "./presence-activity.js";
export { AwayDetector } from "./presence-away.js";
export { afterClose, backoff, retryAfter } from "./presence-retry.js";

/** @import { Frame, Notification, Options, State, Status } from "./presence-types.js" */
const ANSWER_SECONDS = 15; // limit for a sign-in and for an answer; then the connection is treated as dead
const SILENCE_SECONDS = 60; // after this silence the status is repeated, which changes nothing but is answered
const RESUMED_SECONDS = 5; // limit for an answer after the page was asleep, when the connection is likely to be dead
const SIGNED_OUT = 4009, BAD_FRAME = 4000; // close codes; the second is this client's, as programs in a browser cannot send 1002
const TRANSIENT = [117, 201, 999], REPEATED = [...TRANSIENT, 130]; // errnos; after REPEATED, what was refused is sent again

/**
 * The channel of one device. It reconnects until it is stopped, or until the service refuses it permanently.
 *
 * Events: `state` (detail: State); `notification` (detail: Notification), which is acknowledged after its listeners have run, unless one
 * calls `preventDefault` and later `acknowledge`; with the option `inbox` also `unread` (detail: number of unread notifications); with
 * `clears` also `cleared` (detail: ids of notifications that were read, deleted, cancelled or replaced and need not be shown any more).
 */
export class PresenceChannel extends ChannelEventTarget {
  /** @type {Options & {url: string}} */
  #options;
  #status;
  /** @type {State} */
  #state = { state: "stopped", code: 1000, reason: "not started" };
  /** @type {WebSocket | null} */
  #socket = null;
  #timer = new Timer(); // the next step unless an event comes first
  #attempt = 0; // results of an earlier attempt are ignored
  #credentials;
  #retries = new RetrySchedule();
  #failedAttempts = new FailedAttempts();
  #transport = new Transport();
  #renewing = false;
  #answerBy = Infinity; // time at which a connection without the answers that it owes is treated as dead
  #reports = new Reports();
  #ignoreResume = () => {};

  /** @param {Options} options */
  constructor(options) {
    super();
    this.#options = { url: new URL("../presence", import.meta.url).href.replace(/^http/, "ws"), ...options };
    this.#status = new DeviceStatus(options.status ?? "online");
    this.#credentials = new Credentials(options);
  }

  /** @returns {State} */
  get state() { return this.#state; }

  /** The status that this device has set. @returns {Status} */
  get status() { return this.#status.chosen; }

  /** Set the status: at once, when the service permits it, or with the next connection. @param {Status} status */
  setStatus(status) { this.#status.chosen = status; this.#proceed(); }

  /** Have `online` look `unavailable` while the user is away (`watchActivity`). @param {boolean} away */
  setAway(away) { this.#status.away = away; this.#proceed(); }

  /** Set a status of the whole person, above all devices; null ends it. @param {Status | null} status @param {number} [until] milliseconds */
  setOverride(status, until) { this.#reports.override.set(status, until); this.#proceed(); }

  /** Connect, and reconnect when the connection is lost. */
  start() {
    if (this.#state.state !== "stopped") return;
    this.#retries.reset();
    this.#credentials.accepted();
    this.#ignoreResume = onResume(() => this.check());
    this.#connect();
  }

  /** Disconnect. The device keeps its status for the grace of the service, unless the status was set to `offline` before. */
  stop() {
    if (this.#status.offlineWaits) this.#update("status");
    if (this.#state.state !== "stopped") this.#stop(1000, STOPPED);
  }

  /** Check now whether the connection is alive, as after a sleep; during a wait, connect at once if the service permits it. */
  check() {
    if (this.#state.state === "connected") this.#check(RESUMED_SECONDS);
    if (this.#state.state === "waiting" && performance.now() >= this.#retries.notBefore) this.#connect();
  }

  /** Acknowledge notifications whose listener called `preventDefault`. @param {...string} ids */
  acknowledge(...ids) { this.report("ack", ...ids); }

  /** Mark notifications as read on all devices of the user. @param {...string} ids */
  markRead(...ids) { this.report("read", ...ids); }

  /** Say that notifications were `shown`, or `opened` by the user, for senders that follow them. @param {import("./presence-types.js").Receipt} action @param {...string} ids */
  report(action, ...ids) { this.#reports[action].permit(ids); this.#proceed(); }

  /** Have notifications shown again when the service repeats them; their listener called `preventDefault` and failed. @param {...string} ids */
  failed(...ids) { this.#reports.ack.forget(ids); }

  async #connect() {
    const attempt = this.#disconnect();
    this.#setState({ state: "connecting" });
    const assertion = await this.#getAssertion(attempt);
    if (!assertion || attempt !== this.#attempt) return;
    this.#expectAnswer(ANSWER_SECONDS);
    const socket = await this.#transport.open(this.#options.url);
    if (attempt !== this.#attempt) return socket.close();
    this.#socket = socket;
    socket.onopen = () => attempt === this.#attempt && this.#opened(socket, attempt, assertion);
    socket.onmessage = ({ data }) => attempt === this.#attempt && this.#received(data);
    socket.onclose = () => this.#notOpened(attempt);
  }

  /** Wait for an answer. @param {number} seconds */
  #expectAnswer(seconds) { this.#timer.after(seconds, () => this.#wait("soon", 0, "no answer")); }

  /** @param {WebSocket} socket @param {number} attempt @param {string} assertion */
  #opened(socket, attempt, assertion) {
    this.#failedAttempts.reset();
    this.#transport.opened();
    this.#expectAnswer(ANSWER_SECONDS);
    socket.onclose = ({ code, reason }) => attempt === this.#attempt && this.#closed(code, reason);
    const { device, inbox, clears, label, kind } = this.#options;
    this.#update("sign-in", { assertion, device, ack: true, inbox, clears, label, kind, ticket: true });
  }

  /** @param {number} attempt */
  async #notOpened(attempt) {
    if (attempt !== this.#attempt) return;
    const { what, least, reason, errno } = await this.#failedAttempts.add(this.#options.url);
    if (attempt !== this.#attempt) return;
    if (what === "stop") this.#stop(1006, reason, errno);
    else if (this.#transport.fallsBack(errno)) this.#connect();
    else this.#wait(what, least, reason, errno);
  }

  /** Return a ticket or an assertion; without one, stop or wait, and return null. @param {number} attempt */
  async #getAssertion(attempt) {
    try {
      const assertion = await this.#credentials.get();
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
    if (what === "renew" || code === SIGNED_OUT) this.#credentials.keep(null);
    if (what === "stop") this.#stop(code, reason);
    else this.#wait(what, retryAfter(reason), reason || "the connection was lost");
  }

  /**
   * Disconnect and wait for the next attempt.
   * @param {Exclude<import("./presence-retry.js").AfterClose, "stop">} what
   * @param {number} least seconds that the service demands
   * @param {string} reason @param {number} [errno] @param {number} [code] close code
   */
  #wait(what, least, reason, errno, code) {
    this.#disconnect(code);
    const until = this.#retries.failed(what, least, performance.now());
    this.#timer.countDown(until, (seconds) => this.#setState({ state: "waiting", seconds, reason, errno }), () => this.#connect());
  }

  /** Close the connection; return the number of the next attempt. @param {number} [code] @param {string} [reason] */
  #disconnect(code = 1000, reason = "") {
    this.#timer.clear();
    this.#renewing = false;
    this.#answerBy = Infinity;
    this.#status.ended();
    this.#reports.lost();
    this.#socket?.close(code, reason);
    this.#socket = null;
    return ++this.#attempt;
  }

  /**
   * Stop. A ticket that may be valid is kept: if another connection took the device over with a copy of it, the service detects that
   * when this device presents it again.
   * @param {number} code @param {string} reason @param {number} [errno]
   */
  #stop(code, reason, errno) {
    this.#disconnect(1000, reason === STOPPED ? reason : "");
    this.#ignoreResume();
    this.#setState({ state: "stopped", code, reason, errno });
  }

  /** @param {State} state */
  #setState(state) {
    this.dispatchEvent(new CustomEvent("state", { detail: (this.#state = state) }));
  }

  /** @param {object} frame */
  #send(frame) { if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame)); }

  /** Send the status; its answer has the id. @param {string} id @param {object} [fields] */
  #update(id, fields = {}) {
    this.#send({ email: this.#options.email, status: this.#status.send(), id, ...fields });
  }

  /** Send what is due, and set the timer for what comes next. */
  #proceed() {
    if (this.#state.state !== "connected") return;
    const now = performance.now();
    if (this.#status.dueAt <= now && !this.#renewing) this.#update("status");
    for (const frame of this.#reports.frames(now, this.#options.email, this.#renewing)) this.#send(frame);
    this.#setTimer(now);
  }

  /** @param {number} now */
  #setTimer(now) {
    const awaitsAnswer = this.#status.isSent || this.#reports.isSent;
    if (!awaitsAnswer) this.#answerBy = Infinity;
    else if (this.#answerBy === Infinity) this.#answerBy = now + ANSWER_SECONDS * 1000;
    const dueAt = Math.min(this.#status.dueAt, this.#reports.dueAt);
    if (awaitsAnswer) this.#expectAnswer((this.#answerBy - now) / 1000);
    else if (dueAt < Infinity && !this.#renewing) this.#timer.after((dueAt - now) / 1000, () => this.#proceed());
    else this.#timer.awaitSilence(now + SILENCE_SECONDS * 1000, (slept) => this.#check(slept ? RESUMED_SECONDS : ANSWER_SECONDS));
  }

  /** Send the status again, and reconnect if no answer arrives in time. @param {number} seconds */
  #check(seconds) {
    this.#answerBy = Math.min(this.#answerBy, performance.now() + seconds * 1000);
    if (!this.#status.isSent) this.#update("status");
    this.#proceed();
  }

  /** Handle a message. One that is not understood ends the connection; unknown fields and unknown frames are ignored. @param {any} data */
  #received(data) {
    const frame = toFrame(data);
    if (!frame) return this.#wait("later", 0, "the service sent a frame that this client cannot read", undefined, BAD_FRAME);
    if (frame.ticket) this.#credentials.keep(frame.ticket);
    if (frame.id === "sign-in" && this.#state.state === "connecting") this.#signInAnswered(frame);
    else if (frame.notifications) this.#notify(frame.notifications);
    else if (frame.unread !== undefined) this.dispatchEvent(new CustomEvent("unread", { detail: frame.unread }));
    else if (frame.cleared) this.dispatchEvent(new CustomEvent("cleared", { detail: frame.cleared }));
    else if (frame.result) this.#answered(frame);
    this.#proceed();
  }

  /** @param {Frame} frame */
  #answered({ id, errno = 0, error = "", retry_after: seconds = LEAST_SECONDS }) {
    const retryAt = performance.now() + seconds * 1000;
    const known = id === "status" || id === "renewal";
    if (known && this.#status.isSent) this.#status.answered(errno, retryAt);
    const report = this.#reports.answered(id, errno, retryAt);
    if (known || report) this.#answerBy = Infinity;
    if (id === "renewal") this.#renewing = false;
    if (errno === 130) this.#renew();
    else if (id === "renewal" && errno && ![117, 201].includes(errno)) this.#closed(4202, error);
    else if (id === "status" && errno && !REPEATED.includes(errno)) this.#wait("later", 0, error); // the sign-in shows the reason
  }

  /** @param {Frame} frame */
  #signInAnswered(frame) {
    this.#status.answered(frame.errno ?? 0, 0);
    if (frame.result !== "OK") return this.#signInRefused(frame);
    this.#credentials.accepted();
    this.#retries.connected(performance.now());
    this.#setState({ state: "connected" });
  }

  /** Try again after a transient refusal; stop after a permanent one or MAX_REFUSED refused assertions. @param {Frame} frame */
  #signInRefused({ errno = 0, error = "", retry_after: least = 0 }) {
    if (errno === 34 && this.#credentials.refused()) this.#wait("soon", 0, error);
    else if (TRANSIENT.includes(errno)) this.#wait("later", least, error);
    else this.#stop(SIGNED_OUT, error, errno);
  }

  /** Sign in again on the same connection, after the sign-in has expired. */
  async #renew() {
    if (this.#renewing) return;
    this.#renewing = true;
    const attempt = this.#attempt;
    this.#credentials.keep(null);
    const assertion = await this.#getAssertion(attempt);
    if (!assertion || attempt !== this.#attempt) return;
    this.#update("renewal", { assertion, ticket: true });
    this.#proceed();
  }

  /** Dispatch the events of notifications. @param {Notification[]} notifications */
  #notify(notifications) {
    this.#reports.ack.add(notifications, (one) => this.dispatchEvent(new CustomEvent("notification", { detail: one, cancelable: true })));
  }
}
