// Webhooks of an application: the check of a request's signature (Standard Webhooks), and the message in it.

import { PresenceError } from "./errors.js";

const TOLERANCE_SECONDS = 300;

/** A request is not one of the service: answer it with status 400. */
export class WebhookRefused extends PresenceError {}

/**
 * Return the message of a request to a webhook: `type`, `timestamp` and `data` (docs/protocol.md, section 6).
 * @param {string} secret the text `whsec_..` that the service has shown
 * @param {Headers | Record<string, string | string[] | undefined>} headers those of the request
 * @param {string} body the body as it was received, not parsed and encoded again
 * @param {{toleranceSeconds?: number, now?: () => number}} [options] maximum difference of the clocks; the time in milliseconds
 * @throws {WebhookRefused} a header is missing, the signature is another one, or the request is too old
 * @throws {TypeError} the secret is none, for example empty
 * @returns {Promise<{type: string, timestamp: string, data: any}>}
 */
export async function verifyWebhook(secret, headers, body, { toleranceSeconds = TOLERANCE_SECONDS, now = Date.now } = {}) {
  const entries = headers instanceof Headers ? [...headers] : Object.entries(headers);
  const received = Object.fromEntries(entries.map(([name, value]) => [name.toLowerCase(), String(value)]));
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures } = received;
  if (!id || !signatures || !/^\d+$/.test(timestamp ?? "")) {
    throw new WebhookRefused("webhook-id, webhook-timestamp and webhook-signature: one is missing or wrong");
  }
  if (Math.abs(now() / 1000 - Number(timestamp)) > toleranceSeconds) throw new WebhookRefused("webhook-timestamp: is too old or in the future");
  const signed = new TextEncoder().encode(`${id}.${timestamp}.${body}`);
  const given = signatures.split(" ").filter((one) => one.startsWith("v1,"));
  const key = await imported(secret);
  const checks = await Promise.all(given.map((one) => crypto.subtle.verify("HMAC", key, decoded(one.slice(3)), signed)));
  if (!checks.includes(true)) throw new WebhookRefused("webhook-signature: is not of this secret");
  return JSON.parse(body);
}

/** @param {string} secret is never empty: anybody can sign with an empty key */
async function imported(secret) {
  const bytes = decoded(secret.replace(/^whsec_/, ""));
  if (bytes.length === 0) throw new TypeError("secret: must be the text whsec_.. that the service has shown");
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
}

/** @param {string} text Base64; anything else is no bytes */
function decoded(text) {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}
