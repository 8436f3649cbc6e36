// The feed of an application where no websocket opens: server-sent events, or long polls where a proxy holds them back; notifications by
// REST (docs/protocol.md, section 5). It takes and dispatches the frames of the websocket, so that the core knows no difference.

import { Refused } from "./errors.js";
import { call } from "./rest.js";

const FIRST_EVENT_SECONDS = 5; // without an event by then, something on the way holds the stream back
const SILENCE_SECONDS = 60; // the service sends a comment after 25 s without an event
const POLL_SECONDS = 50, POLL_ANSWER_SECONDS = 65;
const LOST = 1006, AGAIN = 1000;
const FOREIGN = "an answer that is not from dpresence";

/** @typedef {Record<string, any>} Frame */

/** Behaves like an open WebSocket. */
export class Feed {
  /** @type {(() => void) | null} */
  onopen = null;
  /** @type {((event: {data: string}) => void) | null} */
  onmessage = null;
  /** @type {((event: {code: number, reason: string}) => void) | null} */
  onclose = null;
  #url;
  #key = "";
  #memory;
  #abort = new AbortController();
  #live = false; // everything that was missed has been received
  #posts = 0;

  /**
   * @param {string} url path of the application at the service
   * @param {{polls: boolean}} memory `polls`: event streams are held back on the way
   * @param {number} wait milliseconds after which it ends, to try a websocket again
   */
  constructor(url, memory, wait) {
    this.#url = url;
    this.#memory = memory;
    setTimeout(() => this.onopen?.());
    const end = () => (this.#posts ? setTimeout(end, 1000) : this.#lose(AGAIN, "a websocket is tried again"));
    const timer = setTimeout(end, wait);
    this.#abort.signal.addEventListener("abort", () => clearTimeout(timer));
  }

  /** Send a frame. @param {string} text */
  send(text) {
    const frame = JSON.parse(text);
    if (frame.action === "auth") void this.#follow(frame);
    else if (frame.action === "notify") void this.#notify(frame);
    else if (this.#live) this.#receive({ result: "OK", id: frame.id }); // a ping; the stream itself notices that it is dead
  }

  /** End it, and dispatch nothing more. */
  close() {
    this.#abort.abort();
  }

  /** @param {number} code @param {string} reason */
  #lose(code, reason) {
    if (this.#abort.signal.aborted) return;
    this.close();
    this.onclose?.({ code, reason });
  }

  /** @param {Frame} frame */
  #receive(frame) {
    if (!this.#abort.signal.aborted) this.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** @param {Frame} auth */
  async #follow({ key, since, outcomes, id }) {
    this.#key = key;
    const positions = { ...(since && { since }), ...(outcomes !== undefined && { outcomes }) };
    try {
      if (!this.#memory.polls) await this.#stream(positions, id);
      if (this.#memory.polls) await this.#poll(positions, id);
    } catch (error) {
      this.#failed(error, id);
    }
  }

  /** Answer a frame with the refusal of its call; without one of the service, the connection is lost. @param {unknown} error @param {any} id */
  #failed(error, id) {
    if (error instanceof Refused && (error.errno || ((error.status ?? 500) < 500 && ![408, 425, 429].includes(error.status ?? 0)))) {
      const { errno, error: text, details, retryAfter } = error;
      this.#receive({ result: "KO", errno, error: text, details, retry_after: retryAfter || undefined, id });
    } else this.#lose(LOST, error instanceof Error ? error.message : String(error));
  }

  // Server-sent events

  /** Follow the stream until it ends, or until it is clear that it is held back. @param {Record<string, string>} positions @param {any} id */
  async #stream(positions, id) {
    const signal = AbortSignal.any([this.#abort.signal, this.#heldBack()]);
    const query = new URLSearchParams(positions);
    const headers = { Authorization: `Bearer ${this.#key}`, Accept: "text/event-stream" };
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let silence;
    try {
      const answer = await fetch(`${this.#url}/feed?${query}`, { headers, signal, redirect: "manual" });
      if (!answer.ok || !answer.body) throw await refusal(answer);
      const silent = () => this.#lose(LOST, "the stream is silent");
      silence = setTimeout(silent, SILENCE_SECONDS * 1000);
      for await (const event of events(answer.body, () => silence?.refresh())) if (this.#event(event, id)) return;
      this.#lose(LOST, "the stream ended");
    } catch (error) {
      if (!this.#memory.polls) throw error;
    } finally {
      clearTimeout(silence);
    }
  }

  /** Return a signal that ends the stream if its first event does not come in time. */
  #heldBack() {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort((this.#memory.polls = true)), FIRST_EVENT_SECONDS * 1000);
    this.#began = () => clearTimeout(timer);
    this.#abort.signal.addEventListener("abort", this.#began);
    return abort.signal;
  }
  #began = () => {};

  /** Handle an event; return whether it was the last one. @param {{name: string, data: string}} event @param {any} id */
  #event({ name, data }, id) {
    const frame = JSON.parse(data);
    this.#began();
    if (name === "close") this.#lose(frame.code, frame.reason);
    else if (name === "auth") this.#receive({ ...frame, id });
    else if (name === "current") this.#current();
    else this.#receive(frame);
    return name === "close";
  }

  #current() {
    this.#live = true;
    this.#receive({ result: "OK", id: "ping" });
  }

  // Long polls

  /** The first poll is answered with updates or a snapshot, which tell how it recovered. @param {Record<string, string>} positions @param {any} id */
  async #poll({ outcomes, ...since }, id) {
    const position = /** @type {Record<string, string>} */ (outcomes === undefined ? {} : { outcomes });
    let continues = false;
    for (let first = true; !this.#abort.signal.aborted; first = false) {
      const asks = first || continues ? {} : position;
      const query = new URLSearchParams({ wait: this.#live ? String(POLL_SECONDS) : "0", page: "500", ...since, ...asks });
      const ends = [this.#abort.signal];
      const asked = call(this.#url, "GET", `/feed?${query}`, `Bearer ${this.#key}`, undefined, POLL_ANSWER_SECONDS, ends);
      const frame = await asked.catch((error) => {
        if (first) throw error;
        return this.#lose(LOST, error.message); // the next sign-in gets the refusal
      });
      if (typeof (frame?.resume ?? frame?.cursor) !== "string") return this.#lose(LOST, FOREIGN);
      if (continues && frame.continued !== true) return this.#lose(LOST, "the snapshot begins anew");
      continues = frame.resume !== undefined;
      if (first) this.#receive({ result: "OK", action: "auth", recovery: "updates" in frame ? "replayed" : "snapshot", id });
      if (!frame.updates || frame.updates.length) this.#receive(frame);
      if (!this.#live && !frame.updates?.length && !frame.outcomes && !frame.resume) this.#current();
      if (frame.outcomes) position.outcomes = frame.cursor;
      else since = { since: frame.resume ?? frame.cursor };
    }
  }

  // Notifications

  /** @param {Frame} frame */
  async #notify({ notifications, id }) {
    this.#posts += 1;
    try {
      const answer = await call(this.#url, "POST", "/notifications", `Bearer ${this.#key}`, notifications);
      if (answer?.result === "OK" || typeof answer?.errno === "number") this.#receive({ ...answer, id });
      else this.#lose(LOST, FOREIGN);
    } catch (error) {
      this.#failed(error, id);
    }
    this.#posts -= 1;
  }
}

/** @param {Response} answer */
async function refusal(answer) {
  const body = await answer.json().catch(() => null);
  return new Refused(typeof body?.errno === "number" ? body : { error: `HTTP ${answer.status}, not from dpresence` }, answer.status);
}

/**
 * Yield the events of a stream.
 * @param {ReadableStream<Uint8Array>} body
 * @param {() => void} received is called whenever something arrives, also a comment
 */
async function* events(body, received) {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of /** @type {AsyncIterable<Uint8Array>} */ (/** @type {unknown} */ (body))) {
    received();
    text += decoder.decode(bytes, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const fields = new Map(block.split("\n").map((line) => /** @type {[string, string]} */ (line.split(/: (.*)/s, 2))));
      const data = fields.get("data");
      if (data !== undefined) yield { name: fields.get("event") ?? "", data };
    }
  }
}
