// A part of presence.js: a websocket, or heartbeats where none opens. Its rules are also those of the client of an application.

const FIRST_SECONDS = 600, MOST_SECONDS = 7200; // for which a client connects without a websocket, before it tries one again
const NO_UPGRADE = 108;
export const STOPPED = "stopped"; // reason with which a program closes the connection of its device

/** Whether to connect without a websocket, as a proxy passes none on, and when to try one again. */
export class Fallback {
  #until = -Infinity;
  #seconds = FIRST_SECONDS;

  /** Milliseconds until a websocket is to be tried; 0 if the next connection is one. */
  get milliseconds() {
    return Math.max(0, this.#until - performance.now());
  }

  /** Connect without a websocket for a while, which is longer each time in a row. */
  begin() {
    this.#until = performance.now() + this.#seconds * 1000;
    this.#seconds = Math.min(MOST_SECONDS, 2 * this.#seconds);
  }

  /** Start over after a websocket has opened. */
  reset() {
    this.#seconds = FIRST_SECONDS;
  }
}

/**
 * Return a new websocket whose `onclose` is called when it does not open: that of Node 20 dispatches only `error` then.
 * @param {string} url
 * @param {typeof WebSocket} [kind]
 * @returns {WebSocket}
 */
export function openWebSocket(url, kind = WebSocket) {
  const socket = new kind(url);
  socket.onerror = () => {
    if (socket.readyState === 0) socket.onclose?.(/** @type {any} */ ({ code: 1006, reason: "" }));
  };
  return socket;
}

/** Makes the connections of a device. */
export class Transport {
  #fallback = new Fallback();
  /** @type {WebSocket | null} the last connection by heartbeats */
  #heartbeats = null;
  #device = `heartbeat-${Math.random().toString(36).slice(2)}`; // of all connections, so that each replaces the former one

  /** @param {string} url URL of the channel @returns {Promise<WebSocket>} or what behaves like one */
  async open(url) {
    this.#heartbeats?.close(); // after a stop, `offline` may wait there
    const wait = this.#fallback.milliseconds;
    if (!wait) return openWebSocket(url);
    const { HeartbeatSocket } = await import("./presence-heartbeats.js");
    return (this.#heartbeats = /** @type {any} */ (new HeartbeatSocket(url, wait, this.#device)));
  }

  /** Start over after a connection has opened. */
  opened() {
    if (!this.#fallback.milliseconds) this.#fallback.reset();
  }

  /**
   * Decide after a refusal whether to connect by heartbeats. A browser sends none to another origin, and none of an extension is accepted.
   * @param {number | undefined} errno
   */
  fallsBack(errno) {
    if (errno !== NO_UPGRADE || globalThis.origin) return false;
    this.#fallback.begin();
    return true;
  }
}
