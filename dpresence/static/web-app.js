// The page as an installed app: its service worker, new versions of the page, and the button that installs it.

import { byId } from "./dom.js";
import { root } from "./page.js";

/** @typedef {Event & {prompt: () => Promise<{outcome: string}>}} InstallPrompt */

const container = "serviceWorker" in navigator ? navigator.serviceWorker : null;
const URL_OF_WORKER = `${root}/service-worker.js`;

/** Return the URL in the form that the page's policy requires: the policy permits this one only. */
function trustedUrl() {
  const types = /** @type {any} */ (window).trustedTypes;
  const rules = { createScriptURL: (/** @type {string} */ url) => (url === URL_OF_WORKER ? url : null) };
  return types ? types.createPolicy("service-worker", rules).createScriptURL(URL_OF_WORKER) : URL_OF_WORKER;
}

/** @type {Promise<ServiceWorkerRegistration | null>} null where there are no service workers */
export const registration = container
  ? container.register(trustedUrl(), { scope: `${root}/`, updateViaCache: "none" }).catch(() => null)
  : Promise.resolve(null);

/** Look for a new version of the pages, as after a restart of the service. */
export async function lookForUpdate() {
  await (await registration)?.update().catch(() => {}); // the service cannot be reached
}

let hasWorker = Boolean(container?.controller);
container?.addEventListener("controllerchange", () => {
  if (!hasWorker) return void (hasWorker = true); // the first worker, and not a new version
  if (document.hidden) return location.reload();
  byId("new-version").hidden = false;
  document.addEventListener("visibilitychange", () => document.hidden && location.reload());
});
byId("reload").addEventListener("click", () => location.reload());

const install = byId("install");
/** @type {InstallPrompt | null} */
let prompting = null;
addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  prompting = /** @type {InstallPrompt} */ (event);
  install.hidden = false;
});
addEventListener("appinstalled", () => (install.hidden = true));
install.addEventListener("click", async () => {
  const asked = prompting;
  [prompting, install.hidden] = [null, true]; // the browser answers each prompt once, and offers it again by a new event
  await asked?.prompt();
});
