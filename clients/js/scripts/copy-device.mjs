// Copies the client of the device channel, which the service also serves at /static/presence.js, into the package.

import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";

const from = new URL("../../../dpresence/static/", import.meta.url);
const to = new URL("../src/device/", import.meta.url);
mkdirSync(to, { recursive: true });
for (const name of readdirSync(from)) {
  if (!/^presence(-[a-z]+)?\.js$/.test(name)) continue;
  const source = readFileSync(new URL(name, from));
  const copy = new URL(name, to);
  if (!existsSync(copy) || !source.equals(readFileSync(copy))) writeFileSync(copy, source); // programs may be reading it at this moment
}
