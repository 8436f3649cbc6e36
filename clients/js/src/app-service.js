// The client of an application's backend: keeps the table of its users' statuses, and sends notifications (docs/protocol.md, section 5).

import { AppCore } from "./app-core.js";
import { NotConnected, OutcomeUnknown, PresenceError, Refused } from "./errors.js";
import { callLater } from "./device/presence-timer.js";
import { Fallback, openWebSocket } from "./device/presence-transport.js";
import { Feed } from "./feed.js";
import { NO_UPGRADE, askService } from "./handshake.js";
import { pages } from "./requests.js";
import { call } from "./rest.js";
import { TableSaver } from "./table-saver.js";
import { Table } from "./table.js";

/** @typedef {import("./table.js").Change} Change */
/** @typedef {import("./app-core.js").Output} Output */
/** @typedef {import("./app-frames.js").Delivery} Delivery */
/** @typedef {import("./app-frames.js").Result} Result */
/** @typedef {import("./app-types.js").AppServiceEvents} AppServiceEvents */
/** @typedef {import("./app-types.js").AppServiceOptions} AppServiceOptions */
/** @typedef {import("./app-types.js").AppState} AppState */
/** @typedef {import("./app-types.js").NotificationOptions} NotificationOptions */
/** @typedef {import("./app-types.js").OutgoingNotification} OutgoingNotification */

const ANSWER_SECONDS = 30;
const TypedEvents = /** @type {{new(): import("./device/presence-events.js").TypedEventTarget<AppServiceEvents>}} */ (
  /** @type {unknown} */ (EventTarget)
);

/**
 * One channel of an application. It reconnects until it is stopped, or until the service refuses it for good.
 *
 * Events: `change` (detail: Change) for each change of the table, `current` when the table has become current, `state` (detail:
 * AppState), and with the option `outcomes` also `outcome` (detail: Outcome).
 */
export class AppService extends TypedEvents {
  /** The present status of every user who granted the application access. */
  table = new Table();
  #options;
  #url;
  /** @type {AppCore | null} */
  #core = null;
  /** @type {AppState} */
  #state = { state: "stopped", error: null };
  /** @type {WebSocket | null} */
  #socket = null;
  #fallback = new Fallback();
  #unopened = 0; // websockets in a row that did not open, though the service answers
  #streams = { polls: false };
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #timerAt = Infinity;
  #current = false;
  /** @type {Map<number, (found: Result[] | PresenceError) => void>} */
  #asked = new Map();
  /** @type {TableSaver | null} */
  #saver = null;

  /** @param {AppServiceOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#url = new URL(`${options.url.replace(/^ws/, "http").replace(/\/+$/, "")}/myapps/${encodeURIComponent(options.appid)}`);
    if (!this.#webSocket) {
      throw new PresenceError("this JavaScript has no WebSocket: with Node 20, pass one as the option WebSocket, or run node --experimental-websocket");
    }
  }

  get #webSocket() {
    return this.#options.WebSocket ?? globalThis.WebSocket;
  }

  get state() {
    return this.#state;
  }

  /** True if the client is connected and the table has everything: the snapshot or what was missed, and each change since then. */
  get current() {
    return this.#current;
  }

