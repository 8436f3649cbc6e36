// A device that pairs, for tests: writes its codes as a line of JSON, asks for the credential after a line of the input, and connects.
// Usage: node --experimental-websocket pairing.mjs <url> <device>

import { createInterface } from "node:readline";
import { Device, beginPairing, finishPairing } from "../src/index.js";
import { recordFrames } from "./recorded.mjs";

const [url, name] = process.argv.slice(2);
const write = (value) => console.log(JSON.stringify(value));
recordFrames((path, frame) => write({ path, frame }), (path, frame) => write({ path, frame, sent: true }));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const codes = await beginPairing(`${url}/`, name, "Example lamp");
write({ codes });
await lines.next();
const { email, device, credential } = await finishPairing(url, codes, { sleep: async () => undefined });
const me = new Device({ url: `${url.replace("http", "ws")}/presence`, email, device, signIn: async () => credential });
me.addEventListener("state", ({ detail }) => detail.state !== "waiting" && write({ email, device, ...detail }));
me.start();
await lines.next();
me.stop();
