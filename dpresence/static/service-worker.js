// The service worker of the pages: shows pushed notifications, and a page of its own while the service cannot be reached.
//
// It answers navigations from the network and never from a cache, so that no page is outdated. The service puts its version into VERSION:
// a new one replaces this worker at once.

const VERSION = "development";

const worker = /** @type {any} */ (self);
const root = new URL(".", worker.location.href).pathname;
const CACHE = `offline ${VERSION}`;
const OFFLINE = `${root}offline`;
const ICON = "static/icon-192.png";
const PATIENCE_MS = 8000; // for everything that a push, or a new subscription, asks the service
const PAGE_MS = 30000; // for the beginning of a page, and for the files that are stored
const FILES = [OFFLINE, `${root}static/style.css`, `${root}static/icon.svg`];

/** @typedef {{id: string, appid?: string, domain?: string, site?: string, source?: string, message?: string, action?: string, sent?: number}} Pushed */

/** Store the page for outages, as it is without a session. */
async function store() {
  const cache = await caches.open(CACHE);
  const signal = AbortSignal.timeout(PAGE_MS);
  await Promise.all(FILES.map(async (path) => {
    const found = await fetch(path, { credentials: "omit", cache: "reload", headers: { Accept: "text/html, */*" }, signal });
    if (!found.ok) throw new Error(`${path}: ${found.status}`);
    await cache.put(path, found);
  }));
}

/** Delete what earlier versions have stored. */
async function deleteOthers() {
  for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
}

worker.addEventListener("install", (/** @type {any} */ event) => event.waitUntil(store().then(() => worker.skipWaiting())));
worker.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(deleteOthers().then(() => worker.clients.claim())));

/** Reject when an answer to a page has not begun in time. Its signal aborts no fetch: a large page may take longer. @returns {Promise<Response>} */
function late() {
  return new Promise((_, reject) => {
    const signal = AbortSignal.timeout(PAGE_MS);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

/**
 * Return the answer of the network; without one, what is stored.
 * @param {Request} request
 * @param {string} path
 */
async function answer(request, path) {
  try {
    return await Promise.race([fetch(request), late()]);
  } catch (error) {
    const stored = await caches.match(path);
    if (stored) return stored;
    throw error;
  }
}

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== worker.location.origin) return;
  if (request.mode === "navigate") event.respondWith(answer(request, OFFLINE));
  else if (FILES.includes(pathname)) event.respondWith(answer(request, pathname));
});

// Pushes

/**
 * Return users' text for a place without markup, as `isolate` in dom.js.
 * @param {string} text
 */
function isolated(text) {
  return `\u2068${text.replace(/[\u202a-\u202e\u2066-\u2069]/g, "")}\u2069`;
}

/** @param {string} path @param {AbortSignal} signal @returns {Promise<any>} null without an answer, as after the end of the session */
async function read(path, signal) {
  try {
    const found = await fetch(`${root}${path}`, { headers: { Accept: "application/json" }, cache: "no-store", signal });
    return found.ok ? await found.json() : null;
  } catch {
    return null;
  }
}

/**
 * Return the path of the icon of the application that has sent a notification; without one, that of the service. While the service does
 * not answer it is undefined: a browser shows no notification before it has the icon, or after more than a minute.
 * @param {string | undefined} appid
 * @param {AbortSignal} signal
 */
async function iconOf(appid, signal) {
  for (const path of appid ? [`icons/${appid}`, ICON] : [ICON]) {
    const found = await fetch(root + path, { signal }).catch(() => null);
    if (found?.ok) return root + path;
  }
  return undefined;
}

/** Return the title of a notification whose content is not known: the text is on the page for outages, in the language of the browser. */
async function unseen() {
  const stored = await caches.match(OFFLINE);
  return /data-unseen="([^"&]+)"/.exec((await stored?.text()) ?? "")?.[1] ?? worker.location.host;
}

/**
 * Return whether the subscription that was pushed to is not one of the person who is signed in, as far as the service has answered.
 * @param {PushSubscription | null} own
 * @param {{subscriptions: {endpoint: string}[]} | null} known
 */
