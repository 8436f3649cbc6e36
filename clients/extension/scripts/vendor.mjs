// Copies into src/lib what the extension shares with clients/js and with the pages of the service.

import { readdirSync } from "node:fs";

import { copyChanged } from "../../js/scripts/copy-changed.mjs";
import "../../js/scripts/copy-device.mjs";

const device = new URL("../../js/src/device/", import.meta.url);
const lib = new URL("../src/lib/", import.meta.url);
copyChanged(device, lib, readdirSync(device));
copyChanged(new URL("../../../dpresence/static/", import.meta.url), lib, ["device-description.js", "dom.js"]);
