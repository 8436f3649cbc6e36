// An application that is connected without a websocket, when something other than the service answers with HTTP 200. The network is fake.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Feed } from "../src/feed.js";

const FOREIGN = ["", "null", "[]", "3", '"OK"', "{}", '{"status": "ok"}', '{"result": "success", "errno": "0"}'];
const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

/** Send a frame by a feed whose calls get an answer; return what it dispatches and how many calls it made. */
async function send(context, frame, answer) {
  let calls = 0;
  context.mock.method(globalThis, "fetch", async () => {
    calls += 1;
    return calls < 10 ? new Response(answer) : new Promise(() => {});
  });
  const feed = new Feed("http://x/myapps/a", { polls: true }, 60000);
  const frames = [], closes = [];
  feed.onmessage = ({ data }) => frames.push(JSON.parse(data));
  feed.onclose = ({ code }) => closes.push(code);
  feed.send(JSON.stringify(frame));
  await settle();
  feed.close();
  return { frames, closes, calls };
}

const NOTIFY = { action: "notify", id: 1, notifications: [{ puid: "p", message: "Your move" }] };

for (const foreign of FOREIGN) {
  test(`notifications that something other than the service answers with ${foreign || "nothing"} are not refused: the connection is lost`, async (context) => {
    assert.deepEqual(await send(context, NOTIFY, foreign), { frames: [], closes: [1006], calls: 1 });
  });

  test(`a poll that something other than the service answers with ${foreign || "nothing"} is no sign-in: the connection is lost`, async (context) => {
    const auth = { action: "auth", key: "k", since: "e:1", id: "auth" };
    assert.deepEqual(await send(context, auth, foreign), { frames: [], closes: [1006], calls: 1 });
  });
}

test("the answers of the service to notifications are those of the channel, also a refusal", async (context) => {
  for (const answer of [{ result: "OK", notifications: [] }, { result: "KO", errno: 117, error: "slow down" }]) {
    const found = await send(context, NOTIFY, JSON.stringify(answer));
    assert.deepEqual(found, { frames: [{ ...answer, id: 1 }], closes: [], calls: 1 });
    context.mock.restoreAll();
  }
});
