// An app service for tests: writes each change, state, answer and frame as a line of JSON, and reads requests from standard input.
// Usage: node --experimental-websocket app.mjs <url> <appid> <key> <file of the table>

import { createInterface } from "node:readline";
import { FileStore } from "../src/file-store.js";
import { AppService } from "../src/index.js";
import { recordFrames } from "./recorded.mjs";

const [url, appid, key, file] = process.argv.slice(2);
const app = new AppService({ url, appid, key, store: new FileStore(file), outcomes: true });
const write = (value) => console.log(JSON.stringify(value));
recordFrames((path, frame) => write({ path, frame }), (path, frame) => write({ path, frame, sent: true }));

app.addEventListener("state", ({ detail }) => write({ state: detail.state, error: detail.error?.message }));
app.addEventListener("current", () => write({ current: app.current }));
app.addEventListener("change", ({ detail }) => write({ change: detail }));
app.addEventListener("outcome", ({ detail }) => write({ outcome: detail }));
await app.start();
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  if (request.notify) {
    const { puid, message, ...options } = request.notify;
    app.notify(puid, message, options).then((answer) => write({ answer }), (error) => write({ failed: error.name, errno: error.errno }));
  } else if (request.cancel) {
    app.cancel(request.cancel).then(() => write({ cancelled: true }), (error) => write({ failed: error.name, errno: error.errno }));
  } else if (request.table) {
    write({ table: Object.fromEntries(Array.from(app.table, ([puid, { status }]) => [puid, status])) });
  }
}
await app.stop();
