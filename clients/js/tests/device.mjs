// A device for tests: writes each state, notification and frame as a line of JSON, and reads statuses from standard input.
// Usage: node --experimental-websocket device.mjs <websocket url> <email> <device>; the first line of the input is an assertion

import { createInterface } from "node:readline";
import { Device } from "../src/index.js";
import { recordFrames } from "./recorded.mjs";

const [url, email, device] = process.argv.slice(2);
const write = (value) => console.log(JSON.stringify(value));
recordFrames((path, frame) => write({ path, frame }), (path, frame) => write({ path, frame, sent: true }));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { value: assertion } = await lines.next();
const me = new Device({ url, email, device, signIn: async () => assertion });

me.addEventListener("state", ({ detail }) => detail.state !== "waiting" && write(detail));
me.addEventListener("notification", ({ detail }) => write({ notification: detail }));
me.start();
for await (const line of lines) me.setStatus(line);
me.stop();
