// Pairing of a device without a browser (docs/protocol.md, section 6; RFC 8628).

import { callLater } from "./device/presence-timer.js";
import { NotConnected, PairingFailed, ProtocolError, Refused } from "./errors.js";
import { call } from "./rest.js";

const INCOMPLETE = 143;
const TOO_QUICKLY = 117;
const SLOW_DOWN_SECONDS = 5; // RFC 8628, section 3.5

/**
 * A pairing that has begun. Show the user `userCode` and `verificationUri`.
 * @typedef {object} PairingCodes
 * @property {string} deviceCode the secret by which this device asks for the result
 * @property {string} userCode
 * @property {string} verificationUri
 * @property {string} verificationUriComplete the page with the code, for a link or a QR code
 * @property {number} expiresIn seconds until the codes expire
 * @property {number} interval shortest time between two questions, in seconds
 */
/**
 * A device that the user has connected.
 * @typedef {object} PairedDevice
 * @property {string} credential what `signIn` of a `Device` returns; store it where only this device can read it
 * @property {string} email the user's address
 * @property {string} device name of the device
 */

/**
 * Ask a service for the codes of a new pairing.
 * @param {string} url of the service
 * @param {string} device name of this device: 1 to 64 of `A-Z a-z 0-9 . _ : -`
 * @param {string} client name of this program, which the user sees: 1 to 64 characters
 * @returns {Promise<PairingCodes>}
 * @throws {Refused} a name is wrong, or too many pairings began at this address
 * @throws {NotConnected | ProtocolError} no answer; or one that is not the service's
 */
export async function beginPairing(url, device, client) {
  const answer = await ask(url, "/pair", { device, client }, "device_code");
  return {
    deviceCode: answer.device_code, userCode: answer.user_code, verificationUri: answer.verification_uri,
    verificationUriComplete: answer.verification_uri_complete, expiresIn: answer.expires_in, interval: answer.interval,
  };
}

/**
 * Wait until the user has answered, and return the credential.
 * @param {string} url of the service
 * @param {PairingCodes} codes
 * @param {{signal?: AbortSignal, sleep?: (seconds: number) => Promise<unknown>}} [options] `signal` ends the wait; `sleep` waits for some
 * seconds
 * @returns {Promise<PairedDevice>}
 * @throws {PairingFailed} the user has refused, or the codes have expired
 * @throws {Refused} the service does not accept the question
 * @throws {NotConnected | ProtocolError} no answer until the codes have expired; or one that is not the service's
 */
export async function finishPairing(url, codes, { signal, sleep = (seconds) => pause(seconds, signal) } = {}) {
  let { interval } = codes;
  const until = performance.now() + codes.expiresIn * 1000;
  for (;;) {
    await sleep(interval);
    signal?.throwIfAborted();
    try {
      const { credential, email, device } = await ask(url, "/pair/token", { device_code: codes.deviceCode }, "credential");
      return { credential, email, device };
    } catch (error) {
      if (slower(error)) interval += SLOW_DOWN_SECONDS;
      if (performance.now() >= until) throw error;
    }
  }
}

/** @param {unknown} error @returns {boolean} whether to ask more rarely from now on; throws what ends the pairing */
function slower(error) {
  if (error instanceof NotConnected) return false;
  if (!(error instanceof Refused)) throw error;
  if (error.errno === INCOMPLETE) {
    if (error.details === "authorization_pending") return false;
    if (error.details === "slow_down") return true;
    throw new PairingFailed(error.error);
  }
  if (error.errno === TOO_QUICKLY) return true;
  if ((error.status ?? 0) >= 500) return false;
  throw error;
}

/** @param {string} url @param {string} path @param {object} body @param {string} secret what an answer of the service has @returns {Promise<any>} */
async function ask(url, path, body, secret) {
  const answer = await call(new URL(url).href.replace(/\/+$/, ""), "POST", path, "", body);
  if (typeof answer?.[secret] !== "string") throw new ProtocolError(`the answer to ${path} is not that of the service`);
  return answer;
}

/** @param {number} seconds @param {AbortSignal} [signal] @returns {Promise<void>} */
function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = callLater(() => (signal?.removeEventListener("abort", abort), resolve()), seconds * 1000);
    const abort = () => (clearTimeout(timer), reject(signal?.reason));
    signal?.addEventListener("abort", abort, { once: true });
  });
}
