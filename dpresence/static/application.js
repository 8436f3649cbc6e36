// The page of one application for its developer: proof, activation, keys, changes (docs/protocol.md, section 6).

import { manageIcon } from "./application-icon.js";
import { byId, download, element, isolate, setText } from "./dom.js";
import { onSubmit } from "./form.js";
import { announce, attempt, call, confirmAction, onClick, root, toServiceError } from "./page.js";
import { _, parts } from "./texts.js";
import { dayInWords, timeElement } from "./times.js";

/** @typedef {{id: string, created_at: number, last_used: string | null, expires_at: number | null}} Key times in milliseconds */
/** @typedef {Record<string, any> & {active: boolean, valid_domain: boolean, keys: Key[]}} Application */
/** @typedef {Record<"online" | "unavailable" | "offline" | "sockets" | "updates", number>} Counts */

const REFRESH_MS = 2000;
const MINUTE_MS = 60000;
/** @type {Record<string, string>} */
const REASONS = {
  dns: _("The domain has no address, or an address that is not public. Check the spelling. A new domain can take a while to work everywhere."),
  refused: _("No server answers there. Check that it runs, and on which port."),
  tls: _("The server answers over https, but its certificate is not valid. It may be expired, self-signed, or for another name."),
  timeout: _("The server did not answer in time. A firewall may block the request, or the server is too slow."),
  status: _("The server did not answer with HTTP status 200. The file may be missing, redirected or forbidden."),
  size: _("The answer is too long. It must be only the text, not a web page around it."),
  mismatch: _("The server answers with another text. It may be an old file, or a page of the web server itself."),
};

const page = byId("application");
const path = `/myapps/${page.dataset.appid}`;
const proof = byId("proof", HTMLDetailsElement);

/** @param {string} field */
const fieldText = (field) => page.querySelector(`[data-field=${field}]`)?.textContent ?? "";

/**
 * Show an application. Its state determines which sections are visible.
 * @param {Application} application
 */
function show(application) {
  page.dataset.state = application.active ? "active" : application.valid_domain ? "validated" : "registered";
  for (const place of page.querySelectorAll("[data-field]")) place.textContent = application[place.getAttribute("data-field") ?? ""] ?? "";
  document.title = `${application.domain}: ${isolate(application.name)}`;
  const redirect = encodeURIComponent(`${application.proof}://${application.domain}/`);
  const link = byId("link", HTMLAnchorElement);
  link.href = `${root}/grant/${application.appid}?redirect=${redirect}`;
  byId("link-text").textContent = link.href;
}

/**
 * Read and show the application and its keys.
 * @returns {Promise<Key[]>}
 */
async function refresh() {
  const application = await call("GET", path);
  show(application);
  byId("keys").replaceChildren(...application.keys.map(keyRow));
  return application.keys;
}

/** @param {Key} key */
function keyRow(key) {
  const validity = key.expires_at === null ? _("current key") : element("span", {}, ...parts("stops %(time)s", { time: timeElement(key.expires_at) }));
  const cells = [element("code", {}, `dpk_${key.id}_…`), timeElement(key.created_at), dayInWords(key.last_used), validity];
  return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
}

// The proof

onClick("check", async () => {
  byId("proof-problem").textContent = "";
  try {
    show(await call("POST", `${path}/validate`));
  } catch (caught) {
    const error = toServiceError(caught);
    if (error.errno !== 141) throw error;
    byId("proof-problem").textContent = _("The check failed. %(reason)s", { reason: REASONS[String(error.details)] ?? error.message });
    proof.open = true;
    return;
  }
  document.getElementById("failing")?.remove();
  proof.open = false;
  announce(_("The file was found. Your domain is proven."));
});

onClick("download", () => download("__presence", byId("domain-key").textContent ?? ""));

// Keys

/**
 * Show a new key until the user confirms that they have stored it.
 * @param {string} key
 * @param {number | null} [expiresAt] time at which the previous key stops working, in milliseconds since the epoch
 */
function showKey(key, expiresAt) {
  byId("key").textContent = key;
  const overlap = expiresAt ? parts("The previous key keeps working for a while: it stops %(time)s.", { time: timeElement(expiresAt) }) : [];
  byId("overlap").hidden = !expiresAt;
  byId("overlap").replaceChildren(...overlap);
  byId("new-key").hidden = false;
  byId("new-key").focus();
}

