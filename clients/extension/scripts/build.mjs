// Writes the extension to build/extension/chromium and build/extension/firefox. Both have the same files; only the manifests differ.
// With the address of a service as argument it is for that service alone: the browser asks for it at the installation.

import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { channelOf, hostPattern, serviceAddress } from "../src/service.js";
import "./vendor.mjs";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const HERE = fileURLToPath(new URL("../", import.meta.url));
const STATIC = join(ROOT, "dpresence/static");

const MANIFESTS = {
  chromium: {
    minimum_chrome_version: "116",
    permissions: ["sidePanel"],
    background: { service_worker: "background.js", type: "module" },
    side_panel: { default_path: "panel.html" },
  },
  firefox: {
    background: { scripts: ["background.js"], type: "module" },
    sidebar_action: { default_title: "dpresence", default_panel: "panel.html", default_icon: { 16: "icons/16.png", 32: "icons/32.png" }, open_at_install: false },
    browser_specific_settings: {
      gecko: {
        id: "sidebar@dpresence.invalid",
        strict_min_version: "142.0",
        data_collection_permissions: { required: ["authenticationInfo", "personallyIdentifyingInfo"] },
      },
    },
  },
};

/** Return the parts of a manifest for one service. @param {any} manifest @param {string} service */
function forService(manifest, service) {
  const { origin } = new URL(service), channel = new URL(channelOf(service)).origin;
  const policy = manifest.content_security_policy.extension_pages.replace(/connect-src [^;]*/, `connect-src ${origin} ${channel}`);
  const own = { homepage_url: service, host_permissions: [hostPattern(service)], content_security_policy: { extension_pages: policy } };
  return { ...manifest, ...own, optional_host_permissions: undefined };
}

/** The first part of the pages' stylesheet: the tokens of docs/design.md. */
function tokens() {
  const css = readFileSync(join(STATIC, "style.css"), "utf8").split("/* -- text")[0];
  if (!css.includes("--ground")) throw new Error("style.css does not begin with the tokens");
  return css.slice(css.indexOf(":root"));
}

/** @param {keyof typeof MANIFESTS} browser @param {string} to @param {string | null} service */
function build(browser, to, service) {
  const { permissions = [], ...own } = /** @type {any} */ (MANIFESTS[browser]);
  const common = JSON.parse(readFileSync(join(HERE, "manifest.json"), "utf8"));
  const manifest = { ...common, ...own, permissions: [...common.permissions, ...permissions] };
  rmSync(to, { recursive: true, force: true });
  cpSync(join(HERE, "src"), to, { recursive: true });
  cpSync(join(HERE, "icons"), join(to, "icons"), { recursive: true });
  cpSync(join(ROOT, "LICENSE"), join(to, "LICENSE"));
  writeFileSync(join(to, "tokens.css"), tokens());
  writeFileSync(join(to, "manifest.json"), JSON.stringify(service ? forService(manifest, service) : manifest, null, 2));
}

const [folder = join(ROOT, "build/extension"), given] = process.argv.slice(2);
const service = given ? serviceAddress(given) : null;
if (given && service === null) throw new Error(`${given}: not the address of a service`);
for (const browser of /** @type {const} */ (["chromium", "firefox"])) build(browser, join(folder, browser), service);
