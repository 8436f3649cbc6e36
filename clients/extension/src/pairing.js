// Pairing with the account of a user (docs/protocol.md, section 6).

import { isPageOf } from "./service.js";
import { text } from "./texts.js";

/** @typedef {{device_code: string, user_code: string, page: string, interval: number, expires: number}} Pairing */
/** @typedef {{credential: string, email: string, device: string}} Paired */

const ANSWER_MS = 15000;
const NOT_YET = ["authorization_pending", "slow_down"];
const REFUSED = /** @type {Record<string, string>} */ ({
  access_denied: "denied",
  expired_token: "expired",
});

/** The pairing has ended without a credential; the message is for the person. */
export class PairingFailed extends Error {}

/**
 * Make a call without cookies.
 * @param {string} url
 * @param {object} body
 * @returns {Promise<{status: number, answer: any}>}
 */
async function post(url, body) {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(url, { ...init, credentials: "omit", redirect: "error", cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
  return { status: response.status, answer: await response.json() };
}

/**
 * Ask the service for a code.
 * @param {string} service
 * @param {string} device name of the device
 * @param {string} client what the person reads of it
 * @returns {Promise<Pairing>}
 * @throws {PairingFailed}
 */
export async function beginPairing(service, device, client) {
  const { status, answer } = await post(`${service}/pair`, { device, client }).catch(() => {
    throw new PairingFailed(text("noService"));
  });
  const { device_code, user_code, verification_uri_complete: page, interval, expires_in } = answer;
  if (status !== 201) throw new PairingFailed(answer.error ?? text("serviceAnswered", status));
  if (!isPageOf(page, service)) throw new PairingFailed(text("otherAddress", new URL(page).origin));
  return { device_code, user_code, page, interval, expires: Date.now() + expires_in * 1000 };
}

/**
 * Ask once whether the person has answered.
 * @param {string} service
 * @param {Pairing} pairing
 * @returns {Promise<Paired | number>} the credential, or seconds until the next question
 * @throws {PairingFailed}
 */
export async function askForCredential(service, { device_code, interval, expires }) {
  if (Date.now() >= expires) throw new PairingFailed(text(REFUSED.expired_token));
  const { status, answer } = await post(`${service}/pair/token`, { device_code }).catch(() => ({ status: 0, answer: {} }));
  if (status === 200) return { credential: answer.credential, email: answer.email, device: answer.device };
  if (answer.errno === 143 && !NOT_YET.includes(answer.details)) {
    throw new PairingFailed(Object.hasOwn(REFUSED, answer.details) ? text(REFUSED[answer.details]) : answer.error);
  }
  return Math.max(interval, answer.retry_after ?? 0);
}
