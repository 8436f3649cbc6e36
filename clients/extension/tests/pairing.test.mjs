// Pairing with a server that answers as docs/protocol.md, section 6, says.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";

import "./texts.mjs";
import { PairingFailed, askForCredential, beginPairing } from "../src/pairing.js";

let answers = [], asked = [], service = "";
const server = createServer(async (request, response) => {
  let body = "";
  for await (const part of request) body += part;
  asked.push([request.method, request.url, JSON.parse(body), request.headers.cookie]);
  const [status, answer] = answers.shift();
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
});

before(async () => {
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  service = `http://127.0.0.1:${server.address().port}`;
});
beforeEach(() => ([answers, asked] = [[], []]));
after(() => {
  server.closeAllConnections();
  server.close();
});

const started = () => ({ device_code: "d", user_code: "WDJB-MJHT", verification_uri_complete: `${service}/pair?code=WDJB-MJHT`, expires_in: 600, interval: 5 });
const pairing = () => ({ device_code: "d", user_code: "WDJB-MJHT", page: "", interval: 5, expires: Date.now() + 1000 });
const notYet = (details, more = {}) => [400, { result: "KO", errno: 143, error: "not yet", details, ...more }];

test("the device asks for a code with its name", async () => {
  answers.push([201, started()]);
  const begun = await beginPairing(service, "sidebar-1", "dpresence sidebar");
  assert.deepEqual(asked, [["POST", "/pair", { device: "sidebar-1", client: "dpresence sidebar" }, undefined]]);
  assert.equal(begun.page, `${service}/pair?code=WDJB-MJHT`);
  assert.ok(begun.expires > Date.now() + 590_000);
});

test("a page of somebody else is not opened", async () => {
  answers.push([201, { ...started(), verification_uri_complete: "https://evil.example/pair" }]);
  await assert.rejects(beginPairing(service, "sidebar-1", "x"), new PairingFailed("The service has another address: https://evil.example"));
});

test("a refusal is told in the words of the service", async () => {
  answers.push([429, { result: "KO", errno: 117, error: "too many pairings" }]);
  await assert.rejects(beginPairing(service, "sidebar-1", "x"), new PairingFailed("too many pairings"));
});

test("no service is told", async () => {
  await assert.rejects(beginPairing("http://127.0.0.1:1", "sidebar-1", "x"), PairingFailed);
});

test("the device waits as long as the service says", async () => {
  answers.push(notYet("authorization_pending", { retry_after: 5 }), notYet("slow_down", { retry_after: 9 }), [503, { result: "KO", errno: 201, retry_after: 7 }]);
  assert.deepEqual([await askForCredential(service, pairing()), await askForCredential(service, pairing())], [5, 9]);
  assert.equal(await askForCredential(service, pairing()), 7);
  assert.deepEqual(asked[0].slice(0, 3), ["POST", "/pair/token", { device_code: "d" }]);
});

test("a service that is away for a moment is asked again", async () => {
  assert.equal(await askForCredential("http://127.0.0.1:1", pairing()), 5);
});

test("the credential ends the pairing", async () => {
  answers.push([200, { credential: "device:x", email: "ann@example.org", device: "sidebar-1" }]);
  assert.deepEqual(await askForCredential(service, pairing()), { credential: "device:x", email: "ann@example.org", device: "sidebar-1" });
});

for (const [details, words] of [["access_denied", "You did not connect this browser."], ["expired_token", "The code has expired."]])
  {test(`${details} ends the pairing`, async () => {
    answers.push(notYet(details));
    await assert.rejects(askForCredential(service, pairing()), new PairingFailed(words));
  });}

test("an expired code is not asked for", async () => {
  await assert.rejects(askForCredential(service, { ...pairing(), expires: Date.now() }), new PairingFailed("The code has expired."));
  assert.deepEqual(asked, []);
});
