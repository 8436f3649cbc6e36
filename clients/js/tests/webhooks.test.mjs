// The check of requests to a webhook, with the example of the specification of Standard Webhooks.

import assert from "node:assert/strict";
import { test } from "node:test";

import { PresenceError, verifyWebhook, WebhookRefused } from "../src/index.js";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY = '{"test": 2432232314}';
const HEADERS = {
  "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
  "webhook-timestamp": "1614265330",
  "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
};
const now = () => 1614265330_000;

test("a message that is signed with the secret is returned", async () => {
  assert.deepEqual(await verifyWebhook(SECRET, HEADERS, BODY, { now }), { test: 2432232314 });
  const twice = { ...HEADERS, "webhook-signature": `v1,AAAA v1a,x ${HEADERS["webhook-signature"]}` };
  assert.deepEqual(await verifyWebhook(SECRET, new Headers(twice), BODY, { now }), { test: 2432232314 });
});

for (const [what, headers, body, at] of /** @type {[string, Record<string, string>, string, number][]} */ ([
  ["another body", HEADERS, `${BODY} `, 0],
  ["another id", { ...HEADERS, "webhook-id": "msg_2" }, BODY, 0],
  ["no Base64", { ...HEADERS, "webhook-signature": "v1,?" }, BODY, 0],
  ["a timestamp of many digits", { ...HEADERS, "webhook-timestamp": "9".repeat(400) }, BODY, 0],
  ["an id that is no text", { ...HEADERS, "webhook-id": "msg_\udcff" }, BODY, 0],
  ["no header", {}, BODY, 0],
  ["an old message", HEADERS, BODY, 301_000],
])) {
  test(`${what} is refused`, async () => {
    const refused = verifyWebhook(SECRET, headers, body, { now: () => now() + at });
    await assert.rejects(refused, (error) => error instanceof WebhookRefused && error instanceof PresenceError);
  });
}

for (const secret of ["whsec_", "", "whsec_?"]) {
  test(`the secret "${secret}" is named as wrong`, async () => {
    await assert.rejects(verifyWebhook(secret, HEADERS, BODY, { now }), /^TypeError: secret: must be the text whsec_/);
  });
}
