// A part of presence.js: why a websocket does not open. A browser does not say, so the service is asked by HTTP (docs/protocol.md, section 3).

const ASK_SECONDS = 5;
const FORBIDDEN = 121;
const NO_UPGRADE = 108; // all is well but for the upgrade that this request does not have either
const BLOCKED = "the service answers, but no websocket to it opens: a proxy on the way has to pass Upgrade and Connection on";

const UNKNOWN = { what: "soon", least: 0, reason: "the connection was lost" };

/** Attempts in a row that did not open. */
export class Unopened {
  #count = 0;
  #why = UNKNOWN;

  /** Start over: one has opened. */
  reset() {
    this.#count = 0;
    this.#why = UNKNOWN;
  }

  /**
   * Note an attempt that did not open, and find out why: at the second one and then ever more rarely, as the first may be chance.
   * @param {string} url the channel
   * @returns {Promise<{what: "soon" | "later" | "stop", least: number, reason: string, errno?: number}>} `least` is in seconds
   */
  async failed(url) {
    const count = ++this.#count;
    const asks = count > 1 && Number.isInteger(Math.log2(count));
    this.#why = asks ? ((await ask(url)) ?? UNKNOWN) : { ...this.#why, least: 0 };
    return this.#why;
  }
}

/** Ask the service; null when it does not answer. */
async function ask(url) {
  const asked = new URL(url.replace(/^ws/, "http"));
  if (globalThis.origin) asked.searchParams.set("origin", globalThis.origin);
  try {
    const answer = await fetch(asked, { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(ASK_SECONDS * 1000) });
    const { errno, error, retry_after: least = 0 } = await answer.json();
    if (errno === FORBIDDEN) return { what: "stop", least, reason: error, errno };
    return { what: "later", least, reason: errno === NO_UPGRADE ? BLOCKED : error, errno };
  } catch {
    return null;
  }
}
