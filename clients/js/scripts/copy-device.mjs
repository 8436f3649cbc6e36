// Copies the client of the device channel, which the service also serves at /static/presence.js, into the package.

import { copyFileSync, mkdirSync, readdirSync } from "node:fs";

const from = new URL("../../../dpresence/static/", import.meta.url);
const to = new URL("../src/device/", import.meta.url);
mkdirSync(to, { recursive: true });
for (const name of readdirSync(from)) {
  if (/^presence(-[a-z]+)?\.js$/.test(name)) copyFileSync(new URL(name, from), new URL(name, to));
}
