// What every page shares: calls to the service, words for people, questions, times. Loaded by base.jinja2 on each of them.
// Nothing here or on any page makes markup of text: the policy requires trusted types, and `element` builds nodes.

import { pause } from "./guard.js";
import { Kept, forget } from "./kept.js";

const OUTDATED = "Nothing was changed: someone has signed in again since you opened this page. Reload the page.";
/** What stands before each path of this service: empty, or `identity.path` of the ini. */
export const root = new URL("..", import.meta.url).pathname.slice(0, -1);
const csrf = document.querySelector("meta[name=csrf]")?.content ?? "";
/** The e-mail address of who is signed in; empty for nobody. */
export const account = document.querySelector("meta[name=account]")?.content ?? "";
if (account) new Kept(account).forgetOthers();

/** Whether the browser takes a cookie of this site; `navigator.cookieEnabled` says so in Chromium also when settings block all. */
function takesCookies() {
  document.cookie = "dpresence-test=1; SameSite=Strict";
  const taken = document.cookie.includes("dpresence-test=");
  document.cookie = "dpresence-test=; Max-Age=0; SameSite=Strict";
  return taken;
}

document.getElementById("no-cookies").hidden = account !== "" || takesCookies();

/** A refusal, in the service's own words (docs/protocol.md, section 7). */
export class ServiceError extends Error {
  /**
   * @param {number} status HTTP status; 0 when there was no answer
   * @param {{errno?: number, error?: string, details?: unknown, retry_after?: number}} body the error object
   */
  constructor(status, body) {
    super(body.error ?? "The service did not answer as expected.");
    this.status = status;
    this.errno = body.errno ?? 0;
    this.details = body.details;
    this.retryAfter = body.retry_after;
  }

  /** Whether the session is over: sign in again. */
  get signedOut() {
    return this.errno === 104 || this.errno === 130;
  }

  /** Whether somebody, perhaps the same person, has signed in since the page was loaded: load it again. */
  get outdated() {
    return this.errno === 121;
  }
}

/**
 * Make a REST call with the session's cookie and CSRF token.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body] sent as JSON
 * @returns {Promise<any>} the answer's JSON, null without one
 * @throws {ServiceError}
 */
export async function call(method, path, body) {
  const headers = { Accept: "application/json" };
  if (csrf) headers["X-CSRF-Token"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer, result;
  try {
    answer = await fetch(root + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store" });
    const text = await answer.text();
    result = text ? JSON.parse(text) : null;
  } catch {
    throw new ServiceError(answer?.status ?? 0, { error: answer ? undefined : "The service cannot be reached." });
  }
  if (!answer.ok) throw new ServiceError(answer.status, result ?? {});
  return result;
}

/**
 * Read every page of a list.
 * @param {string} path e.g. "/grants"
 * @param {string} name what the list is called in the answer, e.g. "grants"
 * @returns {Promise<any[]>}
 */
export async function list(path, name) {
  const found = [];
  for (let after = ""; after !== undefined; ) {
    const page = await call("GET", `${path}?after=${encodeURIComponent(after)}`);
    found.push(...page[name]);
    after = page.next;
  }
  return found;
}

/**
 * Make an element. Texts become text, whatever is in them.
 * @param {string} tag
 * @param {Record<string, string | boolean | EventListener | undefined>} [attributes] a function is a listener: {click: f}
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/**
 * Return people's text for a place without markup: isolated (UAX 9), so that it does not turn or reorder what stands around it.
 * @param {string} text
 */
export function isolate(text) {
  return `\u2068${text.replace(/[\u202a-\u202e\u2066-\u2069]/g, "")}\u2069`;
}

/**
 * Return an URL of http or https, parsed; null for any other text.
 * @param {string} text
 * @returns {URL | null}
 */
export function webAddress(text) {
  try {
    const url = new URL(text);
    return ["http:", "https:"].includes(url.protocol) ? url : null;
  } catch {
    return null; // browsers do not agree about all of them
  }
}

/** Give somebody a text as a file. */
export function download(name, text) {
  const file = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  element("a", { href: file, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(file), 60000);
}

const toasts = new Map();

/**
 * Tell people something: shown for a while, and read out by screen readers.
 * @param {string} text
 * @param {"status" | "alert"} [kind] an alert interrupts: for what went wrong
 */
export function announce(text, kind = "status") {
  const place = document.getElementById(kind);
  clearTimeout(toasts.get(kind));
  place.textContent = text;
  toasts.set(kind, setTimeout(() => (place.textContent = ""), 6000 + 60 * text.length));
}

/**
 * Do something that can be refused; the button is off meanwhile, but keeps the focus, and a refusal is announced.
 * @param {HTMLButtonElement | null} button
 * @param {() => Promise<unknown>} work
 * @returns {Promise<boolean>} whether it was done
 */
export async function attempt(button, work) {
  if (button?.ariaBusy === "true") return false;
  if (button) button.ariaBusy = "true";
  try {
    await work();
    return true;
  } catch (error) {
    if (error.signedOut) location.assign(`${root}/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    else announce(error.outdated ? OUTDATED : error.message, "alert");
    return false;
  } finally {
    if (button) button.ariaBusy = null;
  }
}

/**
 * Ask before something that cannot be undone.
 * @param {string} title the question
 * @param {string} detail what follows from yes
 * @param {string} yes what the button says: the verb
 * @returns {Promise<boolean>}
 */
export function ask(title, detail, yes) {
  const dialog = document.getElementById("question");
  document.getElementById("question-title").textContent = title;
  document.getElementById("question-detail").textContent = detail;
  const button = document.getElementById("question-yes");
  button.textContent = yes;
  button.className = "danger";
  dialog.returnValue = "no";
  dialog.showModal();
  pause("settling"); // the second click of a double click is no answer
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

/** Go to the start page after the person was signed out here: this browser keeps nothing of them. */
export function leave() {
  forget();
  location.assign(`${root}/`);
}

const UNITS = [["year", 31557600], ["month", 2629800], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const exact = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

/** Say how long ago a time (milliseconds) was: "3 minutes ago". */
export function ago(at, now = Date.now()) {
  const seconds = Math.round((at - now) / 1000);
  const unit = UNITS.find(([, size]) => Math.abs(seconds) >= size);
  return unit ? relative.format(Math.trunc(seconds / unit[1]), unit[0]) : "just now";
}

/** Return a `<time>` that says how long ago a time (milliseconds) was, and goes on saying so; of what is no time, just that. */
export function since(at) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return element("span", {}, "at an unknown time");
  return element("time", { datetime: date.toISOString(), title: exact.format(date) }, ago(at));
}

/** Say a day ("2026-11-20", UTC) as people do: "today", "yesterday", "2026-11-20"; "never" for none. */
export function day(text, now = Date.now()) {
  const days = [0, 1].map((back) => new Date(now - back * 86400000).toISOString().slice(0, 10));
  return text ? ["today", "yesterday"][days.indexOf(text)] ?? text : "never";
}

setInterval(() => {
  for (const shown of document.querySelectorAll("time[title]")) shown.textContent = ago(Date.parse(shown.dateTime));
}, 30000);

document.addEventListener("click", async ({ target }) => {
  const copy = target.closest?.("[data-copy]");
  if (!copy) return;
  try {
    await navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent);
    announce("Copied.");
  } catch {
    announce("Your browser does not let this page copy. Select the text instead.", "alert");
  }
});

document.getElementById("signout")?.addEventListener("click", ({ currentTarget }) =>
  attempt(currentTarget, async () => {
    await call("POST", "/logout");
    leave();
  }),
);
