import assert from "node:assert/strict";
import { test } from "node:test";

import { inWords, unreadIds, withNotification, withRead } from "../src/inbox.js";

const DAY = 86400_000, NOW = 100 * DAY;
const one = (id, sent = NOW) => ({ id, appid: "a", domain: "chess.example.org", site: "example.org", source: "Chess", message: "Your move", action: "", sent });

test("a notification is at the top, and unread", () => {
  const inbox = withNotification(withNotification([], one("first"), NOW), one("second"), NOW);
  assert.deepEqual(inbox.map(({ id, read }) => [id, read]), [["second", false], ["first", false]]);
});

test("a notification that comes twice is there once, with its read state", () => {
  const inbox = withRead(withNotification([], one("first"), NOW), ["first"]);
  assert.equal(withNotification(inbox, one("first"), NOW), inbox);
});

test("the inbox has the newest 100 of the last 7 days", () => {
  let inbox = withNotification([], one("old", NOW - 7 * DAY - 1), NOW);
  for (let n = 0; n < 101; n++) inbox = withNotification(inbox, one(`n${n}`), NOW);
  assert.deepEqual([inbox.length, inbox[0].id, inbox[99].id], [100, "n100", "n1"]);
});

test("only named notifications become read", () => {
  const inbox = ["a", "b", "c"].reduce((all, id) => withNotification(all, one(id), NOW), []);
  assert.deepEqual(unreadIds(withRead(inbox, ["b", "unknown"])), ["c", "a"]);
});

test("the proven site comes before the name, which cannot hide it", () => {
  const { title, message } = inWords({ ...one("a"), source: "\u202egro.knab" });
  assert.deepEqual([title, message], ["example.org: \u2068gro.knab\u2069", "chess.example.org\nYour move"]);
  assert.equal(inWords({ ...one("a"), site: "chess.example.org", message: "bank.example\nSign in" }).message, "chess.example.org\nbank.example\nSign in");
});
