// A part of presence.js: the reason why a websocket does not open. Browsers hide it, so the service is asked by HTTP
// (docs/protocol.md, section 3).

/** @typedef {{what: "soon" | "later" | "slot" | "stop", least: number, reason: string, errno?: number}} Diagnosis `least` is in seconds */

const ASK_SECONDS = 5;
const FORBIDDEN = 121;
const NO_UPGRADE = 108; // the service would accept the channel, except that this request has no upgrade
const BLOCKED = "the service answers, but no websocket to it opens: a proxy on the way has to pass Upgrade and Connection on";

/** @type {Diagnosis} */
const UNKNOWN = { what: "soon", least: 0, reason: "the connection was lost" };

/** Counts attempts in a row that did not open, and diagnoses them. */
export class FailedAttempts {
  #count = 0;
  #diagnosis = UNKNOWN;

  /** Start over after a websocket has opened. */
  reset() {
    this.#count = 0;
    this.#diagnosis = UNKNOWN;
  }

  /**
   * Count an attempt. The second one asks the service for the reason, as the first may be chance, and then every 2^n-th; one at the time
   * that the service has assigned asks for the next time.
   * @param {string} url URL of the channel
   * @returns {Promise<Diagnosis>}
   */
  async add(url) {
    const count = ++this.#count;
    const asks = count > 1 && (Number.isInteger(Math.log2(count)) || this.#diagnosis.what === "slot");
    this.#diagnosis = asks ? ((await ask(url)) ?? UNKNOWN) : { ...this.#diagnosis, least: 0 };
    return this.#diagnosis;
  }
}

/**
 * Ask the service for the reason.
 * @param {string} url URL of the channel
 * @returns {Promise<Diagnosis | null>} null if it does not answer
 */
async function ask(url) {
  const asked = new URL(url.replace(/^ws/, "http"));
  if (globalThis.origin) asked.searchParams.set("origin", globalThis.origin);
  try {
    const answer = await fetch(asked, { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(ASK_SECONDS * 1000) });
    const { errno, error, retry_after: least = 0 } = await answer.json();
    if (errno === FORBIDDEN) return { what: "stop", least, reason: error, errno };
    if (errno === NO_UPGRADE) return { what: "later", least, reason: BLOCKED, errno };
    return { what: least ? "slot" : "later", least, reason: error, errno };
  } catch {
    return null;
  }
}
