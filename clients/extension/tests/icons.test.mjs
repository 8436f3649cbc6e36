// Icons from a server that answers as docs/protocol.md, section 6, says.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { iconOf } from "../src/icons.js";

const OWN = "chrome-extension://dpresence/icons/128.png";
const asked = [];
let service = "";
const server = createServer((request, response) => {
  asked.push([request.url, request.headers.cookie]);
  if (request.url === "/icons/with-one") response.writeHead(200, { "Content-Type": "image/webp" }).end();
  else response.writeHead(404, { "Content-Type": "application/json" }).end("{}");
});

before(async () => {
  globalThis.chrome = { runtime: { getURL: (path) => `chrome-extension://dpresence/${path}` } };
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  service = `http://127.0.0.1:${server.address().port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

test("the icon of an application is the one at its service", async () => {
  assert.equal(await iconOf(service, "with-one"), `${service}/icons/with-one`);
  assert.deepEqual(asked.splice(0), [["/icons/with-one", undefined]]);
});

test("an application without an icon has that of the extension, also when the service cannot be reached", async () => {
  assert.equal(await iconOf(service, "without"), OWN);
  assert.equal(await iconOf("http://127.0.0.1:1", "with-one"), OWN);
});

test("an id cannot lead to another path", async () => {
  assert.equal(await iconOf(service, "../icons/with-one"), OWN);
});