function isOfAnother(own, known) {
  return Boolean(own && known) && !known?.subscriptions.some(({ endpoint }) => endpoint === own?.endpoint);
}

/** Close notifications that were read on another device meanwhile. @param {{id: string, read: boolean}[]} entries of the inbox */
async function closeRead(entries) {
  const known = new Set(entries.filter((one) => one.read).map(({ id }) => id));
  for (const shown of await worker.registration.getNotifications()) if (known.has(shown.tag)) shown.close();
}

/** Show a push, and the number of unread notifications on the app's icon. @param {Pushed} pushed */
async function show(pushed) {
  const own = await worker.registration.pushManager.getSubscription();
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const [known, inbox] = await Promise.all([read("push", signal), read("notifications?limit=100", signal)]);
  if (isOfAnother(own, known)) return own.unsubscribe();
  /** @type {Pushed[]} */
  const entries = inbox?.notifications ?? [];
  const stored = entries.find(({ id }) => id === pushed.id); // has the content that was too large for a push
  const checked = known ? pushed : { id: pushed.id }; // without an answer, nobody knows whose browser it is now
  /** @type {Pushed} */
  const { id, site, domain, source, message, sent } = checked.source === undefined && stored ? stored : checked;
  const title = source === undefined ? await unseen() : `${site}: ${isolated(source)}`;
  const body = domain ? `${domain}\n${message}` : message ?? "";
  const icon = await iconOf(stored?.appid, signal);
  await worker.registration.showNotification(title, { body, tag: id, data: { id }, icon, timestamp: sent });
  await closeRead(inbox?.notifications ?? []);
  if (inbox && worker.navigator.setAppBadge) await worker.navigator.setAppBadge(inbox.unread).catch(() => {});
}

/** @param {any} data @returns {Pushed} */
function parse(data) {
  try {
    const found = data.json();
    if (typeof found.id === "string") return found;
  } catch {
    // not a push of this service
  }
  return { id: "dpresence" };
}

worker.addEventListener("push", (/** @type {any} */ event) => event.waitUntil(show(parse(event.data))));

/**
 * Store this browser's new subscription in place of one that the browser has ended, if that one is of the user who is signed in.
 * A change needs the CSRF token of the session, which a page has.
 * @param {string} ended endpoint of the old subscription
 */
async function renew(ended) {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const known = await read("push", signal);
  const before = known?.subscriptions.find((/** @type {{endpoint: string}} */ one) => one.endpoint === ended);
  if (!before || !known.key) return; // My presence stores the subscription when it opens
  const made = await worker.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: known.key });
  const { endpoint, keys } = made.toJSON();
  const page = await (await fetch(`${root}sidebar`, { headers: { Accept: "text/html" }, cache: "no-store", signal })).text();
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": /name="csrf" content="([^"]+)"/.exec(page)?.[1] ?? "" };
  const body = { endpoint, keys: { p256dh: keys.p256dh, auth: keys.auth }, key: known.key, label: before.label };
  const stored = await fetch(`${root}push`, { method: "PUT", headers, body: JSON.stringify(body), signal });
  if (stored.ok) await fetch(`${root}push/${before.id}`, { method: "DELETE", headers, signal });
}

worker.addEventListener("pushsubscriptionchange", (/** @type {any} */ event) => {
  if (event.oldSubscription) event.waitUntil(renew(event.oldSubscription.endpoint));
});

/** Open My presence at a notification: in a window that shows it already, or a new one. @param {string} id */
async function openAt(id) {
  const windows = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
  const present = windows.find((/** @type {any} */ one) => new URL(one.url).pathname === `${root}sidebar`);
  if (!present) return worker.clients.openWindow(`${root}sidebar#${id}`);
  present.postMessage({ opened: id });
  return present.focus();
}

worker.addEventListener("notificationclick", (/** @type {any} */ event) => {
  event.notification.close();
  event.waitUntil(openAt(event.notification.data?.id ?? ""));
});
