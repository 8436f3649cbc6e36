// The REST calls of the service (docs/protocol.md, section 6).

import { NotConnected, ProtocolError, Refused } from "./errors.js";

const ANSWER_SECONDS = 15;

/**
 * Make a call; return the body of its answer, null without one. No redirect is followed, as another address must not get the credentials.
 * @param {string} url of the service, without a slash at the end
 * @param {string} method
 * @param {string} path quoted
 * @param {string} authorization the header, "" without one
 * @param {unknown} [body]
 * @param {number} [seconds] how long to wait for the answer
 * @param {AbortSignal[]} [ends] end the call
 * @returns {Promise<any>}
 * @throws {Refused | NotConnected | ProtocolError}
 */
export async function call(url, method, path, authorization, body, seconds = ANSWER_SECONDS, ends = []) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (authorization) headers.Authorization = authorization;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const { status, ok, text } = await send(url, path, {
    method, headers, body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.any([AbortSignal.timeout(seconds * 1000), ...ends]),
  });
  if (!ok) throw new Refused(refusal(text) ?? { error: `HTTP ${status}, not from dpresence` }, status);
  if (!text) return null;
  const answer = parsed(text);
  if (answer === undefined) throw new ProtocolError("an answer of the service is not JSON");
  return answer;
}

/** @param {string} url @param {string} path @param {RequestInit} options */
async function send(url, path, options) {
  try {
    const answer = await fetch(url + path, { ...options, redirect: "manual", credentials: "omit" });
    return { status: answer.status, ok: answer.ok, text: await answer.text() };
  } catch (error) {
    const { cause, message } = /** @type {Error & {cause?: Error}} */ (error);
    throw new NotConnected(`${url} does not answer: ${cause?.message || message}`);
  }
}

/** @param {string} text */
function refusal(text) {
  const answer = parsed(text);
  return typeof answer?.errno === "number" ? answer : null;
}

/** @param {string} text @returns {any} undefined for anything else than JSON */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
