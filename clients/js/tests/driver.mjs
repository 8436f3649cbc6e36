// The client in a process of its own: devices and one application's service, controlled by lines of JSON. The service's fault tests
// (dpresence/tests/faults/test_clients.py) run it. The first line is {url, appid, key, store, people: [[puid, email, ticket], ..]}. Each
// command is answered by what was seen so far, with the frames that have come since the last answer.

import { createInterface } from "node:readline";
import { FileStore } from "../src/file-store.js";
import { AppService, Device, NotConnected, OutcomeUnknown } from "../src/index.js";
import { recordFrames } from "./recorded.mjs";

const LIFE_SECONDS = 300, STATUSES = ["online", "unavailable", "offline"];
setTimeout(() => process.exit(3), LIFE_SECONDS * 1000).unref();

const received = new Map(), accepted = new Set(), copy = new Map(), seen = {}, errors = [];
let uncertain = 0, repeated = 0, acting = 0, frames = [];

recordFrames((path, frame) => frames.push([path, frame]));

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const given = JSON.parse((await lines.next()).value);
const app = new AppService({ url: given.url, appid: given.appid, key: given.key, store: new FileStore(given.store) });
const devices = new Map(given.people.map(([puid, email, ticket]) => [puid, makeDevice(email, ticket)]));

function makeDevice(email, ticket) {
  const url = `${given.url.replace("http", "ws")}/presence`;
  const tickets = { get: () => ticket, set: (next) => (ticket = next) };
  // without credentials, a device whose ticket is refused stops
  const channel = new Device({ url, email, device: "d", tickets, signIn: async () => null });
  const device = { channel, status: "online" };
  channel.addEventListener("notification", ({ detail }) => received.set(detail.id, (received.get(detail.id) ?? 0) + 1));
  channel.addEventListener("state", ({ detail }) => detail.state === "stopped" && !given.over && errors.push(`stopped: ${detail.reason}`));
  return device;
}

app.addEventListener("change", ({ detail: { puid, status, at, origin } }) => {
  const before = copy.get(puid);
  repeated += before?.[0] === status && before[1] === at;
  copy.set(puid, [status, at]);
  const kind = `${status} ${origin}`;
  seen[kind] = (seen[kind] ?? 0) + 1;
});
app.addEventListener("state", ({ detail }) => detail.state === "stopped" && detail.error && errors.push(detail.error.message));

async function act() {
  acting += 1;
  for (const [puid, device] of devices) {
    device.status = STATUSES[Math.floor(Math.random() * 3)];
    device.channel.setStatus(device.status);
    await app.notify(puid, "Your move").then(({ id }) => accepted.add(id), (error) => {
      if (error instanceof OutcomeUnknown || error instanceof NotConnected) uncertain += 1;
      else errors.push(error.message);
    });
  }
  acting -= 1;
}

function report() {
  const found = [...received.values()];
  const connected = [app, ...[...devices.values()].map(({ channel }) => channel)].filter(({ state }) => state.state === "connected");
  const news = frames;
  frames = [];
  return {
    connected: connected.length, current: app.current, frames: news, acting, uncertain, repeated, seen, errors,
    table: Object.fromEntries(Array.from(app.table, ([puid, { status, at }]) => [puid, [status, at]])),
    copy: Object.fromEntries(copy), statuses: Object.fromEntries(Array.from(devices, ([puid, { status }]) => [puid, status])),
    received: found.length, doubled: found.filter((count) => count > 1).length,
    accepted: accepted.size, missing: [...accepted].filter((id) => !received.has(id)).length,
  };
}

await app.start();
for (const { channel } of devices.values()) channel.start();
for await (const line of lines) {
  const command = JSON.parse(line);
  if (command.do === "act") void act();
  console.log(JSON.stringify(report()));
  if (command.do === "pause") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, command.seconds * 1000); // nothing else runs
}
given.over = true;
for (const { channel } of devices.values()) channel.stop();
await app.stop();
process.exit(0);