  /** Load the stored table and connect. A client starts once. @throws {StoreError} the stored table cannot be used */
  async start() {
    if (this.#core) throw new PresenceError("this client was started before");
    const core = (this.#core = new AppCore(this.#options.key));
    const stored = await this.#options.store?.load();
    if (stored) {
      this.table = new Table(stored);
      core.restore(stored.cursor);
    }
    if (this.#options.store) this.#saver = new TableSaver(this.#options.store, this.table);
    if (this.#options.outcomes) core.follow(this.table.outcomes);
    core.start(performance.now());
    this.#carryOut();
  }

  /**
   * Disconnect, store the table, and stop for good. Requests without an answer fail with ClientStopped or OutcomeUnknown.
   * @throws what the store throws: the table is not stored
   */
  async stop() {
    this.#core?.stop();
    this.#carryOut();
    await this.#saver?.close();
  }

  /**
   * Send a notification to one user.
   * @param {string} puid @param {string} message prose of up to 512 characters @param {NotificationOptions} [options]
   * @returns {Promise<Delivery>}
   * @throws {Refused} the service does not accept it
   * @throws {NotConnected | OutcomeUnknown} not sent, or not answered, within `answerSeconds`; also when the connection ended, ClientStopped and Closed
   */
  async notify(puid, message, options = {}) {
    const [result] = await this.notifyMany([{ puid, message, ...options }]);
    if (result instanceof Refused) throw result;
    return result;
  }

  /**
   * Send notifications; return one result for each, in order. A refused one is a Refused, which is not thrown. More than 100, or than
   * 120 KiB, are sent in several frames, each after the answer to the former one.
   * @param {OutgoingNotification[]} notifications
   * @returns {Promise<Result[]>}
   * @throws {Refused} one cannot be sent, or the service does not accept any of a frame; see also `notify`. Former frames were accepted
   */
  async notifyMany(notifications) {
    /** @type {Result[]} */
    const results = [];
    for (const page of pages(notifications)) results.push(...(await this.#request(page)));
    return results;
  }

  /** Send one frame of notifications. @param {OutgoingNotification[]} notifications @returns {Promise<Result[]>} */
  #request(notifications) {
    if (!this.#core) return Promise.reject(new PresenceError("start the client first"));
    const number = this.#core.notify(notifications), seconds = this.#options.answerSeconds ?? ANSWER_SECONDS;
    const answered = new Promise((resolve, reject) => {
      const timer = callLater(() => this.#answer(number, this.#late(number, seconds)), seconds * 1000);
      this.#asked.set(number, (found) => (clearTimeout(timer), found instanceof PresenceError ? reject(found) : resolve(found)));
    });
    this.#carryOut();
    return answered;
  }

  /** Give a request up; return its error. @param {number} number @param {number} seconds */
  #late(number, seconds) {
    if (!this.#core?.abandon(number)) return new NotConnected(`not connected within ${seconds} s`);
    return new OutcomeUnknown(`no answer within ${seconds} s: the notifications may have been accepted or not`);
  }

  /**
   * Cancel a notification, so that it is not delivered any more. It makes no difference whether it was delivered before.
   * @param {{puid: string, id: string}} delivery the answer to `notify`
   * @throws {Refused} 110 after the grant was revoked
   * @throws {NotConnected | ProtocolError} no answer: it may have been cancelled; or an answer that is not the service's
   */
  async cancel({ puid, id }) {
    const path = `/notifications/${encodeURIComponent(id)}?puid=${encodeURIComponent(puid)}`;
    await call(this.#url.href, "DELETE", path, `Bearer ${this.#options.key}`);
  }

  /** Yield each change of the table from now on, until the client stops; throw the error that stopped it. */
  async *[Symbol.asyncIterator]() {
    /** @type {Change[]} */
    let changes = [];
    let wake = () => {};
    const onChange = (/** @type {CustomEvent<Change>} */ { detail }) => (changes.push(detail), wake());
    const onState = () => wake();
    this.addEventListener("change", onChange);
    this.addEventListener("state", onState);
    try {
      while (changes.length || this.#state.state !== "stopped") {
        const found = changes;
        changes = [];
        yield* found;
        if (!changes.length && this.#state.state !== "stopped") await new Promise((resolve) => (wake = () => resolve(undefined)));
      }
    } finally {
      this.removeEventListener("change", onChange);
      this.removeEventListener("state", onState);
    }
    if (this.#state.state === "stopped" && this.#state.error) throw this.#state.error;
  }

  // Outputs of the core

  #carryOut() {
    const core = this.#core;
    if (!core) return;
    for (const output of core.take()) this.#do(output, core);
    this.#setTimer(core);
  }

  /** Set the timer, unless it fires before the deadline, as it does after each frame: then it is set again. @param {AppCore} core */
  #setTimer(core) {
    if (this.#timerAt <= core.deadline && core.deadline < Infinity) return;
    clearTimeout(this.#timer);
    this.#timerAt = core.deadline;
    this.#timer = callLater(() => {
      this.#timerAt = Infinity;
      this.#event((at) => core.tick(at));
    }, core.deadline - performance.now());
  }

  /** Pass an event to the core. @param {(now: number, core: AppCore) => void} event */
  #event(event) {
    if (this.#core) event(performance.now(), this.#core);
    this.#carryOut();
  }

  /** @param {Output} output @param {AppCore} core */
  #do(output, core) {
    if (output.type === "send") this.#socket?.send(JSON.stringify(output.frame));
    else if (output.type === "deliver") this.#deliver(output.batch);
    else if (output.type === "outcomes") this.#deliverOutcomes(output.batch);
    else if (output.type === "answer") this.#answer(output.number, output.results);
    else if (output.type === "connect") this.#connect();
    else if (output.type === "disconnect") this.#disconnect(output.code);
    else if (output.type === "connected") this.#setState({ state: "connected" });
    else if (output.type === "stopped") this.#setState({ state: "stopped", error: output.error });
    else this.#setState({ state: "waiting", reason: core.reason, retryAt: Date.now() + core.deadline - performance.now() });
  }

  /** @param {import("./table.js").Batch} batch */
  #deliver(batch) {
    for (const change of this.table.apply(batch)) this.dispatchEvent(new CustomEvent("change", { detail: change }));
    if (batch.current) {
      this.#current = true;
      this.dispatchEvent(new Event("current"));
    }
    this.#saver?.changed();
  }

  /** Dispatch first, then move the cursor: what a listener did not get before a crash comes again. @param {import("./app-frames.js").OutcomeBatch} batch */
  #deliverOutcomes({ outcomes, cursor }) {
    for (const detail of outcomes) this.dispatchEvent(new CustomEvent("outcome", { detail }));
    this.table.outcomes = cursor;
    this.#saver?.changed();
  }

  /** @param {number} number @param {Result[] | PresenceError} found */
  #answer(number, found) {
    this.#asked.get(number)?.(found);
    this.#asked.delete(number);
  }

  #connect() {
    this.#setState({ state: "connecting" });
    const wait = this.#fallback.milliseconds;
    const socket = (this.#socket = wait ? this.#makeFeed(wait) : openWebSocket(this.#url.href.replace(/^http/, "ws"), this.#webSocket));
    let open = false;
    const own = (/** @type {(at: number, core: AppCore) => void} */ event) => socket === this.#socket && this.#event(event);
    socket.onopen = () => own((now, core) => {
      open = true;
      if (!wait) this.#websocketOpened();
      core.opened(now);
    });
    socket.onmessage = ({ data }) => own((now, core) => core.received(data, now));
    socket.onclose = async ({ code, reason }) => {
      const answer = open ? null : await this.#diagnose();
      own((now, core) => (answer ? core.refused(answer, now) : core.closed(code, reason, now)));
    };
  }

  /** @param {number} wait milliseconds @returns {WebSocket} what behaves like one */
  #makeFeed(wait) {
    return /** @type {any} */ (new Feed(this.#url.href, this.#streams, wait));
  }

  #websocketOpened() {
    this.#unopened = 0;
    this.#fallback.reset();
    this.#streams.polls = false;
  }

  /** Return the refusal of a websocket, which hides it; null if it is not known. The first failure may be chance. */
  async #diagnose() {
    const answer = await askService(this.#url, this.#options.key);
    if (answer?.errno !== NO_UPGRADE) return answer;
    this.#unopened += 1;
    if (this.#unopened < 2) return null;
    this.#fallback.begin();
    return answer;
  }

  /** @param {number} code */
  #disconnect(code) {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(code === 1000 ? code : 4000); // programs may close with 1000 or 3000 to 4999
  }

  /** @param {AppState} state */
  #setState(state) {
    this.#state = state;
    this.#current = false;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
