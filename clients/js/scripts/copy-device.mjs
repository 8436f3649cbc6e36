// Copies the client of the device channel, which the service also serves at /static/presence.js, into the package.

import { readdirSync } from "node:fs";

import { copyChanged } from "./copy-changed.mjs";

const from = new URL("../../../dpresence/static/", import.meta.url);
copyChanged(from, new URL("../src/device/", import.meta.url), readdirSync(from).filter((name) => /^presence(-[a-z]+)?\.js$/.test(name)));
