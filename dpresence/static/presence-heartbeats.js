// A part of presence.js: a device's connection by heartbeats, where no websocket opens (docs/protocol.md, section 3). It takes and
// dispatches the frames of the websocket, so that the client knows no difference.

import { STOPPED } from "./presence-transport.js";

const BEAT_SECONDS = 25; // less than half of the lease of 60 s
const ANSWER_SECONDS = 15;
const LOST = 1006, AGAIN = 1000;
const NEEDS_WEBSOCKET = { result: "KO", errno: 108, error: "this needs a websocket: the device is connected by heartbeats" };
const FIELDS = ["email", "status", "assertion", "device", "label", "kind"];

/** @typedef {Record<string, any>} Frame */

/** Behaves like an open WebSocket. Each frame is a heartbeat; without one, a heartbeat follows after BEAT_SECONDS. */
export class HeartbeatSocket {
  readyState = 1;
  /** @type {(() => void) | null} */
  onopen = null;
  /** @type {((event: {data: string}) => void) | null} */
  onmessage = null;
  /** @type {((event: {code: number, reason: string}) => void) | null} */
  onclose = null;
  #url;
  /** @type {Frame[]} */
  #frames = [];
  /** @type {Frame} */
  #fields;
  #busy = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #next;
  #end;

  /**
   * @param {string} url URL of the channel
   * @param {number} wait milliseconds after which it ends, to try a websocket again
   * @param {string} device name of a device that has none
   */
  constructor(url, wait, device) {
    this.#url = url.replace(/^ws/, "http");
    this.#fields = { device };
    setTimeout(() => this.readyState === 1 && this.onopen?.());
    this.#end = setTimeout(() => this.#lose(AGAIN, "a websocket is tried again"), wait);
  }

  /** Send a frame. @param {string} text */
  send(text) {
    this.#frames.push(JSON.parse(text));
    void this.#beat();
  }

  /**
   * End it. What waits for a heartbeat is not sent, as the next connection may be open by then; but after a stop, `offline` still is, unless
   * that heartbeat fails.
   * @param {number} [_code] as of a WebSocket
   * @param {string} [reason]
   */
  close(_code, reason) {
    this.readyState = 3;
    this.#frames = this.#frames.filter(({ status }) => reason === STOPPED && status === "offline");
    clearTimeout(this.#next);
    clearTimeout(this.#end);
  }

  /** @param {number} code @param {string} reason */
  #lose(code, reason) {
    this.#frames = [];
    if (this.readyState !== 1) return;
    this.close();
    this.onclose?.({ code, reason });
  }

  async #beat() {
    if (this.#busy) return;
    clearTimeout(this.#next);
    this.#busy = true;
    const frames = this.#frames.splice(0);
    const others = frames.filter((frame) => frame.action !== "ack" && (frame.action || !("status" in frame)));
    for (const { id } of others) this.#receive({ ...NEEDS_WEBSOCKET, id });
    await this.#send(frames.filter((frame) => !others.includes(frame)));
    this.#busy = false;
    if (this.#frames.length) void this.#beat();
    else if (this.readyState === 1) this.#next = setTimeout(() => this.#beat(), BEAT_SECONDS * 1000);
  }

  /** Send one heartbeat for some frames, or for none. @param {Frame[]} frames */
  async #send(frames) {
    for (const frame of frames) {
      for (const name of FIELDS) if (frame[name] !== undefined) this.#fields[name] = frame[name];
    }
    const ack = frames.flatMap(({ action, notifications }) => (action === "ack" ? notifications : []));
    const answer = await this.#post({ ...this.#fields, ack, ticket: true });
    if (!answer) return this.#lose(LOST, "the service does not answer");
    if (answer.ticket) this.#fields.assertion = answer.ticket;
    const { notifications = [], ...result } = answer;
    if (result.result !== "OK" && !frames.length) return this.#lose(LOST, result.error); // the next sign-in gets the refusal
    for (const { id } of frames.length ? frames : [{ id: undefined }]) this.#receive({ ...result, id });
    if (notifications.length) this.#receive({ notifications });
  }

  /** @param {Frame} body @returns {Promise<Frame | null>} null without an answer of the service */
  async #post(body) {
    try {
      const headers = { "Content-Type": "application/json" };
      const signal = AbortSignal.timeout(ANSWER_SECONDS * 1000);
      const answer = await fetch(this.#url, { method: "POST", headers, body: JSON.stringify(body), redirect: "error", signal });
      const found = await answer.json();
      return found.result === "OK" || typeof found.errno === "number" ? found : null;
    } catch {
      return null;
    }
  }

  /** @param {Frame} frame */
  #receive(frame) {
    if (this.readyState === 1) this.onmessage?.({ data: JSON.stringify(frame) });
  }
}
