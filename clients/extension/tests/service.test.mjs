import assert from "node:assert/strict";
import { test } from "node:test";

import { channelOf, hostPattern, isPageOf, serviceAddress } from "../src/service.js";

const ADDRESSES = {
  "https://presence.example.org": "https://presence.example.org",
  " https://Presence.Example.org/ ": "https://presence.example.org",
  "presence.example.org": "https://presence.example.org",
  "presence.example.org:8443": "https://presence.example.org:8443",
  "https://example.org/_presence/?a=b#c": "https://example.org/_presence",
  "http://localhost:8282": "http://localhost:8282",
  "http://127.0.0.1:8282/": "http://127.0.0.1:8282",
  "http://presence.example.org": null,
  "http://localhost.example.org": null,
  "ftp://presence.example.org": null,
  "javascript://localhost/%0aalert(1)": null,
  "https://ann:secret@example.org": null,
  "": null,
  "two words": null,
};

for (const [text, address] of Object.entries(ADDRESSES)) test(`the address of "${text}"`, () => assert.equal(serviceAddress(text), address));

test("the permission is for one host, without its port", () => {
  assert.equal(hostPattern("https://example.org:8443/_presence"), "https://example.org/*");
});

test("the channel is below the address of the service", () => {
  assert.equal(channelOf("https://example.org/_presence"), "wss://example.org/_presence/presence");
  assert.equal(channelOf("http://localhost:8282"), "ws://localhost:8282/presence");
});

test("a page of the service has its origin", () => {
  const service = "https://example.org/_presence";
  assert.ok(isPageOf("https://example.org/_presence/pair?code=A", service));
  for (const other of ["https://evil.example/pair", "http://example.org/pair", "https://example.org:444/pair", "javascript:alert(1)", "", undefined])
    {assert.ok(!isPageOf(other, service), other);}
});
