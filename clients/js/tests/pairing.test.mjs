// Pairing against a server that answers as the service may.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { NotConnected, PairingFailed, ProtocolError, Refused, beginPairing, finishPairing } from "../src/index.js";

const codes = { deviceCode: "d", userCode: "WDJB-MJHT", verificationUri: "", verificationUriComplete: "", expiresIn: 600, interval: 5 };
const incomplete = (details) => [400, { result: "KO", errno: 143, error: `not complete: ${details}`, details }];
const paired = { credential: "device:x", email: "ada@example.org", device: "lamp" };

/** Finish a pairing while the service gives these answers, null for none; return its result and the waits before each question. */
async function finish(...answers) {
  return finishWith(codes, answers);
}

async function finishWith(given, answers) {
  const server = createServer((request, response) => {
    const next = answers.shift();
    if (!next) return void request.socket.destroy();
    response.writeHead(next[0], { "Content-Type": "application/json" }).end(JSON.stringify(next[1]));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const waits = [];
  try {
    const url = `http://127.0.0.1:${server.address().port}/`;
    return { result: await finishPairing(url, given, { sleep: async (seconds) => waits.push(seconds) }), waits };
  } catch (error) {
    return { error, waits };
  } finally {
    server.close();
  }
}

test("it asks until the user has answered, and more rarely when it is told so", async () => {
  const { result, waits } = await finish(incomplete("authorization_pending"), incomplete("slow_down"), [200, paired]);
  assert.deepEqual(result, paired);
  assert.deepEqual(waits, [5, 5, 10]);
});

test("it survives a service that does not answer, cannot do it, or has too much to do", async () => {
  const busy = [429, { result: "KO", errno: 117, error: "too many requests" }];
  const { result, waits } = await finish(null, [503, { result: "KO", errno: 201, error: "unavailable" }], [502, {}], busy, [200, paired]);
  assert.deepEqual(result, paired);
  assert.deepEqual(waits, [5, 5, 5, 5, 10]);
});

test("it ends when the user refuses, and when the service refuses the question", async () => {
  const { error } = await finish(incomplete("access_denied"));
  assert.ok(error instanceof PairingFailed && error.message === "not complete: access_denied");
  const { error: refused } = await finish([400, { result: "KO", errno: 107, error: "device_code: text" }]);
  assert.ok(refused instanceof Refused && refused.field === "device_code");
});

test("it fails once the codes have expired, and says so", async () => {
  const expired = { ...codes, expiresIn: 0 };
  const { error } = await finishWith(expired, [incomplete("expired_token")]);
  assert.ok(error instanceof PairingFailed && error.message === "not complete: expired_token");
  const { error: silent } = await finishWith(expired, [null]);
  assert.ok(silent instanceof NotConnected);
});

test("it fails when something other than the service answers", async (context) => {
  for (const foreign of ["", "null", "{}", '{"status": "ok"}', "<html>"]) {
    context.mock.method(globalThis, "fetch", async () => new Response(foreign));
    await assert.rejects(beginPairing("http://x", "lamp", "Example lamp"), ProtocolError);
    await assert.rejects(finishPairing("http://x", codes, { sleep: async () => {} }), ProtocolError);
    context.mock.restoreAll();
  }
});

test("a signal ends the wait", async () => {
  const ended = finishPairing("http://127.0.0.1:9", codes, { signal: AbortSignal.timeout(10) });
  await assert.rejects(ended, { name: "TimeoutError" });
});