function hideKey() {
  byId("key").textContent = "";
  byId("new-key").hidden = true;
}

onClick("key-stored", () => {
  hideKey();
  byId("rotate").focus();
});

onClick("activate", async () => {
  const { api_key } = await call("POST", `${path}/activate`);
  showKey(api_key);
  await refresh();
  refreshCounts();
});

onClick("rotate", async () => {
  const detail = _("The present key stops after a while. The service of the application has to use the new one by then.");
  if (!(await confirmAction(_("Create a new key?"), detail, _("Create")))) return;
  const { api_key } = await call("POST", `${path}/key`);
  const keys = await refresh().catch(() => /** @type {Key[]} */ ([])); // the new key must be shown even if this fails
  showKey(api_key, keys.find((key) => key.expires_at !== null)?.expires_at);
});

onClick("deactivate", async () => {
  if (!(await confirmAction(_("Deactivate the application?"), _("Its channels close and its keys stop working."), _("Deactivate")))) return;
  show(await call("POST", `${path}/deactivate`));
  hideKey();
  announce(_("The application is no longer active."));
  byId("activate").focus();
});

// Changes

onSubmit(byId("edit", HTMLFormElement), async (fields) => {
  const { domain, ...others } = fields;
  const moves = domain.toLowerCase() !== fieldText("domain");
  const detail =
    _("The application is deactivated, and everyone's permission ends. You have to serve a new file, activate the application, and ask people again.");
  if (moves && !(await confirmAction(_("Change the domain?"), detail, _("Change the domain")))) return;
  const saved = await call("PATCH", path, moves ? fields : others); // a domain that only this page still shows must not be set again
  show(saved);
  byId("domain", HTMLInputElement).value = saved.domain;
  if (moves) location.reload();
  else announce(_("Saved."));
});

manageIcon(path);

onClick("delete", async () => {
  const title = _("Delete %(domain)s, %(name)s?", { domain: fieldText("domain"), name: isolate(fieldText("name")) });
  if (!(await confirmAction(title, _("All permissions end and its channels close. You cannot undo this."), _("Delete")))) return;
  await call("DELETE", path);
  location.assign(`${root}/myapps`);
});

// Counts of what the app service sees now

/** @type {number | undefined} */
let timer;
/** @type {{at: number, updates: number}[]} totals of updates in the last minute, oldest first */
let samples = [];
const openedAt = Date.now();

/** @param {Counts} counts */
function showCounts(counts) {
  const last = samples.at(-1);
  if (last && counts.updates < last.updates) samples = []; // the service was restarted and counts from 0
  samples.push({ at: Date.now(), updates: counts.updates });
  while (samples.length > 1 && samples[1].at <= Date.now() - MINUTE_MS) samples.shift();
  for (const name of /** @type {const} */ (["online", "unavailable", "offline", "sockets"])) byId(name).textContent = String(counts[name]);
  if (Date.now() - openedAt >= MINUTE_MS) setText(byId("updates-label"), _("Updates in the last minute"));
  byId("updates").textContent = String(counts.updates - samples[0].updates);
}

/** Read the counts now and, while the page is open, repeatedly. A hidden page does not read them. */
async function refreshCounts() {
  clearTimeout(timer);
  /** @type {number | null} */
  let wait = REFRESH_MS;
  try {
    if (page.dataset.state === "active" && !document.hidden) {
      showCounts(await call("GET", `${path}/now`));
      byId("live-note").textContent = "";
    }
  } catch (caught) {
    const error = toServiceError(caught);
    // the application was changed elsewhere, or another user has signed in
    if (error.errno === 142 || error.errno === 110 || error.outdated) return location.reload();
    const stale = _("These figures are out of date: %(reason)s", { reason: error.message });
    byId("live-note").textContent = error.signedOut ? _("You are signed out. Reload the page to sign in again.") : stale;
    wait = error.signedOut ? null : Math.max(REFRESH_MS, (error.retryAfter ?? 0) * 1000);
  }
  clearTimeout(timer);
  if (wait) timer = setTimeout(refreshCounts, wait);
}

attempt(null, refresh);
refreshCounts();
