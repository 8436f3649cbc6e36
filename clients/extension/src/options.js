// The options: the service, the pairing, and the settings.

import { byId, setText } from "./lib/dom.js";
import { follow, order } from "./page.js";
import { hostPattern, serviceAddress } from "./service.js";
import { shown, stored } from "./storage.js";
import { fillPage, text } from "./texts.js";

fillPage();
const service = byId("service", HTMLInputElement);
const notify = byId("notify", HTMLInputElement);
const away = byId("away", HTMLSelectElement);
const question = byId("question", HTMLDialogElement);
const qr = byId("qr", HTMLImageElement);
let pictured = "";

/** Show the address of the page as a QR code. @param {string} home address of the service @param {string} code */
async function showQr(home, code) {
  if (pictured === code) return;
  pictured = code;
  const response = await fetch(`${home}/pair/qr?code=${encodeURIComponent(code)}`, { credentials: "omit", headers: { Accept: "image/svg+xml" } });
  if (response.ok) qr.src = URL.createObjectURL(new Blob([await response.text()], { type: "image/svg+xml" }));
}

async function render() {
  const [{ account, settings }, { pairing, problem }] = await Promise.all([stored(), shown()]);
  byId("connect").hidden = account !== null || pairing !== null;
  byId("paired").hidden = account === null || pairing !== null;
  byId("pairing").hidden = pairing === null;
  setText(byId("problem"), problem);
  if (pairing) {
    setText(byId("code"), pairing.user_code);
    byId("page", HTMLAnchorElement).href = pairing.page;
    showQr(pairing.service, pairing.user_code).catch(() => {}); // the code and the link are enough
  }
  if (account) {
    setText(byId("email"), account.email);
    setText(byId("where"), account.service);
    byId("my-presence", HTMLAnchorElement).href = `${account.service}/sidebar`;
  }
  notify.checked = settings.notify;
  away.value = String(settings.awayMinutes);
}

async function connect() {
  const address = serviceAddress(service.value);
  if (address === null) return setText(byId("problem"), text("enterAddress"));
  const granted = await chrome.permissions.request({ origins: [hostPattern(address)] });
  if (!granted) return setText(byId("problem"), text("needsPermission"));
  await order("pair", { service: address });
}

byId("connect").addEventListener("submit", (event) => {
  event.preventDefault();
  connect().catch((error) => setText(byId("problem"), String(error)));
});
byId("cancel").addEventListener("click", () => order("cancel"));
byId("disconnect").addEventListener("click", () => question.showModal());
byId("keep").addEventListener("click", () => question.close());
byId("confirm").addEventListener("click", () => {
  question.close();
  order("disconnect");
});
byId("settings").addEventListener("change", () => order("settings", { settings: { notify: notify.checked, awayMinutes: Number(away.value) } }));
follow(render).then(() => (service.value ||= serviceAddress(chrome.runtime.getManifest().homepage_url ?? "") ?? ""));
