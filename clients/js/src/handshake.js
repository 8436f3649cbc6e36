// The reason why a websocket of an application does not open. The WebSocket interface hides it, so the service is asked by HTTP.

/** @typedef {import("./app-core.js").HandshakeAnswer} HandshakeAnswer */

const ASK_SECONDS = 5;

/**
 * Return the service's refusal of an application or its key; null if the service accepts both, or does not answer.
 * @param {URL} application its path at the service
 * @param {string} key
 * @returns {Promise<HandshakeAnswer | null>}
 */
export async function askService(application, key) {
  const options = { headers: { Authorization: `Bearer ${key}` }, redirect: /** @type {const} */ ("manual") };
  try {
    const answer = await fetch(`${application.href}/presence?limit=1`, { ...options, signal: AbortSignal.timeout(ASK_SECONDS * 1000) });
    const { status } = answer;
    if (answer.ok || status === 0) return null;
    const { errno, error, retry_after: least } = await answer.json();
    return typeof errno === "number" ? { status, errno, error, retry_after: least } : null;
  } catch {
    return null;
  }
}
