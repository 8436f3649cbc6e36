// The reason why a websocket of an application does not open. The WebSocket interface hides it, so the service is asked by HTTP.

import { Refused } from "./errors.js";
import { call } from "./rest.js";

/** @typedef {import("./app-core.js").HandshakeAnswer} HandshakeAnswer */

const ASK_SECONDS = 5;
export const NO_UPGRADE = 108;

/**
 * Return the service's refusal of an application or its key; null if the service does not answer. If it accepts both, the answer is that of a
 * service to which a proxy does not pass the upgrade on.
 * @param {URL} application its path at the service
 * @param {string} key
 * @returns {Promise<HandshakeAnswer | null>}
 */
export async function askService(application, key) {
  try {
    await call(application.href, "GET", "/presence?limit=1", `Bearer ${key}`, undefined, ASK_SECONDS);
    return { status: 400, errno: NO_UPGRADE };
  } catch (refused) {
    if (!(refused instanceof Refused) || !refused.errno || !refused.status) return null;
    const { status, errno, error, retryAfter } = refused;
    return { status, errno, error, retry_after: retryAfter };
  }
}
